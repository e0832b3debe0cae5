"""Which members in which scheme are worth considering: the accuracy-latency front of all choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TypeVar

from quantize.comparison import Choice

T = TypeVar("T")
MOST_MEMBERS = 8  # whose subsets are all looked at: 255


def one_core(choice: Choice) -> float:
    """Milliseconds per image with one thread."""
    return choice.milliseconds_one


def all_cores(choice: Choice) -> float:
    """Milliseconds per image with all cores."""
    return choice.milliseconds_all


def front(choices: Sequence[Choice], milliseconds: Callable[[Choice], float]) -> tuple[Choice, ...]:
    """The choices to which no other is superior, from the fastest to the most accurate (Pareto 1906).

    Superior: at least as accurate and at least as fast, and better in one of the two. So choices that are equal in both
    are on the front together, in the order given.
    """
    ranked = sorted(choices, key=lambda choice: (milliseconds(choice), -choice.accuracy))
    found: list[Choice] = []
    for choice in ranked:
        if not found or choice.accuracy > found[-1].accuracy or _equal(choice, found[-1], milliseconds):
            found.append(choice)
    return tuple(found)


def subsets(members: Sequence[T]) -> list[tuple[T, ...]]:
    """The ensembles to compare, small ones first: every subset that is not empty, members in the order given.

    Of more than MOST_MEMBERS members only each alone, the first 2, the first 3, ..., all but each one, and all: their
    number then grows with the members, not with 2 to their power.
    """
    count = len(members)
    if count <= MOST_MEMBERS:
        return [subset for size in range(1, count + 1) for subset in combinations(members, size)]
    alone = [(member,) for member in members]
    first = [tuple(members[:size]) for size in range(2, count - 1)]
    all_but_one = list(combinations(members, count - 1))
    return [*alone, *first, *all_but_one, tuple(members)]


def _equal(choice: Choice, other: Choice, milliseconds: Callable[[Choice], float]) -> bool:
    return choice.accuracy == other.accuracy and milliseconds(choice) == milliseconds(other)
