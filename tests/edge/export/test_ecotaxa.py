"""EcoTaxa zip files, read by the rules of EcoTaxa's own importer (ecotaxa_back, py/BO/TSVFile.py)."""

import csv
import io
import json
import sqlite3
import zipfile
from contextlib import closing
from hashlib import sha256

import cv2
import numpy as np
import pytest

from bundle.preprocess import decode
from edge.capture.capture import Capture
from edge.daemon.outcome import Again
from edge.intake.files import look
from edge.ledger.ledger import open_ledger

from ..filled import TEN, at
from ..images import KINDS, image_bytes
from .cruise import ODD, record

# Of GlobalMapping.PREDEFINED_FIELDS: those that must be numbers; and the tables whose columns need an id beside them.
NUMBERS = ("object_lat", "object_lon", "object_depth_min", "object_depth_max", "img_rank")
TABLES = ("object", "acq", "process", "sample", "img")


def opened(path) -> tuple[list[dict[str, str]], dict[str, str], dict[str, bytes]]:
    """(rows, types, images) of a zip file; every rule that its importer checks holds."""
    with zipfile.ZipFile(path) as zipped:
        assert zipped.testzip() is None
        entries = {name: zipped.read(name) for name in zipped.namelist()}
    (table,) = [name for name in entries if name.startswith("ecotaxa") and name.endswith(".tsv")]
    raw = entries.pop(table)
    entries.pop("planktow.json")
    assert raw.startswith(b"\xef\xbb\xbf"), "without a byte order mark it would be read as Latin-1"
    reader = csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), delimiter="\t", quotechar='"')
    assert all(name.split("_")[0] in TABLES for name in reader.fieldnames)
    assert {f"{name.split('_')[0]}_id" for name in reader.fieldnames if not name.startswith("img_")} <= set(
        reader.fieldnames
    )
    types = next(reader)
    assert set(types.values()) == {"[t]", "[f]"}
    rows = list(reader)
    seen, sample_of = set(), {}
    for row in rows:
        assert None not in (*row, *row.values()), "as many cells as columns"
        assert row["object_id"] not in {*seen, ""}
        seen.add(row["object_id"])
        assert row["img_file_name"] in entries
        for name, value in row.items():
            if value and (types[name] == "[f]" or name in NUMBERS):
                float(value)
        assert row["object_annotation_status"] in ("predicted", "")
        assert len(row["object_date"]) == 8
        assert len(row["object_time"]) == 6
        assert sample_of.setdefault(row["acq_id"], row["sample_id"]) == row["sample_id"], (
            "an acquisition has one sample"
        )
    assert {row["img_file_name"] for row in rows} == entries.keys()
    return rows, types, entries


def test_every_counted_image_is_in_the_zip_with_its_prediction(cruise, export, tmp_path, tiny):
    done = export("ecotaxa", "--ledger", cruise.ledger, "--images", cruise.watch, "--out", tmp_path / "e.zip")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "e.zip written: 10 images" in done.stdout
    rows, types, images = opened(tmp_path / "e.zip")
    by_file = {row["object_file"]: row for row in rows}
    assert by_file.keys() == {
        "tow1/0.png", "tow1/1.png", "tow1/2.png", "tow1/deep.tif", "tow1/shard.tar/a/in-tar.png",
        "tow2/0.jpg", "tow2/1.jpg", "tow2/2.jpg", ODD, "tow2/shard.zip/in-zip.png",
    }  # fmt: skip
    assert types["object_score"] == types["object_votes"] == types["object_asked"] == types["object_mean_grey"] == "[f]"
    row = by_file[ODD]
    assert images[row["img_file_name"]] == (cruise.watch / ODD).read_bytes()
    assert row["object_id"] == sha256((cruise.watch / ODD).read_bytes()).hexdigest()
    assert (row["object_annotation_category"], row["object_label"]) == ("jelly", "jelly")
    assert row["object_annotation_status"] == "predicted"
    assert row["object_annotation_person_name"] == f"tiny-3 {tiny.digest[:12]}"
    assert (row["object_votes"], row["object_asked"], row["img_rank"]) == ("3", "3", "1")
    assert (row["object_width"], row["object_height"]) == ("80", "76")
    assert (row["sample_id"], row["process_bundle_sha256"]) == ("tow2", tiny.digest)
    assert (by_file["tow1/0.png"]["object_date"], by_file["tow1/0.png"]["object_time"]) == ("20261125", "100000")
    assert {row["object_annotation_category"] for row in rows} == set(KINDS)


