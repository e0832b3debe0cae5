"""Reading a data set: what is taken, what is left out and said, and when the cache may be trusted."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from bundle.errors import BadBundle, BadData
from bundle.preprocess import InputSpec, prepare
from bundle.whole import sha256_hex
from trainer.dataset import Dataset, load_dataset
from trainer.feed import one_hot

from .conftest import write_shapes

SPEC = InputSpec(side=16)


def load(folder: Path, said: list[str] | None = None, spec: InputSpec = SPEC) -> Dataset:
    return load_dataset(folder, spec, folder.parent / "cache", (said if said is not None else []).append)


def test_every_image_stands_under_its_hash_with_its_label_and_the_bundles_own_pixels(shapes: Path):
    dataset = load(shapes)
    assert dataset.labels == ("disc", "ring", "rod")
    assert list(dataset.hashes) == sorted(dataset.hashes)
    assert np.bincount(dataset.classes).tolist() == [20, 20, 20]
    for path in shapes.glob("*/7.png"):
        data = path.read_bytes()
        at = dataset.hashes.index(sha256_hex(data))
        expected = prepare(data, SPEC)
        assert dataset.labels[dataset.classes[at]] == path.parent.name
        np.testing.assert_array_equal(dataset.pixels[at], expected.pixels)
        np.testing.assert_array_equal(dataset.features[at], expected.features)


def test_the_digest_speaks_of_content_and_label_not_of_names(shapes: Path):
    before = load(shapes).digest
    (shapes / "disc" / "0.png").rename(shapes / "disc" / "renamed.png")
    assert load(shapes).digest == before
    (shapes / "disc" / "renamed.png").rename(shapes / "rod" / "wrong.png")
    assert load(shapes).digest != before


def test_a_duplicate_counts_once_and_a_conflict_not_at_all(shapes: Path):
    shutil.copy(shapes / "disc" / "0.png", shapes / "disc" / "again.png")
    shutil.copy(shapes / "disc" / "1.png", shapes / "rod" / "disputed.png")
    dataset = load(shapes)
    assert dataset.findings.files == 62
    assert dataset.findings.duplicates == 1
    assert dataset.findings.conflicts == ("rod/disputed.png has the content of disc/1.png",)
    assert np.bincount(dataset.classes).tolist() == [19, 20, 20]
    assert sha256_hex((shapes / "rod" / "disputed.png").read_bytes()) not in dataset.hashes


def test_an_unreadable_image_is_left_out_and_named(shapes: Path):
    (shapes / "ring" / "torn.png").write_bytes((shapes / "ring" / "0.png").read_bytes()[:100])
    dataset = load(shapes)
    assert len(dataset.hashes) == 60
    assert len(dataset.findings.unreadable) == 1
    assert dataset.findings.unreadable[0].startswith("ring/torn.png: the PNG file ends before")


def test_the_cache_gives_the_same_and_is_not_used_when_a_file_changed(shapes: Path):
    said: list[str] = []
    first = load(shapes, said)
    second = load(shapes, said)
    assert said == [f"reading 60 files in 3 classes from {shapes}"]
    assert (second.labels, second.hashes, second.digest, second.findings) == (
        first.labels, first.hashes, first.digest, first.findings,
    )  # fmt: skip
    np.testing.assert_array_equal(second.pixels, first.pixels)
    np.testing.assert_array_equal(second.features, first.features)
    write_shapes(shapes, per_class=1, seed=9, first=20)
    assert len(load(shapes, said).hashes) == 63
    assert load(shapes, said, InputSpec(side=24)).pixels.shape == (63, 24, 24)
    assert len(said) == 3


def test_a_data_set_that_cannot_train_is_refused_by_name(shapes: Path, tmp_path: Path):
    with pytest.raises(BadData, match=r"missing: not a folder; give a folder that has one sub-folder"):
        load(tmp_path / "missing")
    (shapes / "empty").mkdir()
    with pytest.raises(BadData, match=r"shapes/empty: no images in this class"):
        load(shapes)
    for name in ("empty", "ring", "rod"):
        shutil.rmtree(shapes / name)
    with pytest.raises(BadData, match=r"1 class sub-folder\(s\), but a classifier needs at least two"):
        load(shapes)
    assert not (tmp_path / "cache").exists()


def test_a_class_whose_every_image_is_bad_is_refused(shapes: Path):
    (shapes / "noise").mkdir()
    (shapes / "noise" / "0.png").write_bytes(b"no image at all")
    with pytest.raises(BadData, match=r"shapes/noise: none of its images can be used"):
        load(shapes)


def test_a_class_may_not_be_called_unclassified(shapes: Path):
    (shapes / "disc").rename(shapes / "unclassified")
    with pytest.raises(BadBundle, match="'unclassified' is the verdict of an open vote"):
        load(shapes)


def test_one_hot_marks_the_class_and_nothing_else():
    assert one_hot(np.array([2, 0], np.int32), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
