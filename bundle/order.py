"""In which order members are asked, so that a hard vote is decided at the least cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from bundle.vote import decided

_MOST = 6  # members of which all orders are tried: 720


@dataclass(frozen=True)
class Order:
    """An order, and what it was expected to cost on the images it was chosen by."""

    members: tuple[int, ...]  # indexes, the first to be asked first
    asked: tuple[float, ...]  # share of the images for which each of these is asked, in the same order, 0..1
    cost: float  # mean over the images, in the unit of the costs


def cheapest_order(ballots: NDArray[np.int32], costs: Sequence[float], min_votes: int) -> Order:
    """The order of N members that decides these images at the least mean cost; the earlier one where two are equal.

    ballots: (N, V) class indexes of V images, V >= 1; costs: of each member for an image, in any one unit. All orders are
    tried for up to 6 members; more are asked from the cheapest to the dearest.
    """
    members = range(len(ballots))
    if len(ballots) > _MOST:
        return _expected(tuple(sorted(members, key=lambda member: costs[member])), ballots, costs, min_votes)
    orders = (_expected(order, ballots, costs, min_votes) for order in permutations(members))
    return min(orders, key=lambda order: order.cost)


def _expected(order: tuple[int, ...], ballots: NDArray[np.int32], costs: Sequence[float], min_votes: int) -> Order:
    still = ballots[list(order)]
    images, asked = ballots.shape[1], []
    for count in range(1, len(order) + 1):
        asked.append(still.shape[1] / images)
        still = still[:, ~decided(still[:count], len(order), min_votes)]
    cost = sum(share * costs[member] for share, member in zip(asked, order, strict=True))
    return Order(order, tuple(asked), cost)
