"""A worker: a process of its own that reads, decodes and classifies one batch of files after another for the daemon.

A process, not a thread: it has an interpreter lock to itself, so that Python's work on one core does not hold up the
arithmetic on the others; and an image that brings a decoder down takes this process with it, and not the daemon.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from bundle.ensemble import Ensemble
from bundle.errors import PlanktowError
from bundle.folder import Bundle
from edge.capture.capture import CaptureTimes, StillReading
from edge.capture.timesettings import TimeSettings
from edge.daemon.classify import Reader, Taken, decide
from edge.daemon.outcome import Outcome, Unread
from edge.daemon.quiet import hush_libraries
from edge.intake.settle import Candidate
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.shadow.shadowing import Shadow, ShadowTask
from edge.shards.shards import Shards

BEAT_SECONDS = 1.0  # a worker that reads for longer says so often that it lives
_LARGE = (
    4_000_000  # bytes or pixels: one such image is held at a time, in all workers together: it can take some 300 MB
)
_LOOK_SECONDS = 0.02  # how often the lock is tried


@dataclass(frozen=True)
class Task:
    """What a worker is told once, at its start."""

    root: Path
    ledger: Path
    bundle: Bundle  # the very bytes that the daemon verified
    time: TimeSettings
    max_image_bytes: int
    all_ballots: bool  # ask every member, also where the hard vote is decided already
    order: tuple[int, ...] | None = None  # in which members are asked in turn; None: as the bundle says
    shadow: ShadowTask | None = None  # a second bundle that sees the same images, and counts nothing


@dataclass(frozen=True)
class Failure:
    """The file is there and cannot be read, which may pass."""

    errno: int | None
    why: str


@dataclass(frozen=True)
class Report:
    """What became of a batch, a result for each of its files; None: not now, the file must be looked at again."""

    results: list[Outcome | Failure | None]
    seconds: float  # that it took
    problem: str | None  # about capture times, for a person


@dataclass(frozen=True)
class Ready:
    """The members are loaded."""


@dataclass(frozen=True)
class Beat:
    """Still at it."""


@dataclass(frozen=True)
class Fault:
    """Why no work can begin; the worker ends."""

    why: str


Message = Ready | Beat | Fault | Report


def main() -> None:
    """Serves the daemon at the other end of the socket whose number is the first argument, until that end is closed.

    The second argument is the number of an open file that holds the task.
    """
    # To stop is the daemon's to say: a signal for the whole service must not cut off the batch in hand.
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    with Connection(int(sys.argv[1])) as connection, contextlib.suppress(EOFError, ConnectionError):
        with open(int(sys.argv[2]), "rb") as told:  # noqa: PTH123 - it has no path
            task: Task = pickle.load(told)
        try:
            ensemble = task.bundle.load(order=task.order)
            shadow = None
            if task.shadow and task.shadow.bundle.digest != task.bundle.digest:  # it would think the same of all
                shadow = Shadow(task.shadow, task.bundle, task.all_ballots)
        except PlanktowError as error:
            connection.send(Fault(str(error)))
            return
        with (
            closing(open_ledger_readonly(task.ledger)) as ledger,
            Shards(task.root) as shards,
            _LargeImages(task.ledger, connection) as large,
        ):
            times = CaptureTimes(task.time, task.root, patience_seconds=BEAT_SECONDS)
            reader = Reader(task.root, task.bundle, times, shards, task.max_image_bytes, large.alone, shadow)
            hush_libraries()
            connection.send(Ready())
            while True:
                if not connection.poll(1.0):
                    shards.close_idle()  # so that their disk can be unmounted
                batch, shadowed = connection.recv()
                began = time.monotonic()
                if shadow:
                    shadow.on = shadowed
                results = _work(batch, task, ensemble, reader, ledger, large.beat, shadow)
                problem = times.problem or (shadow.problem if shadow else None)
                connection.send(Report(results, time.monotonic() - began, problem))


def _work(
    batch: list[Candidate],
    task: Task,
    ensemble: Ensemble,
    reader: Reader,
    ledger: sqlite3.Connection,
    beat: Callable[[], None],
    shadow: Shadow | None = None,
) -> list[Outcome | Failure | None]:
    here = set[bytes]()  # content that stands earlier in this batch

    def knows(sha256: bytes) -> bool:
        # One that another worker has in hand is not known yet: then both classify it, and it is recorded once.
        return sha256 in here or _stands(ledger, sha256)

    results: list[Outcome | Failure | None] = [None] * len(batch)
    taken: list[Taken] = []
    places: list[int] = []
    for place, candidate in enumerate(batch):
        try:
            item = _patiently(partial(reader.take_in, candidate, knows), beat)
        except OSError as error:
            results[place] = Failure(error.errno, error.strerror or str(error))
            continue
        if item is not None:
            taken.append(item)
            places.append(place)
            if not isinstance(item, Unread):
                here.add(item.sha256)
    outcomes = decide(task.bundle, ensemble, taken, task.all_ballots)
    if shadow:
        outcomes = shadow.beside(taken, outcomes)
    for place, outcome in zip(places, outcomes, strict=True):
        results[place] = outcome
    return results


def _patiently(take_in: Callable[[], Taken | None], beat: Callable[[], None]) -> Taken | None:
    """What `take_in` gives, in the end: a long side-car is read in steps, with a beat for each."""
    while True:
        beat()
        with contextlib.suppress(StillReading):
            return take_in()


def _stands(ledger: sqlite3.Connection, sha256: bytes) -> bool:
    try:
        return bool(ledger.execute("SELECT EXISTS (SELECT 1 FROM image WHERE sha256 = ?)", (sha256,)).fetchone()[0])
    except sqlite3.Error:  # busy, or its disk fails: then it is classified once more, and recorded once all the same
        return False


class _LargeImages:
    """Sees to it that one large image is decoded at a time, and tells the daemon that this process lives. A context manager."""

    def __init__(self, ledger: Path, connection: Connection) -> None:
        self._connection = connection
        self._beaten = time.monotonic()
        self._holds = False
        # Any file that all workers know; the system frees the lock of a process that dies.
        self._file = os.open(f"{ledger}.inhand", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> _LargeImages:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def beat(self) -> None:
        now = time.monotonic()
        if now - self._beaten >= BEAT_SECONDS:
            self._beaten = now
            self._connection.send(Beat())

    def alone(self, size: int) -> AbstractContextManager[None]:
        """The time in which a file of so many bytes, or an image of so many pixels, may be held."""
        return contextlib.nullcontext() if size < _LARGE or self._holds else self._locked()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                self.beat()
                time.sleep(_LOOK_SECONDS)
        self._holds = True
        try:
            yield
        finally:
            self._holds = False
            fcntl.flock(self._file, fcntl.LOCK_UN)
