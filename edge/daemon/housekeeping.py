"""What the daemon does beside counting, in small steps between two batches: the bounds of the backlog, taking up what was
dropped, quality control, rejected files, retention, backups. Each part says in one line what a person should know.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from bundle.errors import BadImage
from edge.capture.capture import CaptureTimes, StillReading
from edge.config import EdgeConfig
from edge.daemon.rejects import Why, put_aside
from edge.intake.catchup import requests
from edge.intake.files import Found, is_shard_name
from edge.intake.intake import Intake
from edge.intake.overload import Backlog, bound_images, drop, excess, take_up, waiting_bytes
from edge.ledger.backup import Backups
from edge.ledger.ledger import Ledger
from edge.quality.review import Review
from edge.retention.clearing import Retention

log = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0  # how often the backlog is held against its bounds
_TAKE_UP = 1000  # dropped images taken up at a time
_JUDGE_SECONDS = 0.01  # of each turn for quality control, at most
_CLEAR_SECONDS = 0.03  # of each turn for retention, at most
_ERRANDS = 20  # rejected files brought away at a time
_ERRAND_SECONDS = 0.1  # or for so long
_FAILURES = 3  # in one go: it is not the file, it is the folder
_STUCK = 1000  # errands that failed, as many as are remembered
_AGAIN_SECONDS = 10.0  # until they are tried again


class Housekeeping:
    """One thread; `turn` returns within some 50 ms."""

    def __init__(
        self,
        config: EdgeConfig,
        ledger: Ledger,
        intake: Intake,
        times: CaptureTimes,
        read: Callable[[Found], bytes | None],
        bundle_digest: Callable[[], str],
        wall_ns: Callable[[], int],
        steady: Callable[[], float],
    ) -> None:
        self._config, self._ledger, self._intake, self._times = config, ledger, intake, times
        self._wall_ns, self._steady = wall_ns, steady
        self.review = Review(ledger, config.quality, steady)
        self._read, self._bundle_digest = read, bundle_digest
        self._errands_problem: str | None = None
        self._errands_at = 0.0
        self._stuck: set[int] = set()  # errands that failed: they are tried again when there are no others
        self._retention = Retention(
            config.retention, config.watch, ledger.connection, ledger.record_gone, wall_ns, steady
        )
        self._backups = Backups(config.ledger, config.backup, steady())
        self._next = 0.0
        self._overload: str | None = None
        # Drawn once for a ledger: a file that lost the draw loses it again after a restart.
        salt = ledger.read_note("lottery")
        if salt is None:
            salt = wall_ns()
            ledger.write_note("lottery", salt)
        self._salt = salt.to_bytes(8, signed=True)

    @property
    def problems(self) -> list[str]:
        """What a person should know, a line each."""
        return [line for line in self._lines() if line]

    def _lines(self) -> Iterator[str | None]:
        yield self._overload
        yield self._errands_problem
        yield self._backups.problem
        yield self._retention.problem
        yield self._times.problem
        yield self.review.problem

    def turn(self, images_per_second: float | None, attached: bool) -> None:
        """A step of each part whose time has come.

        images_per_second: how fast this host classified lately; attached: whether the watched folder is there.
        """
        now = self._steady()
        self.review.turn(_JUDGE_SECONDS)
        if self._backups.turn(self._wall_ns(), now):
            if self._backups.problem is None:
                self._ledger.write_note("backup_ns", self._backups.began_ns)
                log.info("the ledger was backed up")
            else:
                log.error("%s", self._backups.problem)
        if attached:
            self._retention.turn(_CLEAR_SECONDS)
        if now < self._next:
            return
        self._next = now + _EVERY_SECONDS
        waiting = self._ledger.waiting_count()
        self._bound_backlog(waiting, images_per_second)
        if (
            self._intake.ready == 0
        ):  # what must still settle does not hold it up: with some cameras there always is some
            self._catch_up(waiting, images_per_second)
        if now >= self._errands_at:
            self._run_errands(now)

    def close(self) -> None:
        """Ends what runs beside us, before the ledger is closed."""
        self._retention.close()
        self._backups.close()

    def _bound_backlog(self, waiting: int, images_per_second: float | None) -> None:
        settings = self._config.overload
        if settings.policy == "keep":
            return
        size = waiting_bytes(self._ledger.connection) if settings.max_megabytes and waiting else 0
        count = excess(settings, Backlog(waiting, size, images_per_second))
        if count == 0:
            if waiting == 0:
                self._overload = None
            return
        try:
            dropped = drop(
                self._ledger.connection,
                settings.policy,
                count,
                lambda found: self._times.without_content(found).ns,
                self._salt,
                self._intake.in_hand,
            )
        except StillReading:  # a long side-car, in steps: nothing was dropped, and a second later it is read on
            return
        self._intake.forget(dropped)
        self._overload = (
            f"more images come in than can be classified: {len(dropped)} of {waiting} waiting ones were left out"
            f" (policy {settings.policy}); planktow-edge catch-up takes them up later"
        )
        log.warning("%s", self._overload)

    def _catch_up(self, waiting: int, images_per_second: float | None) -> None:
        # Half of what may wait at most: what is taken up must not be what is left out a second later.
        settings = self._config.overload
        bound = None if settings.policy == "keep" else bound_images(settings, Backlog(0, 0, images_per_second))
        room = _TAKE_UP if bound is None else min(_TAKE_UP, (bound + 1) // 2)
        if waiting >= room:
            return
        for file, request in requests(self._config.ledger):
            if take_up(self._ledger.connection, room - waiting, request.from_ns, request.to_ns):
                return
            file.unlink(missing_ok=True)
            log.info("all that was asked for has been taken up (%s)", file.name)

    def _run_errands(self, now: float) -> None:
        """Rejected files to their folder, some at a time. One that cannot be brought there holds up no other."""
        settings = self._config.rejects
        if settings.files == "stay":
            return
        done, tried = [], 0
        failed: list[OSError] = []
        for errand in self._ledger.errands(_ERRANDS + len(self._stuck)):
            number = errand[0]
            if number in self._stuck:
                continue
            if len(failed) == _FAILURES or (tried and self._steady() - now > _ERRAND_SECONDS):
                break
            tried += 1
            try:
                self._bring(errand)
            except OSError as error:
                failed.append(error)
                self._stuck.add(number)
            else:
                done.append(number)
        if failed:
            problem = (
                f"{self._config.rejects_folder}: rejected files cannot be brought there"
                f" ({failed[-1].strerror or failed[-1]}); make room, or allow this user to write there and to take them"
                " from the watched folder"
            )
            if problem != self._errands_problem:
                log.error("%s", problem)
            self._errands_problem = problem
        elif not self._stuck:
            self._errands_problem = None
        if len(failed) == _FAILURES or (self._stuck and not tried):
            self._errands_at = now + _AGAIN_SECONDS
        if (self._stuck and not tried) or len(self._stuck) > _STUCK:
            self._stuck.clear()  # all others were brought: now these once more
        if done:
            self._ledger.errands_done(done)

    def _bring(self, errand: tuple[int, Found, str, str, bytes | None]) -> None:
        """One rejected file to the folder for them; nothing where it is gone. Raises OSError."""
        _, noted, reason, detail, sha256 = errand
        why = Why(reason, detail, noted.size, noted.mtime_ns, sha256, self._bundle_digest())
        member = partial(self._member, noted) if _in_shard(self._config.watch, noted.path) else None
        how, folder = self._config.rejects.files, self._config.rejects_folder
        put_aside(self._config.watch, noted.path, how, folder, why, self._wall_ns(), member)

    def _member(self, noted: Found) -> bytes | None:
        try:
            return self._read(noted)
        except (BadImage, FileNotFoundError):  # its bytes cannot be had: there is nothing to bring
            return None


def _in_shard(root: Path, path: str) -> bool:
    """Whether the path leads into an archive; a folder may be named like one."""
    return any(is_shard_name(str(part)) and (root / part).is_file() for part in PurePosixPath(path).parents)
