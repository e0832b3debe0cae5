"""What rare classes are given: a weight in the loss, or a higher chance to be drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.config import Imbalance


def class_weights(classes: NDArray[np.int32], class_count: int, how: Imbalance) -> NDArray[np.float32]:
    """(C,) float32 weights in the loss, scaled so that their mean over the images is 1.

    classes: (M,) class indices of the training images. A class without any gets the weight 0. "inverse" weighs a class of n
    images n^-power; "effective" weighs it (1 - beta) / (1 - beta^n), the inverse of its effective number (Cui et al. 2019).
    """
    counts = np.bincount(classes, minlength=class_count).astype(np.float64)
    some = np.maximum(counts, 1)
    each = {
        "none": np.ones(class_count),
        "inverse": some**-how.power,
        "effective": (1 - how.beta) / (1 - how.beta**some),
    }[how.class_weights]
    weights = np.where(counts > 0, each, 0.0)
    return (weights * counts.sum() / (weights * counts).sum()).astype(np.float32)


def draw_weights(classes: NDArray[np.int32], class_count: int, balance: float) -> NDArray[np.float64] | None:
    """(M,) chance of each training image to be the next one drawn, with replacement; None where each is drawn once an epoch.

    A class of n images is drawn in proportion to n^(1 - balance): balance 1 draws all classes equally often.
    """
    if not balance:
        return None
    counts = np.bincount(classes, minlength=class_count)
    chance = counts[classes] ** -float(balance)
    return chance / chance.sum()


def class_shares(classes: NDArray[np.int32], class_count: int) -> NDArray[np.float64]:
    """(C,) share of each class among the images, summing to 1."""
    counts = np.bincount(classes, minlength=class_count)
    return counts / counts.sum()
