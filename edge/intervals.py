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
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.correction import Draws, Floats, RowPrior, unfold

WIDE = RowPrior(weight=0.05, images=0.15, by_support=True)
LOW, HIGH = 0.10, 0.98  # percentiles of the replicates, calibrated to a coverage of 95 %
START = 0.3  # concentration of the random composition that a replicate starts from
UNSEEN = 0.3  # shape of the gamma variable that stands for organisms which left no verdict
STEPS = 20
SETS = 128  # sets of images at once: bounds the memory


def intervals(
    verdicts: NDArray[np.floating],
    factors: NDArray[np.floating],
    matrices: Draws,
    random: np.random.Generator,
    relative_sd: float = 0.0,
) -> tuple[Floats, Floats]:
    """(T, C) lower and upper ends of the 95 % intervals of T sets of images.

    verdicts (T, C+1) images classified; factors (T,): images offered / images classified, by which the result is raised: for
    images left out by chance the classified ones are a thinned Poisson count, so that f times their interval holds the draw
    too. matrices (R, C, C+1) from `WIDE`, one for each replicate. relative_sd: of the volume, log-normal, one draw
    a replicate.
    """
    low, high = [], []
    for first in range(0, len(verdicts), SETS):
        part = slice(first, first + SETS)
        ends = _percentiles(_replicates(verdicts[part], factors[part], matrices, random, relative_sd))
        low.append(ends[0])
        high.append(ends[1])
    classes = matrices.shape[1]
    return (np.concatenate(low), np.concatenate(high)) if low else (np.zeros((0, classes)), np.zeros((0, classes)))


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
