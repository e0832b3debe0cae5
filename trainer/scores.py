"""How good a classifier is on labelled images: pure functions over (B,) class indices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """Shares from 0 to 1 over `images` labelled images."""

    images: int
    accuracy: float  # share of images that got their own label
    balanced_accuracy: float  # mean over the classes present of each one's recall
    macro_f1: float  # mean over the classes present of each one's F1


def score(truth: NDArray[np.integer], predicted: NDArray[np.integer], class_count: int) -> Scores:
    """Scores of (B,) predictions; a prediction outside 0..C-1 (unclassified) is a miss. Classes without images are left out."""
    hit = truth == predicted
    support = np.bincount(truth, minlength=class_count)
    hits = np.bincount(truth[hit], minlength=class_count)
    given = np.bincount(predicted[(predicted >= 0) & (predicted < class_count)], minlength=class_count)
    present = support > 0
    recall = hits[present] / support[present]
    f1 = 2 * hits[present] / (support[present] + given[present])
    return Scores(len(truth), float(hit.mean()), float(recall.mean()), float(f1.mean()))
