"""How long things take, as a person says it, and a line now and then on how a long step goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
Say = Callable[[str], None]  # takes a line for the person

SECONDS_BETWEEN_LINES = 10.0


def silent(line: str) -> None:
    """For where nobody waits."""


def paced(
    items: Iterable[T],
    total: int,
    noun: str,
    say: Say,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[T]:
    """The items as they come; says every SECONDS_BETWEEN_LINES how many of `total` are done and what the rest will take."""
    started = told = clock()
    for done, item in enumerate(items):
        now = clock()
        if now - told >= SECONDS_BETWEEN_LINES:
            left = (now - started) / done * (total - done)
            say(f"{done:,} of {total:,} {noun}, {spelled(left)} left")
            told = now
        yield item


def spelled(seconds: float) -> str:
    """A duration as a person says it: 45 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
