"""Shares of classes in a set of images from the images' own scores, where they are kept.

The ledger keeps one score of each verdict, not the members' scores, so that reports cannot use this today; they correct
by the confusion counts (edge/estimates/correction.py). It serves benchmarks, and hosts that store score vectors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def emq(
    posteriors: NDArray[np.floating],
    prior: NDArray[np.floating],
    iterations: int = 1000,
    tolerance: float = 1e-8,
) -> NDArray[np.float64]:
    """(C,) shares of the classes among B images: expectation maximisation on calibrated scores, EMQ or SLD.

    Saerens, Latinne & Decaestecker (2002), Neural Computation 14, 21-41, equation 2.2. posteriors (B, C): calibrated
    probabilities of the classes under the training's shares; prior (C,): those shares. Both are normalised here. Stops when
    no share moves by more than `tolerance`. With no image the answer is the prior. A class with a prior of 0 stays at 0.
    Raises ValueError for shapes that do not fit, negative or non-finite values, and rows without a class.
    """
    scores: NDArray[np.float64] = np.asarray(posteriors, np.float64)
    shares: NDArray[np.float64] = np.asarray(prior, np.float64)
    if scores.ndim != 2 or shares.shape != scores.shape[1:]:
        raise ValueError(f"posteriors are (B, C) and the prior (C,), not {scores.shape} and {shares.shape}")
    if not (np.isfinite(scores).all() and np.isfinite(shares).all()) or (scores < 0).any() or (shares < 0).any():
        raise ValueError("scores and shares are finite numbers from 0")
    if shares.sum() <= 0:
        raise ValueError("the prior has no class")
    shares = shares / shares.sum()
    ratio = np.divide(
        scores, shares, out=np.zeros_like(scores), where=shares > 0
    )  # likelihoods, up to a factor an image
    if (ratio.sum(axis=1) <= 0).any():
        raise ValueError("an image has no class with a score and a prior above 0")
    if not len(ratio):
        return shares
    ratio /= ratio.max(axis=1, keepdims=True)
    for _ in range(iterations):
        now: NDArray[np.float64] = shares * (ratio.T @ (1 / (ratio @ shares))) / len(ratio)
        now /= now.sum()
        if np.abs(now - shares).max() <= tolerance:
            return now
        shares = now
    return shares
