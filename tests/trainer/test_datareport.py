"""What a person is told of a data set before training on it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bundle.preprocess import InputSpec
from trainer.config import Augmentation, Shares
from trainer.data.dataset import Findings, load_dataset
from trainer.data.enlarge import Recipe, enlarge
from trainer.data.report import ClassSize, DataReport, Spread, inspect_data
from trainer.data.screen import print_data_report
from trainer.data.split import split_dataset

SPEC, SIDE = InputSpec(), 16


def report(folder: Path, shares: Shares = Shares()) -> DataReport:
    return inspect_data(folder, SPEC, SIDE, shares, None, lambda _: None)


def planktow_inspect(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trainer.cli", "inspect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


@pytest.fixture
def messy(shapes: Path) -> Path:
    """Twenty of each shape, with everything that real folders have."""
    (shapes / "pair").mkdir()
    for number in range(2):
        cv2.imwrite(str(shapes / "pair" / f"{number}.png"), np.full((9 + number, 400), 50 + number, np.uint8))
    shutil.copy(shapes / "disc" / "0.png", shapes / "disc" / "again.png")
    shutil.copy(shapes / "disc" / "1.png", shapes / "rod" / "disputed.png")
    (shapes / "ring" / "torn.png").write_bytes((shapes / "ring" / "0.png").read_bytes()[:100])
    (shapes / "ring" / "notes.txt").write_text("ask Maria")
    (shapes / "loose.webp").write_bytes(b"")
    return shapes


def test_the_report_is_what_is_in_the_folder(messy: Path):
    found, dataset = report(messy), load_dataset(messy, SPEC, SIDE, messy.parent / "cache", print)
    parts = split_dataset(dataset, Shares())
    sizes = {
        label: [
            sum(part == wanted and dataset.labels[of] == label for part, of in zip(parts, dataset.classes, strict=True))
            for wanted in ("train", "validation", "test")
        ]
        for label in dataset.labels
    }
    longest = [max(cv2.imread(str(messy / file), 0).shape) for file in dataset.files]
    assert found == DataReport(
        schema_version=1,
        folder=str(messy),
        digest=dataset.digest,
        images=61,
        augmented=0,
        augmented_unused=0,
        classes=(
            ClassSize("disc", 19, *sizes["disc"]),
            ClassSize("pair", 2, 2, 0, 0),
            ClassSize("ring", 20, *sizes["ring"]),
            ClassSize("rod", 20, *sizes["rod"]),
        ),
        class_sizes=Spread(2, 19.5, 20),
        class_ratio=10.0,
        near_empty=("pair",),
        all_for_training=("pair",),
        width=found.width,
        height=found.height,
        long_side=Spread(min(longest), float(np.median(longest)), 400),
        shares=Shares(),
        findings=Findings(
            files=65,
            duplicates=("disc/again.png has the content of disc/0.png",),
            conflicts=("rod/disputed.png has the content of disc/1.png",),
            unreadable=found.findings.unreadable,
        ),
        other_files={".txt": 1, ".webp": 1},
        faults=(),
    )
    assert found.width.largest == 400
    assert found.height.smallest < 15  # a rod lies
    assert found.findings.unreadable[0].startswith("ring/torn.png: the PNG file ends before")


def test_copies_are_told_apart_from_images(shapes: Path):
    out, shares = shapes.parent / "enlarged", Shares(0.2, 0.2)
    enlarge(shapes, out, Recipe(30, 0, SPEC, shares, Augmentation()), lambda _: None)
    before, after = report(shapes, shares), report(out, shares)
    assert (after.images, after.augmented, after.augmented_unused) == (60, 30, 0)
    for name in ("class_sizes", "width", "height", "long_side", "near_empty"):
        assert getattr(after, name) == getattr(before, name)
    assert [size.train for size in after.classes] == [size.train + 10 for size in before.classes]
    assert report(out, Shares(0.3, 0.4)).augmented_unused > 0


def test_every_fault_is_told_at_once_and_ends_with_one(messy: Path):
    (messy / "empty").mkdir()
    (messy / "CON").mkdir()
    (messy / "noise").mkdir()
    (messy / "noise" / "0.png").write_bytes(b"no image at all")
    ended = planktow_inspect(messy)
    assert ended.returncode == 1
    assert [line for line in ended.stdout.splitlines() if line.startswith("cannot train")] == [
        f"cannot train  {messy}: the class folder 'CON' is the name of a device on Windows and cannot be a file name "
        "there; rename it",
        f"cannot train  {messy / 'CON'}: no images in this class; fill the folder or take it away",
        f"cannot train  {messy / 'empty'}: no images in this class; fill the folder or take it away",
        f"cannot train  {messy / 'noise'}: none of its images can be used (unreadable, or also in another class); mend or "
        "take the class away",
    ]
    assert "pair" in ended.stdout


@pytest.mark.parametrize("content", [[], ["1.png"], ["only/1.png"]])
def test_a_folder_with_nothing_to_train_on_has_a_report_too(tmp_path: Path, content: list[str]):
    for name in content:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"torn")
    found = report(tmp_path)
    assert found.images == 0
    assert "a classifier needs at least two" in found.faults[0]
    print_data_report(found)


def test_what_is_kept_and_what_is_printed(messy: Path, tmp_path: Path):
    out = tmp_path / "out"
    ended = planktow_inspect(messy, "--out", out)
    assert ended.returncode == 0, ended.stderr
    kept = json.loads((out / "data-report.json").read_bytes())
    assert kept["images"] == 61
    assert kept["classes"][1] == {"label": "pair", "images": 2, "train": 2, "validation": 0, "test": 0}
    assert kept["findings"]["conflicts"] == ["rod/disputed.png has the content of disc/1.png"]
    assert cv2.imread(str(out / "class-counts.png")).shape[1] == 1200
    for line in (
        "too small for validation and test, so never judged: 1 class: pair",
        "the same content in two classes, both left out: 1 file",
        "  rod/disputed.png has the content of disc/1.png",
        "files that are not read: 1 .txt, 1 .webp",
    ):
        assert line in ended.stdout.splitlines()
    said: list[str] = []
    load_dataset(messy, InputSpec(), 64, out / "cache", said.append)
    assert said == []  # training with the same --out reads the arrays that are there


def test_a_place_that_cannot_be_written_is_one_line(shapes: Path, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    ended = planktow_inspect(shapes, "--out", tmp_path / "file")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert f"{tmp_path / 'file'}: cannot be written (" in ended.stderr.splitlines()[-1]


def test_a_terminal_that_lacks_a_letter_shows_a_question_mark(shapes: Path):
    (shapes / "ring").rename(shapes / "Müll")
    ended = planktow_inspect(shapes, PYTHONIOENCODING="ascii")
    assert ended.returncode == 0, ended.stderr
    assert "M?ll" in ended.stdout
