"""How good verdicts are against the truth: a confusion matrix and what follows from it. Pure functions.

Axes: M images, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bundle.vote import NO_LABEL


@dataclass(frozen=True)
class Scores:
    """Shares from 0 to 1 over labelled images; an unclassified image is a miss."""

    accuracy: float  # share of images that got their own label
    balanced_accuracy: float  # mean of the recall over the classes that have images
    macro_f1: float  # mean of the F1 over the classes that have images


@dataclass(frozen=True)
class ClassScores:
    """One class. None where nothing can be said: no image has the label, or no verdict gave it."""

    label: str
    support: int  # images that are of this class
    recall: float | None  # share of these that got the label, 0..1
    precision: float | None  # share of the verdicts with the label that are right, 0..1
    f1: float | None  # 2 * hits / (support + verdicts), 0..1


def confusion(truth: NDArray[np.int32], verdicts: NDArray[np.int32], class_count: int) -> NDArray[np.int64]:
    """(C, C + 1) image counts: row the true class, column the verdict, the last column NO_LABEL (unclassified).

    truth (M,) class indices; verdicts (M,) class indices or NO_LABEL.
    """
    columns = class_count + 1
    column = np.where(verdicts == NO_LABEL, class_count, verdicts)
    return np.bincount(truth * columns + column, minlength=class_count * columns).reshape(class_count, columns)


def overall(counts: NDArray[np.int64]) -> Scores:
    """The scores in a confusion matrix (C, C + 1) of at least one image."""
    support, given, hits = _margins(counts)
    present = support > 0
    recall = hits[present] / support[present]
    f1 = 2 * hits[present] / (support[present] + given[present])
    return Scores(_share(hits.sum() / support.sum()), _share(recall.mean()), _share(f1.mean()))


def per_class(counts: NDArray[np.int64], labels: tuple[str, ...]) -> list[ClassScores]:
    """The scores of each class, in the order of the labels, from a confusion matrix (C, C + 1)."""
    return [
        ClassScores(
            label,
            int(support),
            _share(hits / support) if support else None,
            _share(hits / given) if given else None,
            _share(2 * hits / (support + given)) if support + given else None,
        )
        for label, support, given, hits in zip(labels, *_margins(counts), strict=True)
    ]


def _margins(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(C,) each: images of a class, verdicts for it, and both at once."""
    return counts.sum(axis=1), counts[:, :-1].sum(axis=0), np.diagonal(counts)


def _share(value: float) -> float:
    return round(float(value), 6)  # a millionth: finer than any data set, and short in the record
