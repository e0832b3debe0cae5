"""The daemon: watcher, intake, workers, ledger and outputs wired into one loop of one thread.

The workers read and classify, each in a process of its own; here is decided what they read next and what becomes of it.
One thread, because a hang anywhere must stop the watchdog pings. Everything worth keeping is in the ledger: this process
may die at any instruction, and they end with it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

from bundle.errors import PlanktowError
from bundle.machine import usable_cores
from edge.capture.capture import CaptureTimes
from edge.config import EdgeConfig
from edge.daemon.classify import Reader
from edge.daemon.housekeeping import Housekeeping
from edge.daemon.notify import Notifier
from edge.daemon.outcome import Again, Counted, Outcome, Unread
from edge.daemon.outputs import DaemonStatus, publish
from edge.daemon.pool import Pool
from edge.daemon.progress import STUCK_SECONDS, Look, Progress
from edge.daemon.rejects import check_reject_folder
from edge.daemon.tuning import read_tuned
from edge.daemon.worker import Failure, Task
from edge.intake.inhand import TRIES, InHand
from edge.intake.intake import Intake
from edge.intake.settle import Candidate
from edge.intake.watch import Watcher, check_folder
from edge.ledger.ledger import Ledger, open_ledger
from edge.shards.shards import Shards
from edge.swap.swap import Bundles, Reloading, Start, open_bundles

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.005  # while every worker has work, each turn waits so long first: its commit is then for more files
POLL_SECONDS = 0.2  # the longest we wait for news: bounds how late a stop signal is obeyed and a settled file is read
UNRECORDED = 5000  # outcomes kept in memory while the ledger cannot be written, some 5 MB
_RETRY_SECONDS = 1.0  # how often it is tried again
_PASSING = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
)


@dataclass(frozen=True)
class Clock:
    """The two clocks. Wall time dates things and may jump; steady time measures how long something took."""

    wall_ns: Callable[[], int] = time.time_ns  # UTC ns
    steady: Callable[[], float] = time.monotonic  # seconds


def run(
    config: EdgeConfig,
    stop: Callable[[], bool],
    notifier: Notifier,
    clock: Clock = Clock(),
    stuck_seconds: float = STUCK_SECONDS,
    reloading: Reloading | None = None,
) -> None:
    """Counts until `stop()`; then finishes the batch in hand. Raises BadConfig or BadBundle where it cannot start.

    reloading: how to hear that the settings are to be read anew, if they ever are.
    stuck_seconds: so long may work stand still before systemd's watchdog is told no more that we are well.
    """
    check_folder(config.watch)
    start = open_bundles(config)
    bundle = start.counting
    check_reject_folder(config.rejects, config.rejects_folder, config.watch)
    tuned = read_tuned(config.ledger, bundle)
    with (
        open_ledger(config.ledger, config.count_sightings, config.rejects.files != "stay") as ledger,
        Watcher(config.watch, config.recursive, config.rescan_seconds, clock.steady, config.poll_seconds) as watcher,
        Shards(config.watch) as shards,
        InHand(config.ledger) as in_hand,
        closing(
            Pool(
                Task(
                    config.watch,
                    config.ledger,
                    bundle,
                    config.time,
                    config.max_image_bytes,
                    config.ballots == "all",
                    tuned.order if tuned else None,
                    shadow=start.shadow_task(config),
                ),
                config.workers or (tuned.workers if tuned else usable_cores()),
                clock.steady,
            )
        ) as pool,
        closing(
            Daemon(config, start, ledger, watcher, shards, in_hand, pool, notifier, clock, Progress(stuck_seconds))
        ) as daemon,
    ):
        daemon.publish("running")
        notifier.send(patience_seconds=30.0, READY="1", STATUS=f"watching {config.watch}")
        name, digest = bundle.manifest.name, bundle.digest[:12]
        log.info("process %d watching %s with bundle %s (%s)", os.getpid(), config.watch, name, digest)
        if start.shadow:
            log.info("bundle %s (%s) shadows it", start.shadow.manifest.name, start.shadow.digest[:12])
        while not stop():
            daemon.turn()
            if reloading is not None and reloading.asked():
                daemon.reload(reloading.read)
        notifier.send(STOPPING="1")
        daemon.finish()
        daemon.publish("stopped")
        log.info("stopped; %d images counted since the start", daemon.counted)


class Daemon:
    """The state between two turns of the loop: all of it can be lost and found again by scanning."""

    def __init__(
        self,
        config: EdgeConfig,
        start: Start,
        ledger: Ledger,
        watcher: Watcher,
        shards: Shards,
        in_hand: InHand,
        pool: Pool,
        notifier: Notifier,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self.counted = 0
        self._progress, self._steps = progress, 0
        self._config, self._pool = config, pool
        self._bundles = Bundles(config, start, pool, ledger, clock.wall_ns, clock.steady)
        self._reloading = False  # and systemd waits to hear that it is done
        self._ledger, self._watcher, self._shards = ledger, watcher, shards
        self._in_hand, self._notifier, self._clock = in_hand, notifier, clock
        self._alone: deque[Candidate] = deque()  # suspects, each of which gets a worker to itself
        times = CaptureTimes(config.time, config.watch, clock.wall_ns, clock.steady, patience_seconds=0.2)
        self._intake = Intake(config, ledger, watcher, shards, clock.wall_ns, clock.steady)
        reader = Reader(config.watch, start.counting, times, shards, config.max_image_bytes)
        self._housekeeping = Housekeeping(
            config,
            ledger,
            self._intake,
            times,
            reader.read,
            lambda: self._bundles.counting.digest,
            clock.wall_ns,
            clock.steady,
        )
        self._started_ns = clock.wall_ns()
        self._published = clock.steady()
        self._counted_when_published = 0
        self._last_image_ns: int | None = None
        self._publish_problem: str | None = None
        self._rejects: Counter[str] = Counter()  # since they were last logged
        self._last_reject = ""
        self._unrecorded: list[tuple[int, Outcome]] = []  # each with the ledger's number of the bundle that made it
        self._ledger_problem: str | None = None
        self._ledger_locked = False  # the problem is neither its disk's room nor its disk
        self._write_at = 0.0  # steady seconds: when to try again

    def turn(self) -> None:
        """One turn: wait for news, take what the workers have done, take notice, give out what is ready; publish in time."""
        self._feed_watchdog()
        if not self._watcher.busy:
            if self._pool.busy:
                time.sleep(_PAUSE_SECONDS)
            self._pool.wait([self._watcher.news], POLL_SECONDS)
        came = self._take_back()
        if self._ledger_problem is None:
            self._writing(lambda: self._intake.turn(0.0))
        else:
            self._watcher.poll(0.0)  # what is found now is found again by the walk when it is over
            self._intake.keep_moves()
            self._recover()
        went = self._give_out(UNRECORDED - len(self._unrecorded) - sum(map(len, self._pool.in_hand)))
        if came or went:
            self._in_hand.take([candidate.found.path for candidate in batch] for batch in self._pool.in_hand)
        if self._ledger_problem is None:
            if self._intake.refused:
                self._record(self._intake.refused)
                self._intake.refused = []
            self._writing(lambda: self._housekeeping.turn(self._pool.speed, self._watcher.attached))
            self._writing(self._bundles.turn)
        if self._reloading and self._bundles.settled:
            self._reloading = False
            self._notifier.send(patience_seconds=5.0, READY="1")
        if not self._intake.ready:
            self._shards.close_idle()
        if self._clock.steady() - self._published >= self._config.publish_seconds:
            self.publish("running")

    def finish(self) -> None:
        """Takes what the workers have in hand to its end."""
        while self._pool.in_hand:
            self._notifier.alive(self._clock.steady())
            self._pool.wait([], POLL_SECONDS)
            self._take_back()
        self._in_hand.take(())

    def reload(self, read: Callable[[], EdgeConfig]) -> None:
        """Takes up the bundles that the settings name now, while counting goes on."""
        self._reloading = True
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000  # what systemd wants to know (sd_notify(3))
        self._notifier.send(patience_seconds=5.0, RELOADING="1", MONOTONIC_USEC=str(now_us))
        self._bundles.reload(read)

    def close(self) -> None:
        """Ends what runs beside us."""
        self._bundles.close()
        self._housekeeping.close()

    def publish(self, state: str) -> None:
        """Tells the outside. That it cannot be told (a full disk) is itself told, once, and stops nothing."""
        now = self._clock.steady()
        elapsed = max(now - self._published, 1e-3)
        rate = (self.counted - self._counted_when_published) / elapsed
        self._published, self._counted_when_published = now, self.counted
        problems = [self._progress.problem, self._ledger_problem, self._watcher.problem, self._publish_problem]
        problems += [self._pool.problem]
        problems += self._bundles.problems
        problems += self._housekeeping.problems
        problem = "; ".join(filter(None, problems)) or None
        status = DaemonStatus(
            state,
            os.getpid(),
            self._started_ns,
            self._clock.wall_ns(),
            str(self._config.watch),
            self._bundles.counting.manifest.name,
            self._bundles.counting.digest,
            rate,
            self._last_image_ns,
            problem,
        )
        try:
            publish(self._config.out, self._config.ledger, status)
        except (OSError, sqlite3.Error, PlanktowError) as error:
            if self._publish_problem is None:
                log.error("%s: counts.csv and status.json cannot be written: %s", self._config.out, error)
            self._publish_problem = f"counts.csv and status.json cannot be written: {error}"
        else:
            if self._publish_problem is not None:
                log.info("%s: counts.csv and status.json are written again", self._config.out)
            self._publish_problem = None
        if self._intake.lost:
            self._rejects["vanished"] += self._intake.lost
            self._last_reject = f"{self._intake.last_lost}: gone before it was read"
            self._intake.lost = 0
        if self._rejects:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self._rejects.most_common())
            log.warning("rejected %s; the last: %s", reasons, self._last_reject)
            self._rejects.clear()
        self._notifier.send(STATUS=problem or f"{self.counted} images counted since the start, {rate:.0f} a second")

    def _feed_watchdog(self) -> None:
        """Tells systemd that all is well, unless work stands still: then it starts us again, and nothing is lost."""
        before, now = self._progress.problem, self._clock.steady()
        gone = None if self._watcher.here else self._watcher.problem
        full = None if self._ledger_locked else self._ledger_problem
        look = Look(
            steps=self._steps,
            ready=self._intake.ready + len(self._alone),
            in_hand=sum(map(len, self._pool.in_hand)),
            unrecorded=len(self._unrecorded),
            forgotten=self._intake.forgotten,
            locked=self._ledger_locked and self._ledger_problem is not None,
            deaf=self._watcher.deaf,
            excuse=full or gone or self._pool.hung,
        )
        if self._progress.alive(now, look):
            self._notifier.alive(now)
        elif before is None:
            log.error("%s; systemd hears nothing from us until it goes on", self._progress.problem)

    def _give_out(self, room: int) -> bool:
        """Ready files to the workers, as many as they have room for: small batches while few wait, and full ones in a flood.

        Whether there were any.
        """
        gave = False
        while self._intake.ready and self._pool.room and room > 0:
            share = self._intake.ready // (2 * self._pool.count)
            batch = self._intake.take(min(room, self._config.batch_images, _power_of_two(share)))
            room -= len(batch)
            others = []
            for candidate in batch:
                path = candidate.found.path
                if path in self._in_hand.culprits:
                    detail = f"the process that classifies died {TRIES} times while it had this file alone in hand"
                    self._intake.done(candidate)
                    self._record([Unread(candidate.found, "crashed", detail)])
                    self._in_hand.clear(path)
                elif path in self._in_hand.suspects:
                    self._alone.append(candidate)
                else:
                    others.append(candidate)
            if others:
                self._pool.give(others, self._bundles.shadows)
                gave = True
        while self._alone and self._pool.room:
            self._pool.give([self._alone.popleft()], self._bundles.shadows)
            gave = True
        return gave

    def _take_back(self) -> bool:
        """What the workers have done, into the ledger. Whether there was anything."""
        back = self._pool.collect()
        self._steps += len(back)
        for returned in back:
            if returned.report is not None:
                self._take_results(returned.batch, returned.report.results, self._bundles.number_of(returned.digest))
                continue
            paths = [candidate.found.path for candidate in returned.batch]
            if returned.guilty:
                log.error("the process that classifies died with %s in hand; it is replaced", _briefly(paths))
                self._in_hand.died(paths)
            for candidate in returned.batch:
                self._intake.again(candidate)
        return bool(back)

    def _take_results(
        self, batch: Sequence[Candidate], results: Sequence[Outcome | Failure | None], bundle_id: int
    ) -> None:
        outcomes: list[Outcome] = []
        for candidate, result in zip(batch, results, strict=True):
            if result is None:
                self._intake.defer(candidate)
            elif isinstance(result, Failure):
                unread = self._intake.failed(candidate, OSError(result.errno, result.why))
                if unread:
                    outcomes.append(unread)
            else:
                self._intake.done(candidate)
                outcomes.append(self._judged(result))
            if self._in_hand.suspects:
                self._in_hand.clear(candidate.found.path)
        self._record(outcomes, bundle_id)

    def _judged(self, outcome: Outcome) -> Outcome:
        """The same, set aside where a rule says so."""
        if not isinstance(outcome, Counted):
            return outcome
        aside = self._housekeeping.review.judge(outcome.measures, outcome.capture, outcome.found.size)
        return outcome if aside is None else replace(outcome, aside=aside)

    # --- the ledger, and a disk that has no room for it

    def _record(self, outcomes: Sequence[Outcome], bundle_id: int = 0) -> None:
        """Into the ledger; where it cannot be written, they are kept and written later.

        bundle_id: the ledger's number of the bundle that made them; of those without a verdict none did.
        """
        self._unrecorded += [(bundle_id, outcome) for outcome in outcomes]
        if self._unrecorded and self._ledger_problem is None:
            self._writing(self._flush)

    def _flush(self) -> None:
        while self._unrecorded:  # once, but where a bundle is being replaced by another
            made_by, pairs = next(groupby(self._unrecorded, itemgetter(0)))
            batch = [outcome for _, outcome in pairs]
            news = self._ledger.record(batch, made_by, self._clock.wall_ns())
            self._steps += len(batch)
            del self._unrecorded[: len(batch)]
            self._housekeeping.review.touch([outcome.capture.ns for outcome in news if isinstance(outcome, Counted)])
            for outcome in news:
                self._tell(outcome)

    def _writing(self, step: Callable[[], None]) -> None:
        """A step that writes to the ledger. That the disk is full, or fails, is told and passes; it ends nothing."""
        try:
            step()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _PASSING:
                raise
            self._ledger_problem = (
                f"{self._config.ledger}: cannot be written ({error}); make room on its disk, counting goes on by itself"
            )
            self._ledger_locked = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            self._write_at = self._clock.steady() + _RETRY_SECONDS
            log.error("%s", self._ledger_problem)

    def _recover(self) -> None:
        if self._clock.steady() < self._write_at:
            return
        before, self._ledger_problem = self._ledger_problem, None
        try:
            self._flush()
            self._ledger.write_note("recovered_ns", self._clock.wall_ns())
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _PASSING:
                raise
            self._ledger_problem, self._write_at = before, self._clock.steady() + _RETRY_SECONDS
            return
        log.info("%s: written again", self._config.ledger)
        self._intake.look_again()

    def _tell(self, outcome: Outcome) -> None:
        if isinstance(outcome, Counted):
            self.counted += 1
            self._last_image_ns = self._clock.wall_ns()
        elif not isinstance(outcome, Again):
            self._rejects[outcome.reason] += 1
            self._last_reject = f"{outcome.found.path}: {outcome.detail}"


def _power_of_two(count: int) -> int:
    """The largest one that is no more than `count`, at least 1: members keep their buffers while the size stays."""
    return 1 << max(0, count.bit_length() - 1)


def _briefly(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