def test_a_tiff_becomes_a_png_of_the_pixels_that_the_classifier_saw(cruise, export, tmp_path):
    export("ecotaxa", "--ledger", cruise.ledger, "--images", cruise.watch, "--out", tmp_path / "e.zip")
    rows, _, images = opened(tmp_path / "e.zip")
    (row,) = [row for row in rows if row["object_file"] == "tow1/deep.tif"]
    assert row["img_file_name"].endswith(".png")
    seen = decode((cruise.watch / "tow1/deep.tif").read_bytes())
    assert np.array_equal(
        cv2.imdecode(np.frombuffer(images[row["img_file_name"]], np.uint8), cv2.IMREAD_UNCHANGED), seen
    )


def test_images_that_are_gone_or_rewritten_are_left_out_and_counted(cruise, export, tmp_path):
    (cruise.watch / "tow1/1.png").unlink()
    (cruise.watch / "tow2/1.jpg").write_bytes(image_bytes("jelly", 7, ".jpg"))
    done = export("ecotaxa", "--ledger", cruise.ledger, "--images", cruise.watch, "--out", tmp_path / "e.zip")
    assert "8 images" in done.stdout
    assert "2 counted images are not in" in done.stdout
    assert len(opened(tmp_path / "e.zip")[0]) == 8


def test_an_image_is_found_under_its_other_name(cruise, export, tmp_path):
    (cruise.watch / "tow1/0.png").unlink()  # of the same content: tow1/again.png
    done = export("ecotaxa", "--ledger", cruise.ledger, "--images", cruise.watch, "--out", tmp_path / "e.zip")
    assert "10 images" in done.stdout


def test_zip_files_stay_below_the_limit_and_hold_every_image_once(tmp_path, tiny, export):
    watch, rng = tmp_path / "watch", np.random.default_rng(0)
    watch.mkdir()
    every = []
    for number in range(12):  # noise does not compress: 250 kB each
        file = watch / f"{number}.png"
        file.write_bytes(cv2.imencode(".png", rng.integers(0, 256, (500, 500), dtype=np.uint8))[1].tobytes())
        every.append((look(watch, file.name), file.read_bytes()))
    record(tmp_path / "l.sqlite", tiny, every)
    out = tmp_path / "big.zip"
    done = export("ecotaxa", "--ledger", tmp_path / "l.sqlite", "--images", watch, "--out", out, "--max-megabytes", 1)
    assert done.exit_code == 0
    parts = sorted(tmp_path.glob("big*.zip"))
    assert [part.name for part in parts] == ["big_001.zip", "big_002.zip", "big_003.zip", "big_004.zip"]
    assert all(part.stat().st_size < 1 << 20 for part in parts)
    tables = [name for part in parts for name in zipfile.ZipFile(part).namelist() if name.endswith(".tsv")]
    assert len(set(tables)) == len(parts), "EcoTaxa passes by a table of a name that it had"
    found = [row["object_file"] for part in parts for row in opened(part)[0]]
    assert sorted(found) == sorted(f"{number}.png" for number in range(12))
    again = export("ecotaxa", "--ledger", tmp_path / "l.sqlite", "--images", watch, "--out", out)
    assert f"not of this one: {', '.join(map(str, parts))}" in again.stdout.replace("\n", " ")


