"""Reading a data set: what is taken, what is left out and said, and when the cache may be trusted."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bundle.errors import BadData
from bundle.preprocess import InputSpec, prepare
from bundle.whole import sha256_hex
from trainer.data.dataset import Dataset, load_dataset
from trainer.feed import one_hot

from .conftest import write_shapes

SPEC, SIDE = InputSpec(), 16


def load(folder: Path, said: list[str] | None = None, side: int = SIDE) -> Dataset:
    return load_dataset(folder, SPEC, side, folder.parent / "cache", (said if said is not None else []).append)


def assert_same(one: Dataset, other: Dataset) -> None:
    for field in ("labels", "hashes", "origins", "files", "digest", "findings"):
        assert getattr(one, field) == getattr(other, field)
    for field in ("classes", "pixels", "features"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        assert getattr(one, field).dtype == getattr(other, field).dtype


def test_every_image_stands_under_its_hash_with_its_label_and_the_bundles_own_pixels(shapes: Path):
    dataset = load(shapes)
    assert dataset.labels == ("disc", "ring", "rod")
    assert list(dataset.hashes) == sorted(dataset.hashes)
    assert np.bincount(dataset.classes).tolist() == [20, 20, 20]
    for path in shapes.glob("*/7.png"):
        data = path.read_bytes()
        at = dataset.hashes.index(sha256_hex(data))
        expected = prepare(data, SPEC, [SIDE])
        assert dataset.labels[dataset.classes[at]] == path.parent.name
        assert dataset.files[at] == f"{path.parent.name}/7.png"
        np.testing.assert_array_equal(dataset.pixels[at], expected.pixels[SIDE])
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
    assert dataset.findings.duplicates == ("disc/again.png has the content of disc/0.png",)
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
    assert_same(second, first)
    write_shapes(shapes, per_class=1, seed=9, first=20)
    assert len(load(shapes, said).hashes) == 63
    assert load(shapes, said, 24).pixels.shape == (63, 24, 24)
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


def test_of_several_faults_the_first_is_told_and_the_way_to_the_others(shapes: Path):
    (shapes / "empty").mkdir()
    (shapes / "CON").mkdir()
    with pytest.raises(BadData) as refused:
        load(shapes)
    assert str(refused.value) == (
        f"{shapes}: the class folder 'CON' is the name of a device on Windows and cannot be a file name there; rename it "
        "(and 2 more: planktow-trainer inspect shows all)"
    )


def test_a_file_name_that_is_not_utf_8_is_read_like_any_other(shapes: Path):
    (shapes / "disc" / "0.png").rename(shapes / "disc" / os.fsdecode(b"M\xfcller.png"))
    (shapes / "disc" / os.fsdecode(b"K\xe4fer.png")).write_bytes(b"torn")
    dataset = load(shapes)
    assert "disc/M\\xfcller.png" in dataset.files
    assert dataset.findings.unreadable[0].startswith("disc/K\\xe4fer.png: not a JPEG")
    assert_same(load(shapes), dataset)  # from the cache


@pytest.mark.parametrize("damage", ["cut", "empty", "overwritten", "something else"])
def test_a_damaged_cache_is_said_read_anew_and_mended(shapes: Path, damage: str):
    first = load(shapes)
    (kept,) = (shapes.parent / "cache").iterdir()
    whole = kept.read_bytes()
    middle = len(whole) // 2
    kept.write_bytes(
        {
            "cut": whole[:middle],
            "empty": b"",
            "overwritten": whole[:middle] + bytes(64) + whole[middle + 64 :],
            "something else": b"not an archive of arrays",
        }[damage]
    )
    said: list[str] = []
    assert_same(load(shapes, said), first)
    assert said == [
        f"{kept}: damaged; the images are read anew",
        f"reading 60 files in 3 classes from {shapes}",
    ]
    assert_same(load(shapes, said), first)
    assert len(said) == 2


def test_a_full_disk_costs_the_cache_and_nothing_else(shapes: Path):
    loading = (
        "import sys, pathlib; from bundle.preprocess import InputSpec; from trainer.data.dataset import load_dataset\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "print(load_dataset(folder, InputSpec(), 16, folder.parent / 'cache', print).digest)"
    )
    limit = 5000  # bytes of a file; the arrays are 18,000
    ended = subprocess.run(
        [sys.executable, "-c", loading, str(shapes)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
    _, not_kept, digest = ended.stdout.splitlines()
    assert not_kept.endswith(".npz: not kept (File too large); the images will be read anew the next time")
    assert digest == load_dataset(shapes, SPEC, SIDE, shapes.parent / "elsewhere", print).digest
    assert list((shapes.parent / "cache").iterdir()) == []


def test_one_hot_marks_the_class_and_nothing_else():
    assert one_hot(np.array([2, 0], np.int32), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
