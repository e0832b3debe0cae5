"""When a file may be read: once its writer closed it, or once it has stopped changing.

Pure: it never looks at a file or a clock. Times are `now`, in seconds of a clock that never jumps (the wall clock of a
ship is set by GPS some time after the start), and `age_seconds`, how long ago the file says it was last changed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from edge.intake.files import Found


@dataclass(frozen=True)
class Candidate:
    """A file to read. `settled` ones are judged as they are; the others get a second chance if they look torn."""

    found: Found
    settled: bool


@dataclass(frozen=True)
class _Waiting:
    found: Found
    until: float  # seconds, by the clock of `now`


_Rank = tuple[int, int, str]  # -mtime_ns; of one mtime, the one that was ready last; path


class Settling:
    """The files that were noticed and not yet read, in the order in which they became ready."""

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds
        self._waiting: dict[str, _Waiting] = {}
        self._ready: dict[str, Candidate] = {}
        self._by_age: list[_Rank] | None = None  # a heap; made when the newest are first asked for
        self._number = 0

    def __contains__(self, path: str) -> bool:
        return path in self._ready or path in self._waiting

    def __len__(self) -> int:
        return len(self._ready) + len(self._waiting)

    @property
    def ready(self) -> int:
        """How many files could be taken at once."""
        return len(self._ready)

    def notice(self, found: Found, closed: bool, age_seconds: float, now: float) -> None:
        """A file came up: `closed` by its writer just now, or merely found.

        A closed file is ready, but not settled: a camera may close it after the first half and open it again.
        """
        settled = age_seconds >= self._settle_seconds
        if closed or settled:
            self._waiting.pop(found.path, None)
            self._make_ready(Candidate(found, settled))
        else:
            self.defer(found, now)

    def forget(self, path: str) -> None:
        """The file has another name now, under which it comes up anew."""
        self._waiting.pop(path, None)
        self._ready.pop(path, None)

    def defer(self, found: Found, now: float, seconds: float | None = None) -> None:
        """The file must first stay as it is for `seconds`, if not given for `settle_seconds`.

        A file already waiting unchanged waits no longer.
        """
        self._ready.pop(found.path, None)
        known = self._waiting.get(found.path)
        if known is None or known.found != found:
            self._waiting[found.path] = _Waiting(found, now + (self._settle_seconds if seconds is None else seconds))

    def mature(self, now: float, look: Callable[[str], Found | None]) -> list[str]:
        """Looks again at the files whose time has come: unchanged ones are ready, the others wait anew.

        Returns the paths where there is no file any more; they are forgotten here.
        """
        gone = []
        for path, waiting in [item for item in self._waiting.items() if item[1].until <= now]:
            found = look(path)
            if found == waiting.found:
                del self._waiting[path]
                self._make_ready(Candidate(found, settled=True))
            elif found is None:
                del self._waiting[path]
                gone.append(path)
            else:
                self.defer(found, now)
        return gone

    def take(self, limit: int, newest_first: bool = False) -> list[Candidate]:
        """Up to `limit` ready files, first come first served, or the newest by mtime. They are no longer held here."""
        if not newest_first:
            return [self._ready.pop(path) for path in list(islice(self._ready, limit))]
        if self._by_age is None or len(self._by_age) > 2 * len(self._ready) + 1000:  # mostly of files taken otherwise
            self._by_age = [self._rank(candidate.found) for candidate in self._ready.values()]
            heapq.heapify(self._by_age)
        taken: list[Candidate] = []
        while self._by_age and len(taken) < limit:
            age, _, path = heapq.heappop(self._by_age)
            candidate = self._ready.get(path)
            if candidate is not None and candidate.found.mtime_ns == -age:  # else it was forgotten, or changed since
                taken.append(self._ready.pop(path))
        return taken

    def let_go(self, most: int) -> bool:
        """Holds no more than `most` ready files from now on: the oldest by mtime are let go. Whether there were more."""
        excess = max(0, len(self._ready) - most)
        if excess:
            for path in sorted(self._ready, key=lambda path: self._ready[path].found.mtime_ns)[:excess]:
                del self._ready[path]
        return excess > 0

    def _make_ready(self, candidate: Candidate) -> None:
        self._ready[candidate.found.path] = candidate
        if self._by_age is not None:
            heapq.heappush(self._by_age, self._rank(candidate.found))

    def _rank(self, found: Found) -> _Rank:
        self._number -= 1
        return -found.mtime_ns, self._number, found.path
