"""What people said, in everything that is told of the counts: reports, counts.csv, page to mail, exports."""

import csv
import io
import json
import zipfile
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bundle.folder import Bundle
from edge.cli import app
from edge.corrections.history import add_labels
from edge.corrections.humanlabel import HumanLabel
from edge.corrections.labelsfile import labels_file
from edge.corrections.suggest import suggestions
from edge.counts import read_counts
from edge.daemon.outputs import DaemonStatus, publish
from edge.htmlreport.facts import read_facts
from edge.ledger.ledgerfile import open_ledger_readonly

from ..export.cruise import Cruise, sail
from ..images import TINY_BUNDLE

STATUS = DaemonStatus("counting", 1, 0, 0, "/w", "tiny-3", "ab", 0.0, None, None)
COLUMNS = ["path", "label", "machine_label", "labelled_by"]
WHEN = 1_795_600_800 * 10**9


@pytest.fixture
def cruise(tmp_path: Path, tiny: Bundle) -> Cruise:
    """chain: 3 (0, 1, deep.tif), sphere: 2 (0, 1), jelly: 3; people called one chain a jelly and one sphere a worm."""
    made = sail(tmp_path, tiny, images_each=2)
    for path, label in (("tow1/0.png", "jelly"), ("tow2/0.jpg", "Lovely worm"), ("tow2/1.jpg", "sphere")):
        content = sha256((made.watch / path).read_bytes()).digest()
        add_labels(labels_file(made.ledger), [HumanLabel(content, label, "Ada", None, None, WHEN)])
    return made


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done.output


def test_the_reports_count_them_and_say_how_many(cruise):
    given = ["report", "--ledger", cruise.ledger, "--bundle", TINY_BUNDLE]
    text = run(*given, "--format", "csv", "--bin", "1d")
    assert '# verified by people: {"sphere": 1, "jelly": 1, "Lovely worm": 1}' in text
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    assert {row["label"]: (int(row["count"]), int(row["verified"])) for row in rows if row["count"] != "0"} == {
        "chain": (2, 0),
        "sphere": (1, 1),
        "jelly": (4, 1),
        "Lovely worm": (1, 1),
    }
    told = json.loads(run(*given, "--format", "json"))
    assert told["verified"] == {"sphere": 1, "jelly": 1, "Lovely worm": 1}
    assert sum(sum(each["verified"].values()) for each in told["bins"]) == 3
    assert "labels given or confirmed by people: 3 of the counted" in run(*given)


def test_without_labels_no_report_has_a_word_of_them(cruise):
    labels_file(cruise.ledger).unlink()
    for form in ("csv", "json", "table"):
        assert "verified" not in run("report", "--ledger", cruise.ledger, "--format", form)


def test_the_html_report_counts_and_shows_them(cruise):
    with closing(open_ledger_readonly(cruise.ledger)) as connection:
        counts = read_counts(connection)
        facts = read_facts(connection, counts, 10)
    shown = {label: len(images) for label, images in facts.chosen["random"].items()}
    assert shown == {label: images for label, images in counts.totals.items() if images}
    page = run(
        "report", "--ledger", cruise.ledger, "--format", "html", "--images", cruise.watch, "--bundle", TINY_BUNDLE
    )
    assert "Lovely worm" in page
    assert "people gave or confirmed the label" in page


def test_counts_csv_has_them_and_damaged_labels_do_not_stop_it(cruise, tmp_path):
    publish(tmp_path / "out", cruise.ledger, STATUS)
    assert "Lovely worm,1\n" in (tmp_path / "out/counts.csv").read_text()
    labels_file(cruise.ledger).write_bytes(b"damaged" * 1000)
    publish(tmp_path / "out", cruise.ledger, STATUS)
    assert (tmp_path / "out/counts.csv").read_text() == "label,count\nchain,3\nsphere,2\njelly,3\nunclassified,0\n"
    assert "planktow-edge repair" in json.loads((tmp_path / "out/status.json").read_text())["problem"]


