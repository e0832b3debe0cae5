"""What is in a folder of labelled images, before anything is trained on it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle.preprocess import FEATURES, InputSpec
from bundle.whole import json_bytes, write_whole
from bundle.writing import writing_to
from trainer.config import Shares
from trainer.data.classfolders import class_files, folder_faults, is_image
from trainer.data.dataset import Dataset, Findings, image_faults, read_dataset
from trainer.data.split import PARTS, SMALLEST_SPLIT, split_dataset

REPORT, PLOT = "data-report.json", "class-counts.png"
SCHEMA_VERSION = 1

NEAR_EMPTY = 10  # images; below, the usual share for test is less than one image and its score a matter of luck


@dataclass(frozen=True)
class Spread:
    """Smallest, middle and largest of a number of sizes."""

    smallest: int
    median: float
    largest: int

    @staticmethod
    def of(values: Sequence[int] | NDArray[np.int64]) -> Spread | None:
        """None for no values."""
        if not len(values):
            return None
        return Spread(int(np.min(values)), float(np.median(values)), int(np.max(values)))


@dataclass(frozen=True)
class ClassSize:
    """The images of one class that can be used, and how the split would divide them."""

    label: str
    images: int  # originals
    train: int  # with augmented copies
    validation: int
    test: int


@dataclass(frozen=True)
class DataReport:
    """The contents of data-report.json."""

    schema_version: int
    folder: str
    digest: str  # as in training.json
    images: int  # distinct, usable, no augmented copies
    augmented: int  # copies that would train
    augmented_unused: int  # copies of images that do not train here
    classes: tuple[ClassSize, ...]
    class_sizes: Spread | None  # images of a class
    class_ratio: float | None  # largest class / smallest
    near_empty: tuple[str, ...]  # classes of fewer than NEAR_EMPTY images
    all_for_training: tuple[str, ...]  # classes too small for an image in validation and test
    width: Spread | None  # pixels
    height: Spread | None
    long_side: Spread | None
    shares: Shares
    findings: Findings
    other_files: dict[str, int]  # files that are not read, by suffix
    faults: tuple[str, ...]  # why training would refuse

    def part(self, name: str) -> int:
        """The images of all classes in a part."""
        return sum(getattr(size, name) for size in self.classes)


def inspect_data(
    folder: Path, spec: InputSpec, side: int, shares: Shares, cache: Path | None, say: Callable[[str], None]
) -> DataReport:
    """The report on `folder`. Reads every image; the arrays are kept in `cache` for members that train at `side`.

    Raises BadData, BadConfig.
    """
    files = class_files(folder)
    dataset = read_dataset(folder, files, spec, side, cache, say)
    empty = {name for name, paths in files.items() if not paths}
    faults = folder_faults(folder, files) + [
        fault for label, fault in image_faults(folder, dataset).items() if label not in empty
    ]
    others = Counter(
        path.suffix.lower() or path.name for path in folder.rglob("*") if path.is_file() and not is_image(path)
    )
    most_first = dict(sorted(others.items(), key=lambda suffix: (-suffix[1], suffix[0])))
    return report_of(folder, dataset, shares, most_first, faults)


def report_of(
    folder: Path, dataset: Dataset, shares: Shares, other_files: dict[str, int], faults: Sequence[str]
) -> DataReport:
    """The report on a data set that was read from `folder`."""
    parts = np.array(split_dataset(dataset, shares), dtype=str)
    original = np.array([not origin for origin in dataset.origins], bool)
    count = len(dataset.labels)
    counts = np.bincount(dataset.classes[original], minlength=count)
    divided = {part: np.bincount(dataset.classes[parts == part], minlength=count) for part in PARTS}
    width, height = (
        np.rint(np.exp(dataset.features[original, FEATURES.index(name)])).astype(int)
        for name in ("log_width", "log_height")
    )
    return DataReport(
        schema_version=SCHEMA_VERSION,
        folder=str(folder),
        digest=dataset.digest,
        images=int(original.sum()),
        augmented=int((~original & (parts == "train")).sum()),
        augmented_unused=int((parts == "unused").sum()),
        classes=tuple(
            ClassSize(label, int(counts[index]), *(int(divided[part][index]) for part in PARTS))
            for index, label in enumerate(dataset.labels)
        ),
        class_sizes=Spread.of(counts),
        class_ratio=float(counts.max() / counts.min()) if count and counts.min() else None,
        near_empty=_labels_where(dataset, counts < NEAR_EMPTY),
        all_for_training=_labels_where(dataset, counts < SMALLEST_SPLIT),
        width=Spread.of(width),
        height=Spread.of(height),
        long_side=Spread.of(np.maximum(width, height)),
        shares=shares,
        findings=dataset.findings,
        other_files=other_files,
        faults=tuple(faults),
    )


def write_data_report(report: DataReport, out: Path) -> None:
    """Writes data-report.json and the plot of the class sizes to the folder `out`. Raises BadData."""
    from trainer.data.classcounts import write_class_counts

    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / REPORT, json_bytes(dataclasses.asdict(report)))
        if report.classes:
            write_class_counts(
                out / PLOT,
                f"{Path(report.folder).resolve().name}: {report.images:,} images in {len(report.classes)} classes",
                [size.label for size in report.classes],
                [(size.train, size.validation, size.test) for size in report.classes],
            )


def _labels_where(dataset: Dataset, chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(label for label, wanted in zip(dataset.labels, chosen, strict=True) if wanted)
