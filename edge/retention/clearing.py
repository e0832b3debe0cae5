"""Deletes what a plan of `edge.retention.retention` lets go, file by file, and never another file.

A file goes only while it has the size and mtime that the ledger knows, is a regular file, and is reached from the watched
folder without a link. Killed between a deletion and its record, the next run finds the file absent and records that.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal

from bundle.errors import BadConfig
from edge.bins import bin_start
from edge.ledger.ledger import spelled
from edge.retention.retention import DAY_NS, GB, HOUR_NS, NOTHING_YET, Going, Plan, RetentionSettings
from edge.retention.stock import BEGINNING, CountedBytes, File, Place

log = logging.getLogger(__name__)

Fate = Literal["deleted", "absent", "changed"]

_FILES_A_STEP = 20  # some 1 ms; a slow card may take 1 ms for each
_RECORDED_AT_ONCE = 200  # files in one transaction


class Reach:
    """The watched folder, opened: what is deleted through it lies in it, wherever links point. A context manager.

    Raises OSError where it is not there, or is empty: a disk that is not mounted looks so, and its files are not gone.
    """

    def __init__(self, root: Path) -> None:
        self._stack = ExitStack()
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._stack.callback(os.close, self._root)
        self._folders: dict[tuple[str, ...], int] = {(): self._root}
        with os.scandir(self._root) as entries:
            if next(entries, None) is None:
                self._stack.close()
                raise FileNotFoundError(2, "empty: nothing to delete, or its disk is not mounted", str(root))

    def __enter__(self) -> Reach:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def delete(self, file: File) -> Fate:
        """Deletes the file if it is still the one the ledger knows. Raises OSError where it may not be deleted."""
        fate: Fate = "absent"
        for path in spelled(file.path):
            *folders, name = path.split("/")
            if any(part in ("", ".", "..") for part in (*folders, name)):
                return "changed"  # nothing that we noted ourselves
            try:
                folder = self._folder(tuple(folders))
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (file.size, file.mtime_ns):
                    os.unlink(name, dir_fd=folder)
                    return "deleted"
                fate = "changed"
            except FileNotFoundError:
                continue
            except NotADirectoryError:  # a link to a folder too: what lies behind it is not ours to judge
                return "changed"
        return fate

    def _folder(self, parts: tuple[str, ...]) -> int:
        if parts not in self._folders:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", 0)
            opened = os.open(parts[-1], flags, dir_fd=self._folder(parts[:-1]))
            self._stack.callback(os.close, opened)
            self._folders[parts] = opened
        return self._folders[parts]


@dataclass
class Cleared:
    """What a run did."""

    deleted: int = 0  # files
    absent: int = 0
    changed: int = 0
    refused: int = 0
    freed_bytes: int = 0
    first_refusal: str | None = None


def carry_out(
    plan: Plan,
    root: Path,
    record_gone: Callable[[Sequence[int], int], None],
    wall_ns: Callable[[], int],
    cleared: Cleared,
    gone: Callable[[Going, File], None] = lambda _going, _file: None,
) -> Generator[None, None, None]:
    """Deletes, a few files a step, and records them in slices; sums in `cleared`. Raises OSError as `Reach` does.

    gone: hears of each file that is no more. Leave the iterator unfinished at any step: nothing is lost by it.
    """
    for part in plan:
        yield
        files = [(going, file) for going in part.going for file in going.files]
        for start in range(0, len(files), _RECORDED_AT_ONCE):
            done: list[tuple[Going, File]] = []
            batch = files[start : start + _RECORDED_AT_ONCE]
            try:
                for first in range(0, len(batch), _FILES_A_STEP):
                    with Reach(root) as reach:
                        for going, file in batch[first : first + _FILES_A_STEP]:
                            if _delete(reach, file, cleared):
                                done.append((going, file))
                            else:
                                plan.put_back(going, file)
                    yield
            finally:
                if done:
                    record_gone([file.sighting_id for _, file in done], wall_ns())
            for going, file in done:
                gone(going, file)
            yield


def _delete(reach: Reach, file: File, cleared: Cleared) -> bool:
    """Whether the file is no more."""
    try:
        fate = reach.delete(file)
    except OSError as error:
        cleared.refused += 1
        cleared.first_refusal = cleared.first_refusal or f"{file.path}: {error.strerror or error}"
        return False
    if fate == "changed":
        cleared.changed += 1
    elif fate == "absent":
        cleared.absent += 1
    else:
        cleared.deleted += 1
        cleared.freed_bytes += file.size
    return fate != "changed"


def _hour_of(place: Place) -> Place:
    """Before the first image of the hour: more may have come to it since."""
    return max(bin_start(place[0], HOUR_NS), 1 - 2**63) - 1, 2**63 - 1


@dataclass
class _Bookmark:
    """Where the next run goes on, so that it does not walk over what stays or has gone."""

    began_ns: int  # when a run last began at the beginning
    place: Place = BEGINNING
    held_up: Place | None = None
    horizons: object = None
    counted: CountedBytes = field(default_factory=CountedBytes)


class Retention:
    """The daemon's side: looks every `every_minutes` whether files must go, and does a little of it each `turn`.

    One thread. connection: to the ledger, may be read-only, in autocommit mode. problem: one line for a person, or None.
    Once a day, and after a start, it goes over all images; else on from where it was.
    """

    def __init__(
        self,
        settings: RetentionSettings,
        root: Path,
        connection: sqlite3.Connection,
        record_gone: Callable[[Sequence[int], int], None],
        wall_ns: Callable[[], int],
        steady: Callable[[], float],
    ) -> None:
        self.problem: str | None = None
        self._settings, self._root, self._connection, self._record_gone = settings, root, connection, record_gone
        self._wall_ns, self._steady = wall_ns, steady
        self._next = steady()
        self._run: Generator[None, None, None] | None = None
        self._bookmark: _Bookmark | None = None
        self._cleared = Cleared()

    def turn(self, budget_seconds: float = 0.05) -> Cleared | None:
        """Works at most about `budget_seconds`, if there is something to do; what was done, when a run has ended.

        Not to be called while the watched folder is known to be away. Raises sqlite3.Error as the ledger does.
        """
        now = self._steady()
        if not self._settings.enabled or (self._run is None and now < self._next):
            return None
        if self._run is None:
            self._cleared = Cleared()
            self._run = self._clear()
        try:
            for _ in self._run:
                if self._steady() - now >= budget_seconds:
                    return None
        except OSError as error:
            self._bookmark = None
            self._complain(f"retention stopped: {self._root}: {error.strerror or error}; it tries again later")
        self._run = None
        self._next = self._steady() + self._settings.every_minutes * 60
        if self._cleared.deleted:
            log.info("retention: %d files deleted, %d bytes", self._cleared.deleted, self._cleared.freed_bytes)
        return self._cleared

    def close(self) -> None:
        """Records what was deleted last; before the ledger is closed."""
        if self._run is not None:
            self._run.close()
            self._run = None

    def _clear(self) -> Generator[None, None, None]:
        now_ns = self._wall_ns()
        mark = self._bookmark
        if mark is None or not 0 <= now_ns - mark.began_ns < DAY_NS:
            mark = self._bookmark = _Bookmark(now_ns)
        if self._settings.max_total_gb:
            yield from mark.counted.update(self._connection)
        disk = os.statvfs(self._root)
        free_bytes = disk.f_bavail * disk.f_frsize
        try:
            plan = Plan(self._connection, self._settings, now_ns, free_bytes, mark.counted.bytes)
        except BadConfig as error:  # of a file whose labels cannot be read none may be thought without
            self._complain(f"retention: nothing may go: {error}")
            return
        rules = plan.rules
        if rules.backed_up == NOTHING_YET or rules.exported == NOTHING_YET:
            missing = "backup of the ledger" if rules.backed_up == NOTHING_YET else "export of the verdicts"
            self._complain(f"retention: nothing may go, there is no {missing} yet; make one, or change edge.toml")
            return
        horizons = (rules.exported, rules.backed_up)
        plan.reached = mark.place
        if mark.held_up is not None and mark.horizons != horizons:
            # More has been exported or backed up: what waited for that may go now.
            plan.reached, mark.held_up = _hour_of(mark.held_up), None
        yield from carry_out(plan, self._root, self._record_gone, self._wall_ns, self._cleared, self._uncount)
        mark.place, mark.horizons = _hour_of(plan.reached), horizons
        mark.held_up = min((place for place in (mark.held_up, plan.held_up) if place is not None), default=None)
        self._judge(plan)

    def _uncount(self, going: Going, file: File) -> None:
        if going.image.label is not None and self._bookmark is not None:
            self._bookmark.counted.gone(file)

    def _judge(self, plan: Plan) -> None:
        """What a person should know after a run."""
        cleared = self._cleared
        if cleared.refused:
            self._complain(
                f"retention: {cleared.refused} files cannot be deleted, the first {cleared.first_refusal};"
                " allow this user to write the watched folder"
            )
        elif plan.missing_bytes:
            self._complain(
                f"retention: {plan.missing_bytes / GB:.1f} GB more should go, but all that is left must stay;"
                " free the disk, or keep less (planktow-edge retention --dry-run says what is kept and why)"
            )
        else:
            self.problem = None

    def _complain(self, problem: str) -> None:
        if self.problem != problem:
            log.warning("%s", problem)
        self.problem = problem
