"""The daemon's workers: batches of files out, what became of them in; whoever dies of one is found out and replaced."""

from __future__ import annotations

import contextlib
import os
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
from edge.daemon.worker import Fault, Ready, Report, Task
from edge.intake.settle import Candidate

_FITS_BYTES = 65_536  # in the buffer of a socket, whatever the system
_AHEAD = 2  # batches given to a worker at most: one in hand, one that is there when it is done
_STARTS = 3  # a worker that never became ready ends the daemon after so many tries
STALL_SECONDS = 120.0  # without a word from a worker that has work: it hangs
_TRY_AGAIN_SECONDS = 30.0  # until one more worker is tried with a bundle that others have already
_REAP_SECONDS = 5.0  # a process that is not gone so long after kill -9 hangs in the system: its disk is at fault


@dataclass(frozen=True)
class Returned:
    """A batch that is in no worker's hand any more."""

    batch: Sequence[Candidate]
    report: Report | None  # None: the worker died, or hung and was killed, while it had this batch in hand
    guilty: bool = False  # without a report: whether it may be the batch that did it
    digest: str = ""  # of the bundle that the worker has


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
        self._leaving: list[_Worker] = []  # replaced: they end what they have in hand, and get no more
        self._ended: list[_Worker] = []  # and those that have nothing in hand any more
        self._renewal: _Renewal | None = None
        self._back: list[Returned] = []
        self._stillborn = 0

    @property
    def hung(self) -> str | None:
        """That the disk of the watched folder hangs, in one line; None where it does not."""
        if len(self._dying) > len(self._workers):
            return "files are being read for minutes without end; the disk or mount of the watched folder hangs"
        return None

    @property
    def problem(self) -> str | None:
        """What a person should know, one line, or None."""
        if self.hung is not None:
            return self.hung
        if self._renewal is not None and self._renewal.problem is not None:
            return self._renewal.problem
        return next((worker.problem for worker in self._workers if worker.problem), None)

    @property
    def task(self) -> Task:
        """What a worker is told that starts now in the usual way."""
        return self._task

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
        return [batch for worker in (*self._workers, *self._leaving, *self._dying) for batch in worker.batches]

    @property
    def renewing(self) -> bool:
        """Whether there are workers that do not have the task of `renew` yet."""
        return self._renewal is not None

    @property
    def on_trial(self) -> bool:
        """Whether no worker has loaded the task of `renew` yet."""
        return self._renewal is not None and not self._renewal.proven

    @property
    def stuck(self) -> bool:
        """Whether some workers have the task of `renew`, and the others cannot get it now."""
        return self._renewal is not None and self._renewal.problem is not None

    def renew(self, task: Task) -> None:
        """Another task for all workers, one after another; counting goes on with those there are.

        A new worker is started beside the others, and takes the place of one when its members are loaded; that one ends
        the batches that it has in hand, with its own bundle. Until the first new one is ready the task is on trial.
        """
        self._dismiss()
        self._renewal = _Renewal(task)

    def refusal(self) -> str | None:
        """Why the task of the last `renew` was given up, if it was: no worker can start with it. Told once."""
        renewal = self._renewal
        if renewal is None or renewal.refusal is None:
            return None
        self._renewal = None
        return renewal.refusal

    def give(self, batch: Sequence[Candidate], shadowed: bool = True) -> None:
        """To the worker that has least to do. There must be room. shadowed: whether the shadow, if any, sees it too."""
        worker = min(self._workers, key=lambda worker: len(worker.batches))
        if not worker.batches:
            worker.heard = self._steady()
        worker.give(batch, shadowed)

    def wait(self, also: Sequence[int], timeout_seconds: float) -> None:
        """Until a worker or one of the file descriptors `also` has something to say, at most so long."""
        coming = [self._renewal.coming] if self._renewal is not None and self._renewal.coming is not None else []
        wait_for([*(each.connection for each in (*self._workers, *self._leaving, *coming)), *also], timeout_seconds)

    def collect(self) -> list[Returned]:
        """The batches that came back. Raises BadBundle or PlanktowError where no worker can start."""
        now = self._steady()
        self._renew(now)
        for worker in [*self._workers, *self._leaving]:
            alive = self._hear(worker, now)
            if alive and worker.batches and now - worker.heard > self._stall_seconds:
                worker.process.kill()
                alive = False
            if not alive:
                self._bury(worker, now)
            elif worker in self._leaving and not worker.batches:
                self._leaving.remove(worker)
                self._end(worker)
        for worker in list(self._dying):
            gone = worker.process.poll() is not None
            if gone or now - worker.died > _REAP_SECONDS:
                for place, batch in enumerate(worker.batches):
                    self._back.append(Returned(batch, None, place == 0 and gone and worker.ready, worker.digest))
                worker.batches.clear()
            if gone:
                self._dying.remove(worker)
        self._ended = [worker for worker in self._ended if worker.process.poll() is None]
        back, self._back = self._back, []
        return back

    def close(self) -> None:
        """Ends the workers at once."""
        self._dismiss()
        for worker in (*self._workers, *self._leaving, *self._ended, *self._dying):
            worker.connection.close()
            worker.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # one that hangs in the system dies when it comes back
                worker.process.wait(0.2 if worker in self._dying else None)

    def _hear(self, worker: _Worker, now: float) -> bool:
        """Takes what a worker has said; False where it has gone."""
        try:
            while worker.connection.poll():
                message = worker.connection.recv()
                worker.heard = now
                if isinstance(message, Report):
                    batch = worker.done()
                    self._back.append(Returned(batch, message, digest=worker.digest))
                    worker.problem = message.problem
                    speed = len(self._workers) * len(batch) / max(message.seconds, 1e-6)
                    self.speed = speed if self.speed is None else 0.98 * self.speed + 0.02 * speed
                elif isinstance(message, Ready):
                    worker.ready, self._stillborn = True, 0
                elif isinstance(message, Fault):
                    if self._renewal is None or worker is not self._renewal.coming:
                        raise BadBundle(message.why)
                    worker.fault = message.why
                    return False
        except (EOFError, ConnectionError):
            return False
        return True

    def _bury(self, worker: _Worker, now: float) -> None:
        """Puts a new one in a dead worker's place; in one's that was leaving, another stands already."""
        if worker in self._leaving:
            self._leaving.remove(worker)
            self._lay_aside(worker, now)
            return
        if not worker.ready:
            self._stillborn += 1
            if self._stillborn >= _STARTS:
                raise PlanktowError(
                    f"the process that classifies ended {_STARTS} times before it was ready (exit code "
                    f"{worker.process.wait()}); its last words are above; try: planktow-edge classify on an image"
                )
        self._lay_aside(worker, now)
        self._workers[self._workers.index(worker)] = _Worker(self._task, now)

    def _lay_aside(self, worker: _Worker, now: float) -> None:
        worker.connection.close()
        worker.died = now
        self._dying.append(worker)

    def _end(self, worker: _Worker) -> None:
        """Ends one that has nothing in hand."""
        worker.connection.close()
        worker.process.kill()
        self._ended.append(worker)

    def _dismiss(self) -> None:
        """Ends the worker that was to come, if there is one."""
        if self._renewal is not None and self._renewal.coming is not None:
            self._end(self._renewal.coming)
            self._renewal.coming = None

    def _renew(self, now: float) -> None:
        """A step towards workers that all have the task of `renew`."""
        renewal = self._renewal
        if renewal is None or renewal.refusal is not None:
            return
        coming = renewal.coming
        if coming is None:
            stale = [worker for worker in self._workers if worker.task is not renewal.task]
            if not stale:
                self._renewal = None
            elif now >= renewal.start_at:
                renewal.coming = _Worker(renewal.task, now)
            return
        if not self._hear(coming, now) or now - coming.heard > self._stall_seconds:
            self._dismiss()
            renewal.failed(coming.fault, now)
        elif coming.ready:
            stale = [worker for worker in self._workers if worker.task is not renewal.task]
            renewal.coming, renewal.proven, renewal.problem = None, True, None
            self._task = renewal.task  # from now on this is what a dead worker's successor gets
            if stale:
                # The one that has least in hand: the others go on counting meanwhile.
                old = min(stale, key=lambda worker: len(worker.batches))
                self._workers[self._workers.index(old)] = coming
                self._leaving.append(old)
            else:  # one that died meanwhile was replaced in the usual way
                self._end(coming)


