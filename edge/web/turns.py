"""Long computations for readers of the page: one at a time, behind the daemon, and each for all who ask alike."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

STEP_BACK = (
    5  # nice of the thread that computes above the server's own, on Linux: counting first, then readers, then this
)
WAITING_MOST = 8
FRESH_SECONDS = 10.0
WORTH = 5.0  # an answer is kept so many times as long as it took: asked all the time, it takes a sixth of one core
KEPT_MOST = 24


class Busy(Exception):
    """Too many wait already; `seconds`: when to ask again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many wait; ask again in {seconds} s")
        self.seconds = seconds


class Turns:
    """Runs one call after another in a thread of its own; what would have to wait behind `waiting` others is refused."""

    def __init__(self, name: str, waiting: int = WAITING_MOST) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name, initializer=_step_back)
        self._most = waiting + 1
        self._lock = threading.Lock()
        self._under_way = 0
        self._usual_seconds = 1.0

    def begin(self, make: Callable[[], T]) -> Future[T]:
        """Raises Busy."""
        with self._lock:
            if self._under_way >= self._most:
                raise Busy(max(1, round(self._under_way * self._usual_seconds)))
            self._under_way += 1
        return self._pool.submit(self._run, make)

    def _run(self, make: Callable[[], T]) -> T:
        begun = time.monotonic()
        try:
            return make()
        finally:
            with self._lock:
                self._under_way -= 1
                self._usual_seconds += 0.3 * (time.monotonic() - begun - self._usual_seconds)


@dataclass
class _Answer(Generic[T]):
    coming: Future[T]
    good_until: float  # seconds of the clock; infinity while it is computed


class Kept:
    """Answers by what was asked: computed once for all who ask meanwhile, and kept for a while. Faults are not kept.

    seconds: the clock, which never goes back.
    """

    def __init__(
        self, turns: Turns, fresh: float = FRESH_SECONDS, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._turns, self._fresh, self._seconds = turns, fresh, seconds
        self._lock = threading.Lock()
        self._answers: dict[Hashable, _Answer[Any]] = {}

    async def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns, now or a while ago. Raises Busy, and what `make` raises."""
        # Shielded: a reader who goes away must not take the answer from the others.
        return await asyncio.shield(asyncio.wrap_future(self._coming(key, make)))

    def _coming(self, key: Hashable, make: Callable[[], T]) -> Future[T]:
        with self._lock:
            now = self._seconds()
            for old in [key for key, each in self._answers.items() if each.good_until < now]:
                del self._answers[old]
            found = self._answers.get(key)
            if found is not None:
                return found.coming
            while len(self._answers) >= KEPT_MOST:
                del self._answers[next(iter(self._answers))]
            answer = _Answer(self._turns.begin(lambda: self._timed(key, make)), float("inf"))
            self._answers[key] = answer
            return answer.coming

    def _timed(self, key: Hashable, make: Callable[[], T]) -> T:
        begun = self._seconds()
        good_until = begun  # of a fault
        try:
            made = make()
            now = self._seconds()
            good_until = now + max(self._fresh, WORTH * (now - begun))
            return made
        finally:
            with self._lock:
                if key in self._answers:
                    if good_until > begun:
                        self._answers[key].good_until = good_until
                    else:
                        del self._answers[key]


def _step_back() -> None:
    with suppress(AttributeError, OSError):  # where threads have no priority of their own
        thread = threading.get_native_id()
        own = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(own + STEP_BACK, 19))
