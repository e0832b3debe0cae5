"""The daemon: watcher, settling, classifier, ledger and outputs wired into one loop of one thread.

One thread, because a hang anywhere must stop the watchdog pings, and because a busy second Python thread costs the
classifier up to half its speed. Everything worth keeping is in the ledger: this process may die at any instruction.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from bundle.ensemble import Ensemble
from bundle.errors import PlanktowError
from bundle.folder import Bundle, open_bundle
from edge.classify import Ready, decide, take_in
from edge.config import EdgeConfig
from edge.files import look
from edge.ledger import Ledger, open_ledger
from edge.notify import Notifier
from edge.outcome import Again, Counted, Outcome, Rejected, Unread
from edge.outputs import DaemonStatus, publish
from edge.settle import Candidate, Settling
from edge.watch import Watcher, check_folder

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2  # the longest we wait for news: bounds how late a stop signal is obeyed and a settled file is read


@dataclass(frozen=True)
class Clock:
    """The two clocks. Wall time dates things and may jump; steady time measures how long something took."""

    wall_ns: Callable[[], int] = time.time_ns  # UTC ns
    steady: Callable[[], float] = time.monotonic  # seconds


def run(config: EdgeConfig, stop: Callable[[], bool], notifier: Notifier, clock: Clock = Clock()) -> None:
    """Counts until `stop()`; then finishes the batch in hand. Raises BadConfig or BadBundle where it cannot start."""
    check_folder(config.watch)
    bundle = open_bundle(config.bundle)
    ensemble = bundle.load(config.threads or os.cpu_count() or 1)
    with (
        open_ledger(config.ledger) as ledger,
        Watcher(config.watch, config.recursive, config.rescan_seconds, clock.steady) as watcher,
    ):
        daemon = Daemon(config, bundle, ensemble, ledger, watcher, notifier, clock)
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
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self.counted = 0
        self._config, self._bundle, self._ensemble = config, bundle, ensemble
        self._ledger, self._watcher, self._notifier, self._clock = ledger, watcher, notifier, clock
        self._settling = Settling(config.settle_seconds)
        self._bundle_id = ledger.bundle_id(bundle, clock.wall_ns())
        self._started_ns = clock.wall_ns()
        self._published = clock.steady()
        self._counted_when_published = 0
        self._last_image_ns: int | None = None
        self._publish_problem: str | None = None
        self._rejects: Counter[str] = Counter()  # since they were last logged
        self._last_reject = ""
        self._passes = 0
        self._search_at: float | None = None  # steady seconds: when to look where missing files went

    def turn(self, stop: Callable[[], bool]) -> None:
        """One turn: take notice, read what is ready, decide, commit; publish when it is time."""
        self._notifier.alive(self._clock.steady())
        self._notice(0.0 if self._settling.ready else POLL_SECONDS)
        candidates = self._settling.take(self._config.batch_images)
        if candidates and not stop():
            self._batch(candidates)
        now = self._clock.steady()
        if self._passes != self._watcher.passes or (self._search_at is not None and now >= self._search_at):
            self._passes, self._search_at = self._watcher.passes, None
            self._find_the_missing()
        if now - self._published >= self._config.publish_seconds:
            self.publish("running")

    def publish(self, state: str) -> None:
        """Tells the outside. That it cannot be told (a full disk) is itself told, once, and stops nothing."""
        now = self._clock.steady()
        elapsed = max(now - self._published, 1e-3)
        rate = (self.counted - self._counted_when_published) / elapsed
        self._published, self._counted_when_published = now, self.counted
        problem = self._watcher.problem or self._publish_problem
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
        if self._rejects:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self._rejects.most_common())
            log.warning("rejected %s; the last: %s", reasons, self._last_reject)
            self._rejects.clear()
        self._notifier.send(STATUS=problem or f"{self.counted} images counted since the start, {rate:.0f} a second")

    def _notice(self, timeout_seconds: float) -> None:
        sights = self._watcher.poll(timeout_seconds)
        wall_ns, now = self._clock.wall_ns(), self._clock.steady()
        if moves := self._watcher.take_moves():
            for path in self._ledger.rename(moves):
                self._settling.forget(path)
        if sights:
            closed = {sight.found: sight.closed for sight in sights if sight.found.path not in self._settling}
            closed.update({sight.found: True for sight in sights if sight.closed})
            for found in self._ledger.note(list(closed), wall_ns):
                self._settling.notice(found, closed[found], (wall_ns - found.mtime_ns) / 1e9, now)
        if self._settling.mature(now, lambda path: look(self._config.watch, path)):
            self._search_later(now)

    def _batch(self, candidates: list[Candidate]) -> None:
        taken: list[Ready | Again | Rejected | Unread] = []
        here: set[bytes] = set()  # content that stands earlier in this batch
        for candidate in candidates:
            self._notifier.alive(self._clock.steady())
            item = take_in(
                self._config.watch,
                candidate,
                self._bundle,
                self._config.max_image_bytes,
                lambda sha256: sha256 in here or self._ledger.knows(sha256),
            )
            if item is None:
                self._defer(candidate)
                continue
            if not isinstance(item, Unread):
                here.add(item.sha256)
            taken.append(item)
        outcomes = decide(self._bundle, self._ensemble, taken)
        news = self._ledger.record(outcomes, self._bundle_id, self._clock.wall_ns())
        for outcome in news:
            self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        if isinstance(outcome, Counted):
            self.counted += 1
            self._last_image_ns = self._clock.wall_ns()
        elif not isinstance(outcome, Again):
            self._rejects[outcome.reason] += 1
            self._last_reject = f"{outcome.found.path}: {outcome.detail}"

    def _defer(self, candidate: Candidate) -> None:
        now = self._clock.steady()
        found = look(self._config.watch, candidate.found.path)
        if found is None:
            self._search_later(now)
        else:
            self._settling.defer(found, now)

    def _search_later(self, now: float) -> None:
        """A file was gone. It may be on its way to another name: look for it when that one must have come up."""
        if self._search_at is None:
            self._search_at = now + self._config.settle_seconds

    def _find_the_missing(self) -> None:
        """Waiting files that no longer exist are vanished, unless the whole folder is away."""
        gone = [
            path
            for path in self._ledger.waiting_paths()
            if path not in self._settling and look(self._config.watch, path) is None
        ]
        if gone and self._watcher.attached:
            lost = self._ledger.vanish(gone)
            if lost:
                self._rejects["vanished"] += lost
                self._last_reject = f"{gone[-1]}: gone before it was read"
