"""The iFDO, as JSON and as YAML: the fields of version 2.2.1, and keys that no two images share."""

import json
import sqlite3
from contextlib import closing
from datetime import datetime
from uuid import UUID

import pytest

from edge.export.ifdo import ASKED_FOR

from .cruise import ODD

GIVEN = {
    "image-set-handle": "https://hdl.handle.net/20.500.12085/x",
    "image-coordinate-uncertainty-meters": "20",
    "image-context": "plankton",
    "image-project": "P=1",
    "image-event": "PS1",
    "image-platform": "towfish",
    "image-sensor": "camera",
    "image-pi": "A. Person",
    "image-copyright": "none",
}


def checked(document: dict) -> dict:
    """The document; its shape is that of the standard (ifdo-schema.org, v2.2.1; ImageData and ImageSetHeader of ifdo-py)."""
    assert document.keys() == {"$schema", "image-set-header", "image-set-items"}
    header = document["image-set-header"]
    assert header["image-set-ifdo-version"] == "v2.2.1"
    assert header["image-set-name"]
    UUID(header["image-set-uuid"])
    labels = {label["id"] for label in header["image-annotation-labels"]}
    assert len(labels) == len(header["image-annotation-labels"])
    creators = {creator["id"] for creator in header["image-annotation-creators"]}
    uuids = set()
    for item in document["image-set-items"].values():
        datetime.strptime(item["image-datetime"], "%Y-%m-%d %H:%M:%S.%f")
        uuids.add(UUID(item["image-uuid"]))
        assert len(bytes.fromhex(item["image-hash-sha256"])) == 32
        for annotation in item["image-annotations"]:
            assert (annotation["shape"], annotation["coordinates"]) == ("whole-image", [])
            for label in annotation["labels"]:
                assert label["label"] in labels
                assert label["annotator"] in creators
                assert 0 <= label["confidence"] <= 1
                datetime.strptime(label["created-at"], "%Y-%m-%d %H:%M:%S.%f")
    assert len(uuids) == len(document["image-set-items"])
    return document


def test_every_image_has_an_item_with_its_predicted_label(cruise, export, tmp_path, tiny):
    done = export("ifdo", "--ledger", cruise.ledger, "--out", tmp_path / "i.json", "--title", "Cruise é")
    assert (done.exit_code, done.stderr) == (0, "")
    document = checked(json.loads((tmp_path / "i.json").read_bytes()))
    items = document["image-set-items"]
    assert len(items) == 10
    assert {"tow1/shard.tar/a/in-tar.png", "tow2/shard.zip/in-zip.png", ODD} <= items.keys()
    assert items["tow1/0.png"]["image-datetime"] == "2026-11-25 10:00:00.250000"
    (label,) = items[ODD]["image-annotations"][0]["labels"]
    assert (label["label"], label["annotator"]) == ("jelly", tiny.digest)
    header = document["image-set-header"]
    assert header["image-set-name"] == "Cruise é"
    assert "seen 10 = counted 10" in header["image-abstract"]
    assert [each["id"] for each in header["image-annotation-labels"]] == ["chain", "sphere", "jelly"]


def test_what_the_standard_asks_for_and_the_ledger_cannot_know_is_named_until_it_is_given(cruise, export, tmp_path):
    lacking = export("ifdo", "--ledger", cruise.ledger, "--out", tmp_path / "i.json").stdout
    assert all(name in lacking for name in ASKED_FOR)
    fields = [part for name, value in GIVEN.items() for part in ("--field", f"{name}={value}")]
    given = ["--creator", "A", "--creator", "B", "--license", "CC-BY-4.0", *fields]
    told = export("ifdo", "--ledger", cruise.ledger, "--out", tmp_path / "i.json", *given).stdout
    assert "--field" not in told
    header = checked(json.loads((tmp_path / "i.json").read_bytes()))["image-set-header"]
    assert header["image-creators"] == [{"name": "A"}, {"name": "B"}]
    assert header["image-project"] == {"name": "P=1"}
    assert header["image-license"] == {"name": "CC-BY-4.0"}
    assert header["image-coordinate-uncertainty-meters"] == 20.0


def test_the_yaml_says_the_same_as_the_json(cruise, export, tmp_path):
    yaml = pytest.importorskip("yaml")
    for name in ("i.json", "i.yaml"):
        assert (
            export("ifdo", "--ledger", cruise.ledger, "--out", tmp_path / name, "--title", "x: y\n# z").exit_code == 0
        )
    loaded = yaml.safe_load((tmp_path / "i.yaml").read_text("utf-8"))
    wanted = json.loads((tmp_path / "i.json").read_bytes())
    for document in (loaded, wanted):
        document["image-set-header"].pop("image-abstract")  # says when it was written
    assert loaded == wanted


def test_two_images_under_one_name_have_two_items(cruise, export, tmp_path):
    with closing(sqlite3.connect(cruise.ledger, isolation_level=None)) as connection:
        connection.execute("UPDATE sighting SET path = 'tow1/0.png', size = 1 WHERE path = 'tow1/1.png'")
    export("ifdo", "--ledger", cruise.ledger, "--out", tmp_path / "i.json")
    items = json.loads((tmp_path / "i.json").read_bytes())["image-set-items"]
    assert len(items) == 10
    assert sum(name.startswith("tow1/0.png#") for name in items) == 2


@pytest.mark.parametrize("field", ["image-project", "project=x", "image-project="])
def test_a_field_that_is_none_of_the_header_is_refused(field, cruise, export, tmp_path):
    done = export("ifdo", "--ledger", cruise.ledger, "--out", tmp_path / "i.json", "--field", field)
    assert done.exit_code == 2
    assert "NAME=VALUE" in done.stderr
    assert not (tmp_path / "i.json").exists()


def test_a_number_of_the_header_that_is_none_is_refused(cruise, export, tmp_path):
    given = ["--field", "image-coordinate-uncertainty-meters=some"]
    done = export("ifdo", "--ledger", cruise.ledger, "--out", tmp_path / "i.json", *given)
    assert done.exit_code == 2
    assert "not a number" in done.stderr


def test_the_file_opens_in_the_reader_of_its_field(cruise, export, tmp_path):
    ifdo = pytest.importorskip("ifdo")
    for name in ("i.json", "i.yaml"):
        export("ifdo", "--ledger", cruise.ledger, "--out", tmp_path / name, "--creator", "A. Person")
        read = ifdo.iFDO.load(tmp_path / name)
        assert len(read.image_set_items) == 10
        (label,) = read.image_set_items[ODD].image_annotations[0].labels
        assert label.label == "jelly"
        assert read.image_set_header.image_creators[0].name == "A. Person"
