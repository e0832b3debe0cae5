"""What to read next: from the watcher's sights, through the ledger, to files that are ready, in the order wanted.

The ledger is the queue. In memory are only the files that are about to be read or must settle first, at most HELD of
them, however many wait; the rest is fetched from the ledger when there is room.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Callable, Generator, Iterator
from itertools import islice

from edge.config import EdgeConfig
from edge.daemon.outcome import Unread
from edge.intake.files import Found, is_shard_name, look
from edge.intake.known import Known
from edge.intake.settle import Candidate, Settling
from edge.intake.watch import Sight, Watcher
from edge.ledger.ledger import UNREADABLE, Ledger, spelled, stored
from edge.shards.shardfile import BadShard
from edge.shards.shards import Shards, members

log = logging.getLogger(__name__)

HELD = 20_000  # files in memory, some 10 MB
_MOVES = 100_000  # renames in memory, some 20 MB
_PAGE = 1000  # rows or members in one turn, some 10 ms
_FIRST_RETRY_SECONDS = 1.0


class Intake:
    """The state between two turns of the loop: all of it can be lost and found again by scanning. One thread."""

    def __init__(
        self,
        config: EdgeConfig,
        ledger: Ledger,
        watcher: Watcher,
        shards: Shards,
        wall_ns: Callable[[], int],
        steady: Callable[[], float],
        held: int = HELD,
    ) -> None:
        """held: so many files are kept in memory at most."""
        self.lost = 0  # files that vanished before they were read
        self.last_lost = ""
        self.refused: list[Unread] = []  # archives that cannot be walked, for the ledger
        self.forgotten = False  # files wait in the ledger, and none is held, settling or looked for
        self._root, self._ledger, self._watcher, self._shards = config.watch, ledger, watcher, shards
        self._settle_seconds, self._retry_seconds = config.settle_seconds, config.retry_seconds
        self._newest_first = config.overload.policy == "newest"
        self._wall_ns, self._steady, self._most = wall_ns, steady, held
        self._settling = Settling(config.settle_seconds)
        self._known = Known()
        self._walks: dict[str, _Walk] = {}  # archives being listed, by path
        self._beyond = 0  # the ledger's number of the waiting file that was fetched last
        self._missing: dict[str, float] = {}  # waiting files not on the disk, and since when (steady seconds)
        self._failed: dict[str, float] = {}  # files that could not be read, and the next pause in seconds
        self._given_up = Known()  # files rejected as unreadable: each rescan tries them once, and holds nobody up
        self._out: dict[str, Found] = {}  # files that were taken and of which nothing has been said since
        self._moves: list[tuple[str, str]] = []  # renames that the ledger does not know of yet

    @property
    def ready(self) -> int:
        """How many files could be taken at once."""
        return self._settling.ready

    @property
    def in_hand(self) -> frozenset[str]:
        """The files that were taken and of which nothing has been said since: their paths as the ledger has them."""
        return frozenset(map(stored, self._out))

    def turn(self, timeout_seconds: float) -> None:
        """Takes notice of what came up, waiting for it at most so long, and sees to it that files are ready."""
        sights = self._watcher.poll(timeout_seconds)
        now = self._steady()
        self.keep_moves()
        if self._moves:
            for path in self._ledger.rename(self._moves):
                for name in spelled(path):
                    self._settling.forget(name)
            self._moves = []
        if sights:
            self._notice(sights, now)
        self._walk(now)
        gone = self._settling.mature(now, self._look)
        for path in gone:
            self._missing.setdefault(path, now)
            self._failed.pop(path, None)
        self._fetch(now)
        held = len(self._settling) + len(self._out) + len(self._missing) + len(self._walks)
        self.forgotten = held == 0 and self._ledger.waiting_count() > 0

    def take(self, limit: int) -> list[Candidate]:
        """Up to `limit` files to read. Of each must be said what became of it: `done`, `defer`, `again` or `failed`."""
        taken = [
            candidate
            for candidate in self._settling.take(limit, self._newest_first)
            if not is_shard_name(candidate.found.path) or self._open(candidate)
        ]
        self._out.update((candidate.found.path, candidate.found) for candidate in taken)
        return taken

    def defer(self, candidate: Candidate) -> None:
        """The file was gone, changed, or looked torn: it is looked at again once it has settled."""
        path, now = candidate.found.path, self._steady()
        self._out.pop(path, None)
        found = self._look(path)
        if found is not None:
            self._settling.defer(found, now)
        elif self._gone(path):
            self._missing.setdefault(path, now)
        else:
            self._settling.defer(candidate.found, now)

    def failed(self, candidate: Candidate, error: OSError) -> Unread | None:
        """The file could not be read: it is tried again after a pause, each twice the last; then it is given up for now."""
        path = candidate.found.path
        self._out.pop(path, None)
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise error  # ours, not the file's
        pause = self._failed.get(path, _FIRST_RETRY_SECONDS)
        tried = not self._given_up.unknown([candidate.found])
        if candidate.settled and (tried or pause - _FIRST_RETRY_SECONDS >= self._retry_seconds):
            self._failed.pop(path, None)
            self._given_up.add(candidate.found)
            return Unread(candidate.found, UNREADABLE, error.strerror or str(error))
        self._failed[path] = pause * 2
        self._settling.defer(candidate.found, self._steady(), pause)
        return None

    def done(self, candidate: Candidate) -> None:
        """The file was read, or given up."""
        self._out.pop(candidate.found.path, None)
        if self._failed:
            self._failed.pop(candidate.found.path, None)

    def again(self, candidate: Candidate) -> None:
        """The file was not read, by no fault of its own perhaps: it is ready at once."""
        self._out.pop(candidate.found.path, None)
        self._settling.notice(candidate.found, True, self._age(candidate.found), self._steady())

    def forget(self, paths: list[str]) -> None:
        """These files are left out by a policy."""
        for path in paths:
            for name in spelled(path):
                self._settling.forget(name)

    def keep_moves(self) -> None:
        """Takes notice of renames alone, while the ledger cannot be written; of the last ones, if there are very many."""
        self._moves = (self._moves + self._watcher.take_moves())[-_MOVES:]

    def look_again(self) -> None:
        """What was noticed may not have reached the ledger (its disk was full): everything is looked at once more."""
        self._known = Known()
        self._walks.clear()  # members that were just listed may be among it
        self._watcher.rescan()

    def _look(self, path: str) -> Found | None:
        found = look(self._root, path)
        if found is None and _in_shard(path):
            with contextlib.suppress(OSError):
                return self._shards.look(path)
        return found

    def _gone(self, path: str) -> bool:
        """Whether there is no such file any more. One that may not be looked at now, or its archive, may be there still."""
        try:
            return not stat.S_ISREG(os.stat(f"{self._root}/{path}").st_mode)  # noqa: PTH116
        except FileNotFoundError:
            return True
        except NotADirectoryError:  # a member of an archive, or a folder whose name a file has now
            with contextlib.suppress(OSError):
                return self._shards.look(path) is None
            return False
        except OSError:
            return False

    def _notice(self, sights: list[Sight], now: float) -> None:
        sights = [sight for sight in sights if self._out.get(sight.found.path) != sight.found]
        closed = {sight.found: sight.closed for sight in sights if sight.found.path not in self._settling}
        closed.update({sight.found: True for sight in sights if sight.closed})
        fresh = self._known.unknown(list(closed))
        shards = [found for found in fresh if is_shard_name(found.path)]
        for found in shards:
            if self._ledger.knows_shard(found):
                self._known.add(found)
            elif found.path not in self._walks:
                self._settling.notice(found, closed[found], self._age(found), now)
        self._hold([found for found in fresh if not is_shard_name(found.path)], closed, now)

    def _hold(self, files: list[Found], closed: dict[Found, bool], now: float) -> list[Found]:
        """Into the ledger, and into memory as far as there is room. Returns those that want reading."""
        if not files:
            return []
        wanted = self._ledger.note(files, self._wall_ns())
        done = set(files).difference(wanted)
        for found in done:
            self._known.add(found)
        for found in wanted:
            age_seconds = self._age(found)
            readable = closed.get(found, False) or age_seconds >= self._settle_seconds
            if len(self._settling) < self._most or (self._newest_first and readable):
                self._settling.notice(found, closed.get(found, False), age_seconds, now)
        if self._newest_first and len(self._settling) >= self._most:
            # Some room is made at once: for files that must settle first, and not to sort them for each new one.
            self._settling.let_go(max(0, self._most * 9 // 10 - len(self._settling) + self._settling.ready))
        return wanted

    def _age(self, found: Found) -> float:
        return (self._wall_ns() - found.mtime_ns) / 1e9

    # --- archives

    def _open(self, candidate: Candidate) -> bool:
        """An archive is ready: its members are walked from now on. Never to be read as an image itself."""
        if candidate.settled:
            self._walks[candidate.found.path] = _Walk(candidate.found, members(self._root, candidate.found))
        else:  # closed a moment ago, and perhaps opened again for the next image
            self._settling.defer(candidate.found, self._steady())
        return False

    def _walk(self, now: float) -> None:
        """A slice of the first archive, while there is room for its members."""
        if not self._walks or len(self._settling) >= self._most:
            return
        path, walk = next(iter(self._walks.items()))
        page, fault = _next_page(walk.members, _PAGE)
        walk.count += len(page)
        # Members do not settle: the archive has. Those that stand in the ledger are passed by there.
        self._hold(page, dict.fromkeys(page, False), now)
        if len(page) == _PAGE and fault is None:
            return
        del self._walks[path]
        walk.members.close()
        unchanged = look(self._root, path) == walk.found
        if not unchanged:  # it grew meanwhile: once more, from the ledger's point of view only what is new
            if (found := look(self._root, path)) is not None:
                self._settling.defer(found, now)
        elif isinstance(fault, BadShard):
            self.refused.append(Unread(walk.found, fault.reason, fault.detail))
        elif fault is not None:
            unread = self.failed(Candidate(walk.found, settled=True), fault)
            if unread:
                self.refused.append(unread)
        else:
            self._ledger.shard_listed(walk.found, walk.count, self._wall_ns())
            self._known.add(walk.found)

    # --- what the ledger has and memory has not

    def _fetch(self, now: float) -> None:
        """Files that wait in the ledger and are not held: too many before, or left from an earlier process."""
        waiting = self._ledger.waiting_count()
        held = len(self._settling) + len(self._out)
        if waiting <= held or len(self._settling) > self._most // 2:
            return
        if len(self._missing) > self._most or waiting <= held + len(self._missing):
            self._give_up(now)
            return
        most = min(_PAGE, self._most // 2)
        page = self._ledger.waiting(most, self._beyond, self._newest_first)
        self._beyond = page[-1][0] if len(page) == most else 0
        for _, noted in page:
            if noted.path in self._settling or noted.path in self._missing or noted.path in self._out:
                continue
            found = next((found for name in spelled(noted.path) if (found := self._look(name))), None)
            if found is None:
                self._missing[noted.path] = now
            elif found.path not in self._settling and found.path not in self._out:
                self._settling.notice(found, False, self._age(found), now)
        self._give_up(now)

    def _give_up(self, now: float) -> None:
        """Waiting files that have been missing for a while have vanished, unless the whole folder is away.

        For a while: a file may be on its way to another name, which comes up a moment later.
        """
        late = [path for path, since in self._missing.items() if now - since >= self._settle_seconds]
        if not late or not self._watcher.attached:
            return
        gone = []
        for path in late:
            del self._missing[path]
            if path not in self._settling and path not in self._out and all(self._gone(name) for name in spelled(path)):
                gone.append(path)
        if gone:
            lost = self._ledger.vanish(gone)
            if lost:
                self.lost += lost
                self.last_lost = gone[-1]


class _Walk:
    """An archive being listed."""

    def __init__(self, found: Found, listing: Generator[Found]) -> None:
        self.found, self.members, self.count = found, listing, 0


def _next_page(listing: Iterator[Found], most: int) -> tuple[list[Found], BadShard | OSError | None]:
    """Up to `most` members, fewer at the end, and why the walk cannot go on, if so."""
    page: list[Found] = []
    try:
        for found in islice(listing, most):
            page.append(found)
    except (BadShard, OSError) as fault:
        return page, fault
    return page, None


def _in_shard(path: str) -> bool:
    return any(is_shard_name(path[:at]) for at, letter in enumerate(path) if letter == "/")
