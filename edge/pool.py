"""The daemon's workers: batches of files out, what became of them in; whoever dies of one is found out and replaced."""

from __future__ import annotations

import contextlib
import pickle
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for

from bundle.errors import BadBundle, PlanktowError
from edge.settle import Candidate
from edge.worker import Fault, Ready, Report, Task

_FITS_BYTES = 65_536  # in the buffer of a socket, whatever the system
_AHEAD = 2  # batches given to a worker at most: one in hand, one that is there when it is done
_STARTS = 3  # a worker that never became ready ends the daemon after so many tries
STALL_SECONDS = 120.0  # without a word from a worker that has work: it hangs
_REAP_SECONDS = 5.0  # a process that is not gone so long after kill -9 hangs in the system: its disk is at fault


@dataclass(frozen=True)
class Returned:
    """A batch that is in no worker's hand any more."""

    batch: Sequence[Candidate]
    report: Report | None  # None: the worker died, or hung and was killed, while it had this batch in hand
    guilty: bool = False  # without a report: whether it may be the batch that did it


class Pool:
    """`count` workers. One thread. Close it; what they have in hand then is given up.

    speed      images a second of all workers together when they have work, smoothed; None before the first batch
    """

    def __init__(
        self, task: Task, count: int, steady: Callable[[], float], stall_seconds: float = STALL_SECONDS
    ) -> None:
        """stall_seconds: a worker that has work and says nothing for so long is killed."""
        self.speed: float | None = None
        self._task, self._steady, self._stall_seconds = task, steady, stall_seconds
        self._workers = [_Worker(task, steady()) for _ in range(count)]
        self._dying: list[_Worker] = []
        self._back: list[Returned] = []
        self._stillborn = 0

    @property
    def problem(self) -> str | None:
        """What a person should know, one line, or None."""
        if len(self._dying) > len(self._workers):
            return "files are being read for minutes without end; the disk or mount of the watched folder hangs"
        return next((worker.problem for worker in self._workers if worker.problem), None)

    @property
    def count(self) -> int:
        """How many workers there are."""
        return len(self._workers)

    @property
    def ready(self) -> bool:
        """Whether all workers have loaded the members."""
        return all(worker.ready for worker in self._workers)

    @property
    def busy(self) -> bool:
        """Whether every worker has something to do."""
        return all(worker.batches for worker in self._workers)

    @property
    def room(self) -> int:
        """How many batches can be given now."""
        if len(self._dying) > len(self._workers):  # they hang in the system, one after another
            return 0
        return sum(_AHEAD - len(worker.batches) for worker in self._workers)

    @property
    def in_hand(self) -> list[Sequence[Candidate]]:
        """The batches that were given and have not come back."""
        return [batch for worker in (*self._workers, *self._dying) for batch in worker.batches]

    def give(self, batch: Sequence[Candidate]) -> None:
        """To the worker that has least to do. There must be room."""
        worker = min(self._workers, key=lambda worker: len(worker.batches))
        if not worker.batches:
            worker.heard = self._steady()
        worker.give(batch)

    def wait(self, also: Sequence[int], timeout_seconds: float) -> None:
        """Until a worker or one of the file descriptors `also` has something to say, at most so long."""
        wait_for([*(worker.connection for worker in self._workers), *also], timeout_seconds)

    def collect(self) -> list[Returned]:
        """The batches that came back. Raises BadBundle or PlanktowError where no worker can start."""
        now = self._steady()
        for worker in list(self._workers):
            alive = self._hear(worker, now)
            if alive and worker.batches and now - worker.heard > self._stall_seconds:
                worker.process.kill()
                alive = False
            if not alive:
                self._bury(worker, now)
        for worker in list(self._dying):
            gone = worker.process.poll() is not None
            if gone or now - worker.died > _REAP_SECONDS:
                for place, batch in enumerate(worker.batches):
                    self._back.append(Returned(batch, None, guilty=place == 0 and gone and worker.ready))
                worker.batches.clear()
            if gone:
                self._dying.remove(worker)
        back, self._back = self._back, []
        return back

    def close(self) -> None:
        """Ends the workers at once."""
        for worker in (*self._workers, *self._dying):
            worker.connection.close()
            worker.process.kill()
            if worker not in self._dying:
                worker.process.wait()

    def _hear(self, worker: _Worker, now: float) -> bool:
        """Takes what a worker has said; False where it has gone."""
        try:
            while worker.connection.poll():
                message = worker.connection.recv()
                worker.heard = now
                if isinstance(message, Report):
                    batch = worker.done()
                    self._back.append(Returned(batch, message))
                    worker.problem = message.problem
                    speed = len(self._workers) * len(batch) / max(message.seconds, 1e-6)
                    self.speed = speed if self.speed is None else 0.98 * self.speed + 0.02 * speed
                elif isinstance(message, Ready):
                    worker.ready, self._stillborn = True, 0
                elif isinstance(message, Fault):
                    raise BadBundle(message.why)
        except (EOFError, ConnectionError):
            return False
        return True

    def _bury(self, worker: _Worker, now: float) -> None:
        """Puts a new one in a dead worker's place."""
        if not worker.ready:
            self._stillborn += 1
            if self._stillborn >= _STARTS:
                raise PlanktowError(
                    f"the process that classifies ended {_STARTS} times before it was ready (exit code "
                    f"{worker.process.wait()}); its last words are above; try: planktow-edge classify on an image"
                )
        worker.connection.close()
        worker.died = now
        self._dying.append(worker)
        self._workers[self._workers.index(worker)] = _Worker(self._task, now)


class _Worker:
    """One process, and what it has been given."""

    def __init__(self, task: Task, now: float) -> None:
        self.batches: deque[Sequence[Candidate]] = deque()
        self.heard, self.died, self.ready = now, now, False
        self.problem: str | None = None
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from edge.worker import main; main()", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                process_group=0,  # a Ctrl-C is the daemon's to hear
            )
        self.connection = Connection(ours.detach())
        self._held: bytes | None = None  # the second batch, if it is too large to be sent before it is asked for
        self._send(pickle.dumps(task))

    def give(self, batch: Sequence[Candidate]) -> None:
        """One more batch."""
        data = pickle.dumps(batch)
        # More than fits into the socket would keep us here until the worker reads it, and the worker may be waiting for
        # us to read its report.
        if self.batches and len(data) > _FITS_BYTES:
            self._held = data
        else:
            self._send(data)
        self.batches.append(batch)

    def done(self) -> Sequence[Candidate]:
        """The first batch, which the worker has reported of."""
        if self._held is not None:
            self._send(self._held)
            self._held = None
        return self.batches.popleft()

    def _send(self, data: bytes) -> None:
        # What is sent to a dead worker is lost; that it died is seen when it is next listened to.
        with contextlib.suppress(ConnectionError):
            self.connection.send_bytes(data)
