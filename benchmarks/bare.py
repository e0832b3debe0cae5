"""Inference and nothing else: prepared images in memory, a set of single-threaded interpreters for each core, side by side.

What a daemon on this machine could reach if reading, decoding, deciding and recording cost nothing. Batches of BATCH are handed
out one at a time, so that a slow core gets fewer. Putting a batch into the interpreters and taking the scores out is included:
no batch can be classified without.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import repeat
from types import TracebackType
from typing import Literal

from bundle.folder import Bundle
from bundle.preprocess import Inputs, Prepared

BATCH = 32  # images
SideBySide = Literal["threads", "processes"]


class Bare:
    """A context manager that keeps `cores` interpreter sets."""

    def __init__(self, bundle: Bundle, images: Sequence[Prepared], cores: int, how: SideBySide) -> None:
        """images: B, cut to whole batches if there is one: another size makes the interpreters plan anew."""
        self.images = len(images) // BATCH * BATCH or len(images)
        loaded = (bundle, images[: self.images])
        self._executor: Executor = (
            ThreadPoolExecutor(cores, initializer=_load, initargs=loaded)
            if how == "threads"
            else ProcessPoolExecutor(cores, multiprocessing.get_context("spawn"), initializer=_load, initargs=loaded)
        )

    def __enter__(self) -> Bare:
        self.rate(all_ballots=True)  # loads the members
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._executor.shutdown()

    def rate(self, all_ballots: bool) -> float:
        """Images a second: each member asked for each image, or only until the hard vote is decided."""
        began = time.perf_counter()
        for _ in self._executor.map(_classify, range(0, self.images, BATCH), repeat(all_ballots)):
            pass
        return self.images / (time.perf_counter() - began)


def faster_way(bundle: Bundle, images: Sequence[Prepared], cores: int) -> SideBySide:
    """Threads or processes, by one pass of each."""
    rates: dict[SideBySide, float] = {}
    for how in ("threads", "processes"):
        with Bare(bundle, images, cores, how) as bare:
            rates[how] = bare.rate(all_ballots=True)
    return max(rates, key=lambda how: rates[how])


_mine = threading.local()  # what this thread, or this process, has loaded


def _load(bundle: Bundle, images: Sequence[Prepared]) -> None:
    _mine.bundle, _mine.images, _mine.ensemble = bundle, images, bundle.load(threads=1)
    _mine.inputs = Inputs.of(images)


def _classify(start: int, all_ballots: bool) -> None:
    batch = slice(start, start + BATCH)
    if all_ballots:
        _mine.ensemble.scores(_mine.inputs.at(batch))
    else:
        _mine.bundle.classify(_mine.ensemble, _mine.images[batch])
