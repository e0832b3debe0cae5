"""The eye on the capture folder: notifications first, then a scan of what lies there, then both for as long as we run.

The periodic rescan is the net under the notifications: their queue can overflow (we hear of it and rescan at once), network
mounts send none (they are rescanned more often), and a file that was hard-linked or moved in is announced before it may
be complete.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import queue
import stat
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyObserver

from bundle.errors import BadConfig
from edge.intake.files import Found, is_hidden, is_ours, look, scan
from edge.intake.mounts import sends_events

log = logging.getLogger(__name__)

# watchdog 7.1 warns, in a thousand characters, when folders come up faster than it adds its watches; it is harmless.
warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning, "watchdog")

# Reading a file would itself cause opened and closed-no-write events: ask the kernel for no more than we use.
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileMovedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]
_SLICE = 1000  # files of a scan in one poll, some 5 ms: live files and watchdog pings are not held up by a large folder
_SCAN_SHARE = 0.1  # of the time, at most, goes into rescans: a folder of a million files is walked more seldom
_ROOT_SECONDS = 1.0  # how often we look whether the folder itself is still there


@dataclass(frozen=True)
class Sight:
    """A file that came up. `closed`: its writer has just closed it or given it this name."""

    found: Found
    closed: bool


class Watcher:
    """A context manager around one folder; `poll` gives what came up. For one thread.

    passes    how many scans of the whole folder are complete
    news      a file descriptor that can be read when there is something to poll
    """

    def __init__(
        self,
        root: Path,
        recursive: bool,
        rescan_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
        poll_seconds: float | None = None,
    ) -> None:
        """poll_seconds: how often to walk a mount that sends no notifications; None: as `rescan_seconds`."""
        self.root = root
        self._problem: str | None = None
        self.passes = 0
        self._recursive, self._rescan_seconds, self._monotonic = recursive, rescan_seconds, monotonic
        self._poll_seconds, self._every_seconds = poll_seconds, rescan_seconds
        self._scan_began = 0.0
        self._overflow = _Overflow()
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self.news = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._moves: list[tuple[str, str]] = []
        self._observer: BaseObserver | None = None
        self._ears: frozenset[threading.Thread] = frozenset()  # the threads that the observer started
        self._identity: tuple[int, int] | None = None  # device and inode: a folder made anew is another one
        self._new_folders: deque[str] = deque()
        self._subtrees: Iterator[Found] = iter(())
        self._more_below = False
        self._scan: Iterator[Found] | None = None
        self._next_scan = self._next_root_check = 0.0
        self._refused: dict[str, str] = {}  # folders that could not be listed lately, and why
        self._refused_now: dict[str, str] = {}  # the same, of the walk that is under way

    def __enter__(self) -> Watcher:
        check_folder(self.root)
        for name in _INOTIFY_LOGS:
            logging.getLogger(name).addFilter(self._overflow)
        self._attach()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._detach()
        for name in _INOTIFY_LOGS:
            logging.getLogger(name).removeFilter(self._overflow)
        os.close(self.news)

    @property
    def busy(self) -> bool:
        """Whether a walk is under way: polling goes on without waiting for news."""
        return self._scan is not None or self._more_below or bool(self._new_folders)

    def rescan(self) -> None:
        """The whole folder is walked at the next poll, a walk that is under way from its beginning."""
        self._scan, self._next_scan = None, 0.0

    @property
    def problem(self) -> str | None:
        """What a person should know, one line, or None."""
        if self._problem is not None or not self._refused:
            return self._problem
        folder, why = next(iter(self._refused.items()))
        others = f" and {len(self._refused) - 1} more folders" if len(self._refused) > 1 else ""
        return f"{self.root / folder}{others}: cannot be listed ({why}); allow this user to read it: its images are not seen"

    @property
    def deaf(self) -> bool:
        """Whether a thread that hears notifications has ended though nobody ended it."""
        return self._observer is not None and not all(thread.is_alive() for thread in self._ears)

    @property
    def here(self) -> bool:
        """Whether the folder was there when last looked at, which costs nothing."""
        return self._identity is not None

    @property
    def attached(self) -> bool:
        """Whether the folder is there, as of this moment."""
        self._check_root()
        return self._identity is not None

    def poll(self, timeout_seconds: float) -> list[Sight]:
        """What came up since the last call; waits for something at most `timeout_seconds`."""
        now = self._monotonic()
        if now >= self._next_root_check:
            self._next_root_check = now + _ROOT_SECONDS
            self._check_root()
        if self._overflow.happened:
            self._overflow.happened = False
            log.warning("%s: more happened at once than the system could tell; the folder is walked", self.root)
            self._watch_anew()
        if self._scan is None and self._identity and now >= self._next_scan:
            self._scan, self._scan_began = scan(self.root, self._recursive, refused=self._refuse), now
        sights = self._take_events(0.0 if self._scan else timeout_seconds)
        below = [Sight(found, closed=False) for found in islice(self._subtrees, _SLICE)]
        self._more_below = len(below) == _SLICE
        if not self._more_below:
            self._subtrees = self._walk_new_folders()
        sights += below
        if self._scan is not None:
            part = list(islice(self._scan, _SLICE))
            sights += [Sight(found, closed=False) for found in part]
            if len(part) < _SLICE:
                self._scan = None
                now = self._monotonic()
                self._next_scan = now + max(self._every_seconds, (now - self._scan_began) * (1 / _SCAN_SHARE - 1))
                self._refused, self._refused_now = self._refused_now, {}
                if self.attached:  # a folder that went away half way was not scanned
                    self.passes += 1
        return sights

    def take_moves(self) -> list[tuple[str, str]]:
        """The renames inside the folder since the last call: (old path, new path), in their order; of folders with a / each."""
        moves, self._moves = self._moves, []
        return moves

    def _take_events(self, timeout_seconds: float) -> list[Sight]:
        closed: dict[str, bool] = {}
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.news)
        try:
            event = self._events.get(timeout=timeout_seconds) if timeout_seconds else self._events.get_nowait()
            while True:
                path, was_closed, moved_from = event
                if moved_from is not None:
                    self._moves.append((moved_from, path) if was_closed is not None else (f"{moved_from}/", f"{path}/"))
                if was_closed is None:
                    self._new_folders.append(path)
                else:
                    closed[path] = was_closed or closed.get(path, False)
                if len(closed) >= _SLICE:
                    os.eventfd_write(self.news, 1)  # there may be more
                    break
                event = self._events.get_nowait()
        except queue.Empty:
            pass
        return [Sight(found, closed[path]) for path in closed if (found := look(self.root, path))]

    def _walk_new_folders(self) -> Iterator[Found]:
        while self._new_folders:
            yield from scan(self.root, True, self._new_folders.popleft(), self._refuse)

    def _attach(self) -> None:
        """Notifications first; the scan that finds what was there before them starts at the next poll."""
        root = str(self.root)
        status = self.root.stat()
        try:
            self._observer, self._problem = self._observe(root), None
        except OSError as error:
            # Out of inotify watches, for one. The rescan alone finds everything too, only later.
            limit = "max_user_instances" if error.errno == errno.EMFILE else "max_user_watches"
            self._problem = (
                f"no notifications for {root} ({error.strerror or error}); it is rescanned every "
                f"{self._rescan_seconds:g} s instead; raise fs.inotify.{limit} and start again"
            )
            log.warning("%s", self._problem)
        self._every_seconds = self._rescan_seconds
        if self._poll_seconds is not None and not sends_events(self.root):
            self._every_seconds = self._poll_seconds
            log.info("%s: a mount that tells of nothing; it is walked every %g s", self.root, self._every_seconds)
        self._identity = (status.st_dev, status.st_ino)
        self._next_scan = 0.0

    def _observe(self, root: str) -> BaseObserver:
        before = set(threading.enumerate())
        observer = InotifyObserver()
        try:
            observer.schedule(_Handler(root, self._tell), root, recursive=self._recursive, event_filter=_EVENTS)
            observer.start()
        except OSError:
            observer.stop()
            raise
        self._ears = frozenset(set(threading.enumerate()) - before)
        return observer

    def _tell(self, event: _Event) -> None:
        self._events.put(event)
        os.eventfd_write(self.news, 1)

    def _detach(self) -> None:
        observer, self._observer, self._identity = self._observer, None, None
        if observer is not None:
            observer.stop()
            observer.join()

    def _watch_anew(self) -> None:
        """Notifications from all folders that there are, and a scan: one that was made meanwhile is watched by nobody."""
        identity = self._identity
        self._detach()
        self._identity = identity  # for all we know; if it is gone, the next look tells
        self.rescan()
        if identity is not None:
            with contextlib.suppress(OSError):
                self._attach()

    def _check_root(self) -> None:
        try:
            status = self.root.stat()
            identity = (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None
        except OSError:
            identity = None
        if identity == self._identity:
            return
        if self._identity is not None:
            self._detach()
            self._scan, self._subtrees = None, iter(())
            self._new_folders.clear()
            self._problem = f"the watched folder {self.root} is gone; counting goes on when it is back"
            log.error("%s", self._problem)
        if identity is not None:
            try:
                self._attach()
            except OSError:  # gone again in this very moment
                return
            log.info("the watched folder %s is back", self.root)

    def _refuse(self, folder: str, error: OSError) -> None:
        why = error.strerror or str(error)
        if folder not in self._refused:
            log.error("%s: cannot be listed (%s); its images are not seen", self.root / folder, why)
            self._refused[folder] = why
        self._refused_now[folder] = why


def check_folder(root: Path) -> None:
    """Raises BadConfig, saying what to do, unless `root` is a folder whose files can be listed."""
    if not root.exists():
        raise BadConfig(f"{root}: no such folder to watch; create it, or mount its disk")
    if not root.is_dir():
        raise BadConfig(f"{root}: not a folder; give the folder that the camera writes to")
    try:
        with os.scandir(root):
            pass
    except OSError as error:
        raise BadConfig(f"{root}: cannot be listed ({error.strerror}); allow this user to read it") from None


_Event = tuple[str, bool | None, str | None]  # path; closed, or None for a folder; the path it had before, if any


class _Handler(FileSystemEventHandler):
    """Runs in watchdog's thread: does as little as can be, and leaves the looking to `poll`."""

    def __init__(self, root: str, tell: Callable[[_Event], None]) -> None:
        self._start = len(root.rstrip("/")) + 1
        self._tell = tell

    def on_any_event(self, event: FileSystemEvent) -> None:
        moved = isinstance(event, FileMovedEvent | DirMovedEvent)
        before = (os.fsdecode(event.src_path)[self._start :] or None) if moved else None  # none: from outside
        path = os.fsdecode(event.dest_path if moved else event.src_path)[self._start :]
        if isinstance(event, DirCreatedEvent | DirMovedEvent):
            # watchdog tells of most files in a new folder itself; a walk of our own misses none.
            if path and not any(is_hidden(folder) for folder in path.split("/")):
                self._tell((path, None, before))
        elif is_ours(path):
            # A name such as a.jpg.part was never noted: nothing in the ledger waits for its new one.
            known = before if before and is_ours(before) else None
            self._tell((path, moved or isinstance(event, FileClosedEvent), known))


_INOTIFY_LOGS = ("watchdog.observers.inotify_c", "watchdog.observers.inotify")


class _Overflow(logging.Filter):
    """Hears of an overflow of the kernel's queue, which watchdog 7.1 tells to its log alone. Its line is ours to word."""

    def __init__(self) -> None:
        super().__init__()
        self.happened = False

    def filter(self, record: logging.LogRecord) -> bool:
        if "overflow" not in record.getMessage():
            return True
        self.happened = True
        return False
