"""How good verdicts are against known classes: accuracy, balanced accuracy, macro-F1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadData
from bundle.labels import UNCLASSIFIED
from bundle.vote import NO_LABEL

Z95 = 1.959964  # the normal distribution's 97.5 % point


@dataclass(frozen=True)
class ClassScore:
    """One class of the truth, or one that only verdicts named."""

    images: int  # that truly are of the class
    verdicts: int  # that named it
    right: int  # both

    @property
    def recall(self) -> float | None:
        """Share of the class's images that were found, 0..1; None where there are none."""
        return self.right / self.images if self.images else None

    @property
    def precision(self) -> float | None:
        """Share of the verdicts that were right, 0..1; None where there are none."""
        return self.right / self.verdicts if self.verdicts else None

    @property
    def f1(self) -> float:
        """2 right / (images + verdicts): the harmonic mean of recall and precision, 0..1."""
        return 2 * self.right / (self.images + self.verdicts)


@dataclass(frozen=True)
class Scores:
    """Over `images` images with a verdict; rejected images have none. `unclassified` counts as wrong."""

    images: int
    right: int
    unclassified: int
    classes: Mapping[str, ClassScore]

    @property
    def accuracy(self) -> float:
        """Share of the images whose verdict is their class, 0..1."""
        return self.right / self.images

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The accuracy's 95 % confidence interval, each bound 0..1 (Wilson 1927): what so many images can tell."""
        n, z = self.images, Z95
        middle = (self.accuracy + z * z / (2 * n)) / (1 + z * z / n)
        reach = z / (1 + z * z / n) * sqrt(self.accuracy * (1 - self.accuracy) / n + z * z / (4 * n * n))
        return max(0.0, middle - reach), min(1.0, middle + reach)

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that the truth holds, 0..1 (Brodersen et al. 2010): each class weighs the same."""
        recalls = [score.recall for score in self.classes.values() if score.recall is not None]
        return sum(recalls) / len(recalls)

    @property
    def macro_f1(self) -> float:
        """Mean F1, 0..1, of the classes that truth or verdicts hold (scikit-learn's f1_score, average="macro").

        `unclassified` is no class: it lowers the recall of the others.
        """
        return sum(score.f1 for score in self.classes.values()) / len(self.classes)

    @property
    def summary(self) -> Summary:
        """The figures alone."""
        return Summary(self.images, round(self.accuracy, 6), round(self.balanced_accuracy, 6), round(self.macro_f1, 6))


@dataclass(frozen=True)
class Summary:
    """The three figures for a record, rounded to a millionth: finer than any data set."""

    images: int
    accuracy: float  # 0..1, as the two below
    balanced_accuracy: float
    macro_f1: float


def score_indices(truth: NDArray[np.int32], verdicts: NDArray[np.int32], labels: Sequence[str]) -> Scores:
    """The scores of (M,) class indices against (M,) class indices or NO_LABEL. Raises BadData when there are none."""
    names = [*labels, UNCLASSIFIED]  # NO_LABEL is -1, and so the last of these
    return score((names[true], names[verdict]) for true, verdict in zip(truth.tolist(), verdicts.tolist(), strict=True))


def confusion(truth: NDArray[np.int32], verdicts: NDArray[np.int32], class_count: int) -> NDArray[np.int64]:
    """(C, C + 1) image counts: row the true class, column the verdict, the last column NO_LABEL (unclassified).

    truth (M,) class indices; verdicts (M,) class indices or NO_LABEL.
    """
    columns = class_count + 1
    column = np.where(verdicts == NO_LABEL, class_count, verdicts)
    return np.bincount(truth * columns + column, minlength=class_count * columns).reshape(class_count, columns)


def class_counts(verdicts: NDArray[np.int32], class_count: int) -> NDArray[np.int64]:
    """(C,) images of each class, of (M,) class indices; those that are NO_LABEL are left out."""
    return np.bincount(verdicts[verdicts != NO_LABEL], minlength=class_count)


def bray_curtis(counts: NDArray[np.integer], others: NDArray[np.integer]) -> float:
    """Dissimilarity of two communities, 0 (the same) to 1 (no species in common): sum |a - b| / sum (a + b).

    Bray and Curtis 1957. Both are (C,) counts of the same classes; two empty communities are the same.
    """
    total = int(counts.sum() + others.sum())
    return float(np.abs(counts - others).sum() / total) if total else 0.0


def score(pairs: Iterable[tuple[str, str]]) -> Scores:
    """The scores of (truth, verdict) pairs of labels. Raises BadData when there are none."""
    tally = Counter(pairs)
    images: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    for (truth, verdict), count in tally.items():
        images[truth] += count
        verdicts[verdict] += count
    if not images:
        raise BadData("no image has both a known class and a verdict, so there is nothing to score")
    unclassified = verdicts.pop(UNCLASSIFIED, 0)
    classes = {
        label: ClassScore(images[label], verdicts[label], tally[label, label])
        for label in sorted(images.keys() | verdicts.keys())
    }
    right = sum(each.right for each in classes.values())
    return Scores(images.total(), right, unclassified, classes)
