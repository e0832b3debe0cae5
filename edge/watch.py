"""The eye on the capture folder: notifications first, then a scan of what lies there, then both for as long as we run.

The periodic rescan is the net under the notifications: their queue can overflow, network mounts send none, and a file
that was hard-linked or moved in is announced before it may be complete.
"""

from __future__ import annotations

import logging
import os
import queue
import stat
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
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
from edge.files import Found, is_hidden, is_image_name, look, scan

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
_ROOT_SECONDS = 1.0  # how often we look whether the folder itself is still there


@dataclass(frozen=True)
class Sight:
    """A file that came up. `closed`: its writer has just closed it or given it this name."""

    found: Found
    closed: bool


class Watcher:
    """A context manager around one folder; `poll` gives what came up. For one thread.

    problem   what a person should know, one line, or None
    passes    how many scans of the whole folder are complete
    """

    def __init__(
        self, root: Path, recursive: bool, rescan_seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.root = root
        self.problem: str | None = None
        self.passes = 0
        self._recursive, self._rescan_seconds, self._monotonic = recursive, rescan_seconds, monotonic
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._moves: list[tuple[str, str]] = []
        self._observer: BaseObserver | None = None
        self._identity: tuple[int, int] | None = None  # device and inode: a folder made anew is another one
        self._subtrees: Iterator[Found] = iter(())
        self._scan: Iterator[Found] | None = None
        self._next_scan = self._next_root_check = 0.0
        self._refused: set[str] = set()  # folders that we have complained of

    def __enter__(self) -> Watcher:
        check_folder(self.root)
        self._attach()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._detach()

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
        if self._scan is None and self._identity and now >= self._next_scan:
            self._scan = scan(self.root, self._recursive, refused=self._refuse)
        sights = self._take_events(0.0 if self._scan else timeout_seconds)
        sights += [Sight(found, closed=False) for found in islice(self._subtrees, _SLICE)]
        if self._scan is not None:
            part = list(islice(self._scan, _SLICE))
            sights += [Sight(found, closed=False) for found in part]
            if len(part) < _SLICE:
                self._scan = None
                self._next_scan = self._monotonic() + self._rescan_seconds
                if self.attached:  # a folder that went away half way was not scanned
                    self.passes += 1
        return sights

    def take_moves(self) -> list[tuple[str, str]]:
        """The renames inside the folder since the last call: (old path, new path), in their order; of folders with a / each."""
        moves, self._moves = self._moves, []
        return moves

    def _take_events(self, timeout_seconds: float) -> list[Sight]:
        closed: dict[str, bool] = {}
        try:
            event = self._events.get(timeout=timeout_seconds) if timeout_seconds else self._events.get_nowait()
            while True:
                path, was_closed, moved_from = event
                if moved_from is not None:
                    self._moves.append((moved_from, path) if was_closed is not None else (f"{moved_from}/", f"{path}/"))
                if was_closed is None:
                    self._subtrees = chain(self._subtrees, scan(self.root, True, path, self._refuse))
                else:
                    closed[path] = was_closed or closed.get(path, False)
                if len(closed) >= _SLICE:
                    break
                event = self._events.get_nowait()
        except queue.Empty:
            pass
        return [Sight(found, closed[path]) for path in closed if (found := look(self.root, path))]

    def _attach(self) -> None:
        """Notifications first; the scan that finds what was there before them starts at the next poll."""
        root = str(self.root)
        status = self.root.stat()
        try:
            self._observer, self.problem = self._observe(root), None
        except OSError as error:
            # Out of inotify watches, for one. The rescan alone finds everything too, only later.
            self.problem = (
                f"no notifications for {root} ({error.strerror or error}); it is rescanned every "
                f"{self._rescan_seconds:g} s instead; raise fs.inotify.max_user_watches and start again"
            )
            log.warning("%s", self.problem)
        self._identity = (status.st_dev, status.st_ino)
        self._next_scan = 0.0

    def _observe(self, root: str) -> BaseObserver:
        observer = InotifyObserver()
        try:
            observer.schedule(_Handler(root, self._events), root, recursive=self._recursive, event_filter=_EVENTS)
            observer.start()
        except OSError:
            observer.stop()
            raise
        return observer

    def _detach(self) -> None:
        observer, self._observer, self._identity = self._observer, None, None
        if observer is not None:
            observer.stop()
            observer.join()

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
            self.problem = f"the watched folder {self.root} is gone; counting goes on when it is back"
            log.error("%s", self.problem)
        if identity is not None:
            try:
                self._attach()
            except OSError:  # gone again in this very moment
                return
            log.info("the watched folder %s is back", self.root)

    def _refuse(self, folder: str, error: OSError) -> None:
        if folder not in self._refused:
            self._refused.add(folder)
            log.error("%s: cannot be listed (%s); its images are not seen", self.root / folder, error.strerror)


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

    def __init__(self, root: str, events: queue.SimpleQueue[_Event]) -> None:
        self._start = len(root.rstrip("/")) + 1
        self._events = events

    def on_any_event(self, event: FileSystemEvent) -> None:
        moved = isinstance(event, FileMovedEvent | DirMovedEvent)
        before = (os.fsdecode(event.src_path)[self._start :] or None) if moved else None  # none: from outside
        path = os.fsdecode(event.dest_path if moved else event.src_path)[self._start :]
        if isinstance(event, DirCreatedEvent | DirMovedEvent):
            # watchdog tells of most files in a new folder itself; a walk of our own misses none.
            if path and not any(is_hidden(folder) for folder in path.split("/")):
                self._events.put((path, None, before))
        elif is_image_name(path):
            self._events.put((path, moved or isinstance(event, FileClosedEvent), before))
