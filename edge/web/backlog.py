"""How many images wait, and when they will all be counted if it goes on as in the last half minute."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from edge.bins import SECOND_NS

LOOK_BACK_NS = 30 * SECOND_NS
_LEAST_NS = 5 * SECOND_NS  # over less than this nothing is foretold
_MOMENT_SECONDS = 3.0  # what is counted within so long is no backlog: images come in batches

Trend = Literal["none", "shrinking", "growing", "unknown"]


@dataclass(frozen=True)
class Backlog:
    """Files found and not yet decided on."""

    waiting: int
    trend: Trend
    clear_seconds: float | None = None  # None: not foreseeable


class Queue:
    """Remembers how many waited in the last half minute."""

    def __init__(self) -> None:
        self._seen = deque[tuple[int, int]]()  # (UTC ns, waiting)

    def foresee(self, now_ns: int, waiting: int, images_per_second: float) -> Backlog:
        """The backlog, and when it will be cleared. A clock that was set back begins anew."""
        if self._seen and self._seen[-1][0] > now_ns:
            self._seen.clear()
        self._seen.append((now_ns, waiting))
        while now_ns - self._seen[0][0] > LOOK_BACK_NS:
            self._seen.popleft()
        if waiting <= images_per_second * _MOMENT_SECONDS:
            return Backlog(waiting, "none", 0.0)
        past_ns, before = self._seen[0]
        if now_ns - past_ns < _LEAST_NS:
            return Backlog(waiting, "unknown", waiting / images_per_second if images_per_second > 0 else None)
        cleared_per_second = (before - waiting) / ((now_ns - past_ns) / SECOND_NS)
        if cleared_per_second <= 0:
            return Backlog(waiting, "growing" if images_per_second > 0 or before < waiting else "unknown")
        return Backlog(waiting, "shrinking", waiting / cleared_per_second)