class _Renewal:
    """Workers being replaced by such as have another task."""

    def __init__(self, task: Task) -> None:
        self.task, self.name = task, f"{task.bundle.manifest.name} ({task.bundle.digest[:12]})"
        self.coming: _Worker | None = None  # the one that loads its members, beside the others
        self.proven = False  # whether one has
        self.problem: str | None = None
        self.refusal: str | None = None
        self.start_at = 0.0  # steady seconds: when the next is started
        self._failures = 0

    def failed(self, fault: str | None, now: float) -> None:
        """The coming one did not come; `fault` is what it said, and another would say the same."""
        why = fault or f"the process that was to classify with {self.name} ended or hung before it was ready"
        self._failures += 1
        if not self.proven and (fault or self._failures >= _STARTS):
            self.refusal = why
        elif self.proven:  # this host has no room for it now, perhaps: each verdict says which bundle it is of
            self.problem = f"some images are still classified with the bundle before: {why}"
            self.start_at = now + _TRY_AGAIN_SECONDS


class _Worker:
    """One process, and what it has been given."""

    def __init__(self, task: Task, now: float) -> None:
        self.task, self.digest = task, task.bundle.digest
        self.batches: deque[Sequence[Candidate]] = deque()
        self.heard, self.died, self.ready = now, now, False
        self.problem: str | None = None
        self.fault: str | None = None  # why it cannot begin
        ours, theirs = socket.socketpair()
        # Bundles are megabytes: a socket would keep us here until the new process has loaded its modules and reads.
        with theirs, open(os.memfd_create("task"), "w+b") as told:  # noqa: PTH123 - it has no path
            pickle.dump(task, told)
            told.seek(0)
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    "from edge.daemon.worker import main; main()",
                    str(theirs.fileno()),
                    str(told.fileno()),
                ],
                pass_fds=[theirs.fileno(), told.fileno()],
                process_group=0,  # a Ctrl-C is the daemon's to hear
            )
        self.connection = Connection(ours.detach())
        self._held: bytes | None = None  # the second batch, if it is too large to be sent before it is asked for

    def give(self, batch: Sequence[Candidate], shadowed: bool) -> None:
        """One more batch."""
        data = pickle.dumps((batch, shadowed))
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