def test_ecotaxa_has_them_as_validated_by_that_person(cruise, tmp_path):
    run("export", "ecotaxa", "--ledger", cruise.ledger, "--images", cruise.watch, "--out", tmp_path / "e.zip",
        "--bundle", TINY_BUNDLE)  # fmt: skip
    with zipfile.ZipFile(tmp_path / "e.zip") as zipped:
        (table,) = [name for name in zipped.namelist() if name.endswith(".tsv")]
        rows = list(csv.DictReader(io.StringIO(zipped.read(table).decode("utf-8-sig")), delimiter="\t"))[1:]
    by_file = {row["object_file"]: row for row in rows}
    names = [f"object_annotation_{name}" for name in ("category", "status", "person_name", "date", "time")]
    assert [by_file["tow2/0.jpg"][name] for name in names] == ["Lovely worm", "validated", "Ada", "20261125", "100000"]
    assert by_file["tow1/1.png"]["object_annotation_status"] == "predicted"


def test_parquet_has_both_labels(cruise, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    run("export", "parquet", "--ledger", cruise.ledger, "--out", tmp_path / "p.parquet", "--bundle", TINY_BUNDLE)
    rows = {row["path"]: row for row in pq.read_table(tmp_path / "p.parquet", columns=COLUMNS).to_pylist()}
    worm, other = rows["tow2/0.jpg"], rows["tow1/1.png"]
    assert (worm["label"], worm["machine_label"], worm["labelled_by"]) == ("Lovely worm", "sphere", "Ada")
    assert (other["label"], other["machine_label"], other["labelled_by"]) == ("chain", "chain", None)


def test_ifdo_names_the_person_as_annotator(cruise, tmp_path):
    run("export", "ifdo", "--ledger", cruise.ledger, "--out", tmp_path / "i.json", "--bundle", TINY_BUNDLE)
    told = json.loads((tmp_path / "i.json").read_text())
    (verdict,) = told["image-set-items"]["tow2/0.jpg"]["image-annotations"][0]["labels"]
    assert (verdict["label"], verdict["annotator"]) == ("Lovely worm", "person:Ada")
    header = told["image-set-header"]
    assert {"id": "person:Ada", "name": "Ada"} in header["image-annotation-creators"]
    assert "Lovely worm" in [each["id"] for each in header["image-annotation-labels"]]
    assert "3 images then labelled by people" in header["image-abstract"]


def test_darwin_core_has_a_label_of_its_own_as_an_occurrence(cruise, tmp_path):
    run("export", "dwca", "--ledger", cruise.ledger, "--out", tmp_path / "d.zip", "--bundle", TINY_BUNDLE)
    with zipfile.ZipFile(tmp_path / "d.zip") as zipped:
        text = zipped.read("occurrence.txt" if "occurrence.txt" in zipped.namelist() else "occurrence.tsv").decode()
    rows = [line.split("\t") for line in text.splitlines()]
    (worm,) = [row for row in rows if "Lovely worm" in row]
    assert "ValidatedByHuman" in worm
    assert all("PredictedByMachine" in row for row in rows[1:] if "chain" in row)


def test_netcdf_has_how_many_people_looked_at(cruise, tmp_path):
    netcdf = pytest.importorskip("netCDF4")
    run("export", "netcdf", "--ledger", cruise.ledger, "--out", tmp_path / "n.nc", "--bundle", TINY_BUNDLE)
    with netcdf.Dataset(tmp_path / "n.nc") as file:
        labels = list(file["label"][:])
        verified = np.ma.filled(file["verified_count"][:], 0).sum(axis=1)
    assert {label: int(number) for label, number in zip(labels, verified, strict=True) if number > 0} == {
        "sphere": 1,
        "jelly": 1,
        "Lovely worm": 1,
    }


# What is offered first


CONFUSION = np.array([[9, 3, 0, 1], [1, 9, 0, 0], [4, 0, 9, 0]], np.int64)  # row: true; last column: unclassified
LABELS = ("chain", "sphere", "jelly")


def test_offered_first_is_what_the_verdict_most_often_turned_out_to_be():
    assert suggestions("chain", LABELS, CONFUSION) == ["jelly", "sphere"]
    assert suggestions("sphere", LABELS, CONFUSION) == ["chain"]
    assert suggestions("unclassified", LABELS, CONFUSION) == ["chain"]
    assert suggestions("jelly", LABELS, CONFUSION) == ["chain"]  # what jellies were taken for


def test_then_come_labels_in_use_and_never_the_verdict_itself():
    used = ["worm", "chain", "unclassified", "jelly", "worm"]
    assert suggestions("chain", LABELS, CONFUSION, used) == ["jelly", "sphere", "worm"]
    assert suggestions("chain", LABELS, None, used) == ["worm", "jelly"]
    assert suggestions("of another bundle", LABELS, CONFUSION) == []
    assert len(suggestions("chain", LABELS, None, map(str, range(30)))) == 9
