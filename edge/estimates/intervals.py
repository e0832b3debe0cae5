"""Intervals of corrected counts, by a parametric bootstrap whose replicates are all computed at once.

Each replicate draws what is not known: how many organisms there would have been (a gamma variable for each verdict, the
Poisson count's own uncertainty), the classifier's confusion (M from the Dirichlet posterior of the validation counts),
and the composition that expectation maximisation starts from, so that classes the verdicts cannot tell apart are not all
decided the same way.

Two things are calibrated, by cross-fitting on the validation images of planktonset-121 (benchmarks/counts_error.py), so that
95 % of the intervals hold the truth. The posterior of M is widened: a validation image counts for a twentieth (`WIDE`). Two
finite sets of images of one class differ by more than one of them tells, most of all in rare classes; with the plain posterior
about 6 in 10 intervals held the truth. And the ends are the percentiles `LOW` and `HIGH`, not 2.5 and 97.5: the plain
ones erred nearly always above the interval (calibrated percentiles, Loh 1987, J. Am. Stat. Assoc. 82, 155-162).

With M so uncertain, replicates give verdicts of a class that dominates away to rare classes. The upper end is therefore never
below what the class's own verdicts allow: their upper Poisson limit over the lowest recall that validation allows. Without
that, labels with a twentieth of a tow or more lay above their intervals in 3 of 10 cases.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.estimates.correction import Draws, Floats, RowPrior, row_posterior, sets_at_once, unfold

WIDE = RowPrior(weight=0.05, images=0.15, by_support=True)
LOW, HIGH = 0.10, 0.975  # percentiles of the replicates, calibrated to a coverage of 95 %
START = 0.3  # concentration of the random composition that a replicate starts from
UNSEEN = 0.3  # shape of the gamma variable that stands for organisms which left no verdict
STEPS = 20


def lowest_recall(confusion: NDArray[np.integer]) -> Floats:
    """(C,) the 2.5th percentile of each class's recall, of the Dirichlet posterior of its plain row (a beta distribution).

    By 4,000 draws that are the same every time.
    """
    parameters = row_posterior(confusion, RowPrior(weight=1.0, images=1.0, by_support=True))
    hits = np.diagonal(parameters)
    misses = np.maximum(parameters.sum(axis=1) - hits, 1e-9)
    found: Floats = np.quantile(np.random.default_rng(0).beta(hits, misses, (4000, len(hits))), 0.025, axis=0)
    return found


def intervals(
    verdicts: NDArray[np.floating],
    factors: NDArray[np.floating],
    matrices: Draws,
    recall: Floats,
    random: np.random.Generator,
    relative_sd: float = 0.0,
) -> tuple[Floats, Floats]:
    """(T, C) lower and upper ends of the 95 % intervals of T sets of images.

    verdicts (T, C+1) images classified; factors (T,): images offered / images classified, by which the result is raised: for
    images left out by chance the classified ones are a thinned Poisson count, so that f times their interval holds the draw
    too. matrices (R, C, C+1) from `WIDE`, one for each replicate; recall (C,) as `lowest_recall`. relative_sd: of the
    volume, log-normal, one draw a replicate.
    """
    low, high = [], []
    sets = sets_at_once(matrices.shape[1])
    for first in range(0, len(verdicts), sets):
        part = slice(first, first + sets)
        ends = _percentiles(_replicates(verdicts[part], factors[part], matrices, random, relative_sd))
        low.append(ends[0])
        high.append(
            np.maximum(ends[1], _own(verdicts[part], recall) * factors[part][:, None] * np.exp(2 * relative_sd))
        )
    classes = matrices.shape[1]
    return (np.concatenate(low), np.concatenate(high)) if low else (np.zeros((0, classes)), np.zeros((0, classes)))


def _own(verdicts: NDArray[np.floating], recall: Floats) -> Floats:
    """(T, C) the upper end by the class's own verdicts, at most all images; 0 without one."""
    own = verdicts[:, :-1].astype(np.float64)
    most = _upper(verdicts.sum(axis=1, keepdims=True).astype(np.float64))
    return np.where(own > 0, np.minimum(_upper(own) / np.maximum(recall, 1e-9), most), 0.0)


def _upper(count: Floats) -> Floats:
    """Near the upper 97.5 % limit of a Poisson mean: 3.8 for 1 (Garwood 5.6), 120 for 100 (121.6)."""
    found: Floats = count + 2 * np.sqrt(count + 1)
    return found


def _replicates(
    verdicts: NDArray[np.floating],
    factors: NDArray[np.floating],
    matrices: Draws,
    random: np.random.Generator,
    relative_sd: float,
) -> NDArray[np.float32]:
    """(R, T, C): what each replicate makes of each set."""
    replicates, classes = matrices.shape[:2]
    y = random.standard_gamma(np.broadcast_to(verdicts, (replicates, *verdicts.shape))).astype(np.float32)
    shape = (replicates, len(verdicts), classes)
    start = random.standard_gamma(START, shape).astype(np.float32) + np.float32(1e-9)
    start /= start.sum(axis=2, keepdims=True)
    pseudo = np.minimum(12.0, 0.05 * verdicts.sum(axis=1)).astype(np.float32)[None, :, None] * start
    found = unfold(y, matrices, start, STEPS, pseudo)
    found = found + random.standard_gamma(UNSEEN, shape).astype(np.float32)
    scale = np.exp(relative_sd * random.standard_normal(replicates) - relative_sd**2 / 2)
    raised: NDArray[np.float32] = found * (scale[:, None, None] * factors[None, :, None]).astype(np.float32)
    return raised


def _percentiles(replicates: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """By the nearest order statistics outside, so that few replicates give wider intervals and not narrower ones."""
    count = len(replicates)
    below = max(int(np.floor(LOW * (count + 1))) - 1, 0)
    above = min(int(np.ceil(HIGH * (count + 1))) - 1, count - 1)
    ranked = np.partition(replicates, (below, above), axis=0)
    return ranked[below].astype(np.float64), ranked[above].astype(np.float64)
