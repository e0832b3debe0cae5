"""How far a score can be believed: log loss, calibration error, and the one temperature that mends most of it.

Axes: M images, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

# A score below it counts as this much, as in the National Data Science Bowl: one zero is not infinite loss.
SMALLEST = 1e-15
BINS = 15  # as Guo et al. 2017
# A temperature outside says that the validation images are too few or too easy to fit one.
COLDEST, HOTTEST = 0.05, 20.0


@dataclass(frozen=True)
class ReliabilityBin:
    """Verdicts whose score lies in (low, high]."""

    low: float
    high: float
    images: int
    mean_score: float  # 0..1
    accuracy: float  # 0..1


def log_loss(truth: NDArray[np.int32], scores: Floats) -> float:
    """Mean of -ln(score of the true class), in nats. truth (M,) class indices, scores (M, C), each row a distribution."""
    of_truth = scores[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.maximum(of_truth, SMALLEST)).mean())


def reliability(score: Floats, right: NDArray[np.bool_], bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """The verdicts by their score in equal-width bins, those without a verdict left out (Guo et al. 2017, section 2).

    score (M,) of each verdict, 0..1; right (M,) whether it is the true class.
    """
    exact = score.astype(np.float64)
    index = np.clip(np.ceil(exact * bins).astype(int) - 1, 0, bins - 1)
    return tuple(
        ReliabilityBin(
            each / bins,
            (each + 1) / bins,
            int((index == each).sum()),
            float(exact[index == each].mean()),
            float(right[index == each].mean()),
        )
        for each in np.unique(index).tolist()
    )


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Expected calibration error, 0..1: mean over the images of |accuracy - mean score| of their bin (Guo et al. 2017, eq. 3)."""
    images = sum(each.images for each in bins)
    return sum(each.images * abs(each.accuracy - each.mean_score) for each in bins) / images


def at_temperature(scores: Floats, temperature: float) -> NDArray[np.float64]:
    """softmax(ln(scores) / temperature), (M, C): above 1 it takes confidence away, below 1 it adds some; the order stays.

    Softmax forgets a constant, so ln(scores) stands for the logits that Guo et al. 2017, eq. 9 divide.
    """
    logits = np.log(np.maximum(scores.astype(np.float64), SMALLEST)) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return scaled


def fit_temperature(truth: NDArray[np.int32], scores: Floats) -> float:
    """The temperature, from COLDEST to HOTTEST, that gives these scores the least log loss (Guo et al. 2017, section 4.2).

    The loss is convex in 1 / temperature, so it has one valley, which a golden-section search (Kiefer 1953) over
    ln(temperature) cannot miss.
    """
    golden = (5**0.5 - 1) / 2
    low, high = log(COLDEST), log(HOTTEST)

    def loss(at: float) -> float:
        return log_loss(truth, at_temperature(scores, exp(at)))

    left, right = high - golden * (high - low), low + golden * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    while high - low > 1e-5:
        if loss_left <= loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - golden * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + golden * (high - low)
            loss_right = loss(right)
    return exp((low + high) / 2)
