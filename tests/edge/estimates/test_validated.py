"""What a bundle's validation says, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bundle.errors import BadBundle, BadConfig
from bundle.whole import sha256_hex
from edge.estimates.validated import Validated, bundle_of, read_validated
from edge.shipped import DEFAULT, shipped_bundle
from tests.edge.images import TINY_BUNDLE


@pytest.fixture
def copied(tmp_path):
    """The tiny bundle, to be changed; with a validation.json of one's own."""
    folder = tmp_path / "bundle"
    shutil.copytree(TINY_BUNDLE, folder)

    def with_record(data: bytes | None) -> Path:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        manifest["records"] = [each for each in manifest["records"] if each["file"] != "validation.json"]
        if data is not None:
            (folder / "validation.json").write_bytes(data)
            manifest["records"].append({"file": "validation.json", "sha256": sha256_hex(data)})
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return with_record


def record(confusion, labels=("chain", "sphere", "jelly")) -> bytes:
    return json.dumps({"labels": labels, "confusion": confusion}).encode()


def test_the_confusion_of_the_shipped_bundle_is_read_whole():
    found = read_validated(shipped_bundle(DEFAULT))
    assert found is not None
    assert found.confusion.shape == (121, 122)
    assert found.confusion.sum() == 2380
    assert found.labels[0] == "acantharia_protist"


def test_a_bundle_without_validation_has_none(copied):
    assert read_validated(copied(None)) is None


def test_a_validation_without_counts_is_none():
    assert read_validated(TINY_BUNDLE) is None


def test_the_confusion_is_read_as_written(copied):
    rows = [[5, 1, 0, 0], [0, 7, 0, 2], [0, 0, 3, 0]]
    found = read_validated(copied(record(rows)))
    assert found is not None
    assert found.confusion.tolist() == rows
    assert found.labels == ("chain", "sphere", "jelly")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"{", "no labels and whole-numbered confusion counts"),
        (b"[]", "no labels and whole-numbered confusion counts"),
        (record([[1, 2], [3]]), "no labels and whole-numbered confusion counts"),
        (record([[1.5] * 4] * 3), "no labels and whole-numbered confusion counts"),
        (record([[10**30] * 4] * 3), "no labels and whole-numbered confusion counts"),
        (record([[1, 2, 3]] * 3), r"shape \(3, 3\), not \(3, 4\)"),
        (record([[1, 2, -3, 0]] * 3), "negative counts"),
    ],
)
def test_a_record_that_is_no_confusion_is_refused_by_name(copied, data, fault):
    with pytest.raises(BadBundle, match=rf"validation.json: .*{fault}.*make the bundle anew"):
        read_validated(copied(data))


def test_a_damaged_record_is_refused(copied):
    folder = copied(record([[1, 0, 0, 0]] * 3))
    (folder / "validation.json").write_bytes(b"{}")
    with pytest.raises(BadBundle, match=r"validation.json: damaged, .*copy the bundle anew"):
        read_validated(folder)


def test_a_bundle_is_found_where_it_is_given_or_among_those_that_ship():
    digest = sha256_hex((TINY_BUNDLE / "manifest.json").read_bytes())
    assert bundle_of(digest, TINY_BUNDLE) == TINY_BUNDLE
    assert bundle_of(digest, None) is None
    shipped = shipped_bundle(DEFAULT)
    assert bundle_of(sha256_hex((shipped / "manifest.json").read_bytes()), None) == shipped


def test_another_bundle_than_the_one_that_counted_is_refused():
    with pytest.raises(BadConfig, match="give the bundle that made them with --bundle"):
        bundle_of("ab" * 32, TINY_BUNDLE)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BadBundle, match=r"manifest.json: missing"):
        bundle_of("ab" * 32, tmp_path)


def test_the_shape_of_a_confusion_is_checked():
    with pytest.raises(BadBundle, match="shape"):
        Validated(("a", "b"), np.zeros((2, 2), np.int64))
