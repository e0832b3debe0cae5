"""Shares of classes in a set of images from the images' own scores: expectation maximisation, EMQ or SLD.

Scores say more than verdicts: of an image called copepod with a score of 0.4 they say what else it may be. Where few classes
dominate this makes much better counts than the confusion table; where a set is as mixed as the training images it makes worse
ones. `scores_weight` says how far to believe them, and `edge/estimates/estimate.py` blends the two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.estimates.correction import Floats

EFFECTIVE = 15.0  # classes in effect at which scores and confusion weigh the same
VALIDATION_IMAGES = 100.0  # and validation images: a temperature and the classes' shares are known no better
SET_IMAGES = 20.0  # and images with scores


def emq(
    posteriors: NDArray[np.floating],
    prior: NDArray[np.floating],
    iterations: int = 1000,
    tolerance: float = 1e-8,
    weights: NDArray[np.floating] | None = None,
    towards: NDArray[np.floating] | None = None,
) -> Floats:
    """(C,) shares of the classes among B images: expectation maximisation on calibrated scores, EMQ or SLD.

    Saerens, Latinne & Decaestecker (2002), Neural Computation 14, 21-41, equation 2.2. posteriors (B, C): calibrated
    probabilities of the classes under the training's shares; prior (C,): those shares. Both are normalised here. Stops when
    no share moves by more than `tolerance`. With no image the answer is the prior. A class with a prior of 0 stays at 0.
    weights (B,): how many images each stands for; all one where None. towards (C,): images added to each class at each step
    (maximum a posteriori under a Dirichlet prior), and not part of the answer.
    Raises ValueError for shapes that do not fit, negative or non-finite values, and rows without a class.
    """
    scores: Floats = np.asarray(posteriors, np.float64)
    shares: Floats = np.asarray(prior, np.float64)
    if scores.ndim != 2 or shares.shape != scores.shape[1:]:
        raise ValueError(f"posteriors are (B, C) and the prior (C,), not {scores.shape} and {shares.shape}")
    if not (np.isfinite(scores).all() and np.isfinite(shares).all()) or (scores < 0).any() or (shares < 0).any():
        raise ValueError("scores and shares are finite numbers from 0")
    if shares.sum() <= 0:
        raise ValueError("the prior has no class")
    stands = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    added = np.zeros(len(shares)) if towards is None else np.asarray(towards, np.float64)
    if stands.shape != scores.shape[:1] or added.shape != shares.shape:
        raise ValueError(f"weights are (B,) and `towards` (C,), not {stands.shape} and {added.shape}")
    if not (np.isfinite(stands).all() and np.isfinite(added).all()) or (stands < 0).any() or (added < 0).any():
        raise ValueError("weights and images added are finite numbers from 0")
    shares = shares / shares.sum()
    ratio = np.divide(
        scores, shares, out=np.zeros_like(scores), where=shares > 0
    )  # likelihoods, up to a factor an image
    if (ratio.sum(axis=1) <= 0).any():
        raise ValueError("an image has no class with a score and a prior above 0")
    if not stands.sum():
        return shares
    ratio /= ratio.max(axis=1, keepdims=True)
    allotted = shares
    for _ in range(iterations):
        allotted = shares * (ratio.T @ (stands / np.maximum(ratio @ shares, 1e-300)))
        now: Floats = allotted + added
        now /= now.sum()
        if np.abs(now - shares).max() <= tolerance:
            break
        shares = now
    found: Floats = allotted / allotted.sum()
    return found


def calibrated(scores: NDArray[np.floating], temperature: float) -> Floats:
    """(B, C) the scores made nearer to probabilities: to the power of 1 / temperature, each row summing to 1."""
    sharpened = np.maximum(np.asarray(scores, np.float64), 1e-12) ** (1 / temperature)
    found: Floats = sharpened / sharpened.sum(axis=1, keepdims=True)
    return found


def scores_weight(shares: NDArray[np.floating], validation_images: float, images: float) -> float:
    """From 0 to 1: how far shares from scores are to be believed against the correction by the confusion counts.

    1 / (1 + (e / 15)^2), e the classes in effect: 1 / sum of squared shares (Simpson 1949); less where validation has
    few images, or the set. Chosen among some twenty rules on validation images, cross-fitted (docs/counts.md).
    """
    squares = float(np.square(np.asarray(shares, np.float64)).sum())
    if not squares:
        return 0.0
    few_classes = 1 / (1 + (1 / squares / EFFECTIVE) ** 2)
    return few_classes * validation_images / (validation_images + VALIDATION_IMAGES) * images / (images + SET_IMAGES)
