"""The daemon: watcher, intake, classifier, ledger and outputs wired into one loop of one thread.

One thread, because a hang anywhere must stop the watchdog pings, and because a busy second Python thread costs the
classifier up to half its speed. Everything worth keeping is in the ledger: this process may die at any instruction.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from bundle.ensemble import Ensemble
from bundle.errors import PlanktowError
from bundle.folder import Bundle, open_bundle
from bundle.labels import UNCLASSIFIED
from edge.capture import CaptureTimes
from edge.classify import Reader, Taken, decide
from edge.config import EdgeConfig
from edge.housekeeping import Housekeeping
from edge.inhand import TRIES, InHand
from edge.intake import Intake
from edge.ledger import Ledger, open_ledger
from edge.notify import Notifier
from edge.outcome import Again, Counted, Outcome, Unread
from edge.outputs import DaemonStatus, publish
from edge.rejects import check_reject_folder
from edge.settle import Candidate
from edge.shards import Shards
from edge.watch import Watcher, check_folder

log = logging.getLogger(__name__)

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


def run(config: EdgeConfig, stop: Callable[[], bool], notifier: Notifier, clock: Clock = Clock()) -> None:
    """Counts until `stop()`; then finishes the batch in hand. Raises BadConfig or BadBundle where it cannot start."""
    check_folder(config.watch)
    bundle = open_bundle(config.bundle)
    config.quality.check_labels([*bundle.labels, UNCLASSIFIED])
    check_reject_folder(config.rejects, config.rejects_folder, config.watch)
    ensemble = bundle.load(config.threads or os.cpu_count() or 1)
    with (
        open_ledger(config.ledger, config.count_sightings, config.rejects.files != "stay") as ledger,
        Watcher(config.watch, config.recursive, config.rescan_seconds, clock.steady, config.poll_seconds) as watcher,
        Shards(config.watch) as shards,
        InHand(config.ledger) as in_hand,
        closing(Daemon(config, bundle, ensemble, ledger, watcher, shards, in_hand, notifier, clock)) as daemon,
    ):
        daemon.publish("running")
        notifier.send(patience_seconds=30.0, READY="1", STATUS=f"watching {config.watch}")
        name, digest = bundle.manifest.name, bundle.digest[:12]
        log.info("process %d watching %s with bundle %s (%s)", os.getpid(), config.watch, name, digest)
        while not stop():
            daemon.turn(stop)
        notifier.send(STOPPING="1")
        daemon.publish("stopped")
        log.info("stopped; %d images counted since the start", daemon.counted)


class Daemon:
    """The state between two turns of the loop: all of it can be lost and found again by scanning."""

    def __init__(
        self,
        config: EdgeConfig,
        bundle: Bundle,
        ensemble: Ensemble,
        ledger: Ledger,
        watcher: Watcher,
        shards: Shards,
        in_hand: InHand,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self.counted = 0
        self._config, self._bundle, self._ensemble = config, bundle, ensemble
        self._ledger, self._watcher, self._shards = ledger, watcher, shards
        self._in_hand, self._notifier, self._clock = in_hand, notifier, clock
        times = CaptureTimes(config.time, config.watch, clock.wall_ns, clock.steady)
        self._intake = Intake(config, ledger, watcher, shards, clock.wall_ns, clock.steady)
        self._reader = Reader(config.watch, bundle, times, shards, config.max_image_bytes)
        self._housekeeping = Housekeeping(
            config, ledger, self._intake, times, self._reader.read, bundle.digest, clock.wall_ns, clock.steady
        )
        self._bundle_id = ledger.bundle_id(bundle, clock.wall_ns())
        self._started_ns = clock.wall_ns()
        self._published = clock.steady()
        self._counted_when_published = 0
        self._speed: float | None = None  # images a second while there is work, smoothed
        self._last_image_ns: int | None = None
        self._publish_problem: str | None = None
        self._rejects: Counter[str] = Counter()  # since they were last logged
        self._last_reject = ""
        self._unrecorded: list[Outcome] = []
        self._ledger_problem: str | None = None
        self._write_at = 0.0  # steady seconds: when to try again

    def turn(self, stop: Callable[[], bool]) -> None:
        """One turn: take notice, read what is ready, decide, commit; publish when it is time."""
        self._notifier.alive(self._clock.steady())
        room = UNRECORDED - len(self._unrecorded)
        timeout_seconds = 0.0 if self._intake.ready and room > 0 else POLL_SECONDS
        if self._ledger_problem is None:
            self._writing(lambda: self._intake.turn(timeout_seconds))
        else:
            self._watcher.poll(timeout_seconds)  # what is found now is found again by the walk when it is over
            self._intake.keep_moves()
            self._recover()
        if self._intake.ready and not stop() and room > 0:
            self._batch(self._intake.take(min(self._config.batch_images, room)))
        if self._ledger_problem is None:
            if self._intake.refused:
                self._record(self._intake.refused)
                self._intake.refused = []
            self._writing(lambda: self._housekeeping.turn(self._speed, self._watcher.attached))
        if not self._intake.ready:
            self._shards.close_idle()
        if self._clock.steady() - self._published >= self._config.publish_seconds:
            self.publish("running")

    def close(self) -> None:
        """Ends what runs beside us."""
        self._housekeeping.close()

    def publish(self, state: str) -> None:
        """Tells the outside. That it cannot be told (a full disk) is itself told, once, and stops nothing."""
        now = self._clock.steady()
        elapsed = max(now - self._published, 1e-3)
        rate = (self.counted - self._counted_when_published) / elapsed
        self._published, self._counted_when_published = now, self.counted
        problems = [self._ledger_problem, self._watcher.problem, self._publish_problem, *self._housekeeping.problems]
        problem = "; ".join(filter(None, problems)) or None
        status = DaemonStatus(
            state,
            os.getpid(),
            self._started_ns,
            self._clock.wall_ns(),
            str(self._config.watch),
            self._bundle.manifest.name,
            self._bundle.digest,
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

    def _batch(self, candidates: list[Candidate]) -> None:
        began = self._clock.steady()
        taken: list[Taken] = []
        # Content that stands earlier in this batch, or could not be recorded yet.
        here = {outcome.sha256 for outcome in self._unrecorded if not isinstance(outcome, Unread)}
        others = []
        for candidate in candidates:
            path = candidate.found.path
            if path in self._in_hand.culprits:
                detail = f"the process died {TRIES} times while it read this file alone"
                self._record([Unread(candidate.found, "crashed", detail)])
            elif path in self._in_hand.suspects:  # alone all the way: it may be the classifier that dies of it
                self._in_hand.take([path])
                self._decide(self._take_in(candidate, here))
            else:
                others.append(candidate)
                continue
            self._in_hand.clear(path)
        self._in_hand.take(candidate.found.path for candidate in others)
        for candidate in others:
            taken += self._take_in(candidate, here)
        self._decide(taken)
        self._in_hand.take(())
        speed = len(candidates) / max(self._clock.steady() - began, 1e-6) if candidates else 0.0
        if speed:
            self._speed = speed if self._speed is None else 0.98 * self._speed + 0.02 * speed

    def _decide(self, taken: Sequence[Taken]) -> None:
        self._record(decide(self._bundle, self._ensemble, taken, self._housekeeping.review.judge))

    def _take_in(self, candidate: Candidate, here: set[bytes]) -> list[Taken]:
        """What became of the file, if anything did; `here` learns of its content."""
        self._notifier.alive(self._clock.steady())
        try:
            item = self._reader.take_in(candidate, lambda sha256: sha256 in here or self._ledger.knows(sha256))
        except OSError as error:
            unread = self._intake.failed(candidate, error)
            return [unread] if unread else []
        self._intake.succeeded(candidate)
        if item is None:
            self._intake.defer(candidate)
            return []
        if not isinstance(item, Unread):
            here.add(item.sha256)
        return [item]

    # --- the ledger, and a disk that has no room for it

    def _record(self, outcomes: Sequence[Outcome]) -> None:
        """Into the ledger; where it cannot be written, they are kept and written later."""
        self._unrecorded += outcomes
        if self._unrecorded and self._ledger_problem is None:
            self._writing(self._flush)

    def _flush(self) -> None:
        news = self._ledger.record(self._unrecorded, self._bundle_id, self._clock.wall_ns())
        self._unrecorded = []
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
