"""What ensembles of each size are worth: chosen on validation, told on another part.

Axes: N members, M images, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from bundle.greedy import Scored, merit
from bundle.scores import score_indices
from bundle.vote import RULES

MOST_SUBSETS = 252  # of one size: all of them up to ten members; of more members so many are drawn
DRAW_SEED = 0


@dataclass(frozen=True)
class SizeResult:
    """All subsets of one size, or as many as were tried."""

    size: int
    tried: int
    of: int  # how many subsets there are
    best: tuple[int, ...]  # the members with the best hard vote on validation
    best_validation: float  # accuracy of their hard vote there, 0..1
    best_hard: float  # and on the part; chosen without looking at it
    best_soft: float
    mean_hard: float  # on the part, over the subsets tried
    mean_soft: float


def by_size(validation: Scored, part: Scored, labels: Sequence[str]) -> tuple[SizeResult, ...]:
    """A result for each size from one member to all."""
    count = len(part.scores)
    return tuple(_of_size(size, count, validation, part, labels) for size in range(1, count + 1))


def vote_accuracy(scored: Scored, members: Sequence[int], rule: str, labels: Sequence[str]) -> float:
    """Accuracy, 0..1, of the vote of these members."""
    verdicts = RULES[rule](scored.scores[list(members)]).label
    return score_indices(scored.truth, verdicts, labels).accuracy


def subsets(count: int, size: int) -> list[tuple[int, ...]]:
    """All subsets of `size` of `count` members, or MOST_SUBSETS different ones drawn with a fixed seed."""
    if comb(count, size) <= MOST_SUBSETS:
        return list(combinations(range(count), size))
    random = np.random.default_rng(DRAW_SEED)
    drawn: set[tuple[int, ...]] = set()
    while len(drawn) < MOST_SUBSETS:
        drawn.add(tuple(sorted(random.choice(count, size, replace=False).tolist())))
    return sorted(drawn)


def _of_size(size: int, count: int, validation: Scored, part: Scored, labels: Sequence[str]) -> SizeResult:
    tried = subsets(count, size)
    best = max(tried, key=lambda members: merit(validation, members))  # of equals the first
    hard = [vote_accuracy(part, members, "hard", labels) for members in tried]
    soft = [vote_accuracy(part, members, "soft", labels) for members in tried]
    chosen = tried.index(best)
    return SizeResult(
        size,
        len(tried),
        comb(count, size),
        best,
        merit(validation, best)[0],
        hard[chosen],
        soft[chosen],
        float(np.mean(hard)),
        float(np.mean(soft)),
    )