def test_an_image_larger_than_the_limit_is_refused_and_nothing_is_left(tmp_path, tiny, export):
    watch = tmp_path / "watch"
    watch.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1100), dtype=np.uint8)
    (watch / "big.png").write_bytes(cv2.imencode(".png", noise)[1].tobytes())
    record(tmp_path / "l.sqlite", tiny, [(look(watch, "big.png"), (watch / "big.png").read_bytes())])
    out = tmp_path / "out" / "e.zip"
    out.parent.mkdir()
    done = export("ecotaxa", "--ledger", tmp_path / "l.sqlite", "--images", watch, "--out", out, "--max-megabytes", 1)
    assert done.exit_code == 2
    assert "big.png: " in done.stderr
    assert "--max-megabytes" in done.stderr
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("images", [None, "nowhere", "empty"])
def test_without_images_there_is_no_export_and_the_message_says_what_to_give(images, cruise, export, tmp_path):
    (tmp_path / "empty").mkdir()
    given = ["--images", tmp_path / images] if images else []
    done = export("ecotaxa", "--ledger", cruise.ledger, "--out", tmp_path / "e.zip", *given)
    assert done.exit_code == 2
    assert "--images" in done.stderr
    assert not list(tmp_path.glob("*e.zip*"))


def test_the_provenance_beside_the_table_accounts_for_the_ledger(cruise, export, tmp_path, tiny):
    export("ecotaxa", "--ledger", cruise.ledger, "--images", cruise.watch, "--out", tmp_path / "e.zip")
    with zipfile.ZipFile(tmp_path / "e.zip") as zipped:
        told = json.loads(zipped.read("planktow.json"))
    assert told["bundles"] == [{"name": "tiny-3", "digest": tiny.digest}]
    assert (told["accounting"]["counted"], told["accounting"]["duplicates"]) == (10, 1)


def test_an_image_without_a_majority_has_no_category(tmp_path, tiny, export):
    watch = tmp_path / "watch"
    watch.mkdir()
    data = image_bytes("jelly", 3)
    (watch / "cafe-0.png").write_bytes(data)
    record(tmp_path / "l.sqlite", tiny, [(look(watch, "cafe-0.png"), data)])
    with closing(sqlite3.connect(tmp_path / "l.sqlite", isolation_level=None)) as connection:
        connection.execute("UPDATE verdict SET label = -1")
    export("ecotaxa", "--ledger", tmp_path / "l.sqlite", "--images", watch, "--out", tmp_path / "e.zip")
    (row,) = opened(tmp_path / "e.zip")[0]
    assert [row[f"object_annotation_{name}"] for name in ("category", "status", "date", "time", "person_name")] == [
        ""
    ] * 5
    assert row["object_label"] == "unclassified"


def test_content_that_counts_at_each_sighting_is_an_object_each_time(tmp_path, tiny, export):
    watch, data = tmp_path / "watch", image_bytes("jelly", 3)
    watch.mkdir()
    for name in ("a.png", "b.png"):
        (watch / name).write_bytes(data)
    record(tmp_path / "l.sqlite", tiny, [(look(watch, "a.png"), data)])
    with open_ledger(tmp_path / "l.sqlite", count_sightings=True) as ledger:
        again = Again(look(watch, "b.png"), sha256(data).digest(), Capture(at("11:00:00"), "mtime"))
        ledger.record([again], ledger.bundle_id(tiny, TEN), TEN)
    export("ecotaxa", "--ledger", tmp_path / "l.sqlite", "--images", watch, "--out", tmp_path / "e.zip")
    digest = sha256(data).hexdigest()
    rows, _, images = opened(tmp_path / "e.zip")
    assert [(row["object_id"], row["object_file"]) for row in rows] == [(digest, "a.png"), (f"{digest}-1", "b.png")]
    assert set(images.values()) == {data}
