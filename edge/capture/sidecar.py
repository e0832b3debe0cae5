"""Side-car tables of names and times, which the camera's program writes beside the images or in one place for all."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from bundle.errors import PlanktowError
from bundle.timetag import SECOND_NS, Stamp
from edge.capture.sidecarline import BadHeader, Columns, read_header
from edge.capture.timetable import TimeTable
from edge.intake.files import Found
from edge.shown import shown


class StillReading(PlanktowError):
    """A side-car is so long that it is not read to its end yet: ask again, and it is read on."""


class SideCars:
    """The side-car of the whole watched folder, or one in each folder of images; only the last used are held."""

    def __init__(
        self,
        watch: Path,
        name: str,
        ahead_ns: int,
        wall_ns: Callable[[], int],
        steady: Callable[[], float],
        patience_seconds: float,
    ) -> None:
        """ahead_ns: of the camera's clock, for times without a zone; patience_seconds: for one look into one side-car."""
        self.problem: str | None = None
        self._watch, self._name, self._ahead_ns = watch, name, ahead_ns
        self._wall_ns, self._steady, self._patience_seconds = wall_ns, steady, patience_seconds
        self._cars: OrderedDict[str, _SideCar] = OrderedDict()

    def find(self, found: Found) -> Stamp | None:
        """What the side-car says of a file; it is looked at anew now and then, and for an image that is newer than it.

        Raises StillReading where more lines are to come: one of them may be the image's.
        """
        folder = "" if "/" in self._name else found.path.rpartition("/")[0]
        car = self._cars.get(folder)
        if car is None:
            car = self._cars[folder] = _SideCar(self._watch / folder / self._name, self._ahead_ns, self._wall_ns)
        self._cars.move_to_end(folder)
        now = self._steady()
        if now >= car.look_again or car.behind:
            car.look(self._impatient(now))
            car.look_again = now + _LOOK_SECONDS
            while len(self._cars) > 1 and (
                len(self._cars) > _MOST_FOLDERS or sum(len(car.table) for car in self._cars.values()) > _MOST_ROWS
            ):
                self._cars.popitem(last=False)
        ns = car.table.find(found.path)
        if ns is None and car.written_ns and not car.behind and found.mtime_ns >= car.written_ns - 2 * SECOND_NS:
            # A live camera writes image and row at about the same time: what we read of the side-car may be too old.
            car.look(self._impatient(now))
            ns = car.table.find(found.path)
        self.problem = car.problem
        if car.behind:
            raise StillReading(f"{car.file}: the side-car is still being read; ask again")
        return None if ns is None else Stamp(ns, zoned=True)

    def _impatient(self, began: float) -> Callable[[], bool]:
        return lambda: self._steady() - began >= self._patience_seconds


_LOOK_SECONDS = 2.0
_MOST_FOLDERS = 256
# A million take some 5 to 10 s to read, once, 16 bytes each, and several times that for a moment while they are sorted.
_MOST_ROWS = 2_000_000
_MOST_LINE_BYTES = 64 * 1024
_CHUNK_BYTES = 64 * 1024  # some 10 ms: patience is asked for after each
_ANCHOR_BYTES = 4096


class _SideCar:
    """One table of names and times. Read once, then followed as it grows; read anew when it is another file."""

    def __init__(self, file: Path, ahead_ns: int, wall_ns: Callable[[], int]) -> None:
        self.file = file
        self.problem: str | None = None
        self.look_again = float("-inf")  # steady seconds
        self.written_ns = 0  # its mtime; 0: there is none
        self.behind = False  # whether the last look ended before the file did
        self._ahead_ns, self._wall_ns = ahead_ns, wall_ns
        self._seen: tuple[int, int, int, int] | None = None  # device, inode, size, mtime
        self._forget()

    def _forget(self) -> None:
        self.table = TimeTable()
        self._columns: Columns | None = None
        self._header_fault: str | None = None
        self._bad_lines, self._last_bad, self._full = 0, b"", False
        self._read_to, self._anchor = 0, b""  # how far it was read, and the last bytes before that
        self._tail = False  # whether behind that stands half a line

    def look(self, impatient: Callable[[], bool]) -> None:
        """Reads what is new, until `impatient`. Rows that were read stay when the file goes away: they were true."""
        try:
            status = os.stat(self.file)  # noqa: PTH116
            if not stat.S_ISREG(status.st_mode):
                self._stop()
                self.problem = f"{self.file}: the side-car is no file; give a CSV file in [time] csv"
                return
            seen = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            if seen != self._seen or self._tail or self.behind:
                self._read(seen, impatient)
                self._seen, self.written_ns = seen, status.st_mtime_ns
        except OSError as error:
            self._stop()
            self.problem = f"{self.file}: the side-car cannot be read ({error.strerror}); see [time] csv"
        else:
            self.problem = self._complaint()

    def _stop(self) -> None:
        """In the middle of a file that is away: no image waits for the rest; when it is back, it is read from its start."""
        if self.behind:
            self.behind, self._seen = False, None

    def _read(self, seen: tuple[int, int, int, int], impatient: Callable[[], bool]) -> None:
        _, _, size, mtime_ns = seen
        # Not blocking: it may be a pipe by now.
        descriptor = os.open(self.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb", buffering=0) as opened:
            if not self._grew(seen, descriptor):
                self._forget()
            rest = b""
            opened.seek(self._read_to)
            while self._read_to + len(rest) < size and (chunk := opened.read(_CHUNK_BYTES)):
                whole, newline, rest = (rest + chunk).rpartition(b"\n")
                if newline or len(rest) > _MOST_LINE_BYTES:
                    lines, rest = (whole + newline, rest) if newline else (rest, b"")
                    self._take(lines.split(b"\n"))
                    self._read_to += len(lines)
                    self._anchor = (self._anchor + lines[-_ANCHOR_BYTES:])[-_ANCHOR_BYTES:]
                    if self._read_to + len(rest) < size and impatient():
                        self.behind = True
                        return
        self.behind = False
        # A last line without its end may be half a line, unless nobody has written for a while. It is read again later.
        at_rest = abs(self._wall_ns() - mtime_ns) > 2 * SECOND_NS
        self._tail = bool(rest) and not at_rest
        if rest and at_rest and self._columns:
            bad = self._bad_lines
            self._take([rest])
            self._bad_lines = bad

    def _grew(self, seen: tuple[int, int, int, int], descriptor: int) -> bool:
        """Whether this is the file that we read, with more behind it: then the last that we read of it is still there."""
        if self._seen is None or self._seen[:2] != seen[:2] or (seen[2] <= self._seen[2] and seen != self._seen):
            return False
        last: bytes = os.pread(descriptor, len(self._anchor), self._read_to - len(self._anchor))
        return last == self._anchor

    def _complaint(self) -> str | None:
        if self._header_fault:
            return f"{self.file}: {self._header_fault}"
        if self._full:
            return f"{self.file}: only its first {_MOST_ROWS} rows are used; let the camera begin a new one sooner"
        if self._bad_lines:
            line = shown(os.fsdecode(self._last_bad[:60]))
            return f"{self.file}: {self._bad_lines} lines are no name and time, the last: {line!r}; they are passed by"
        return None

    def _take(self, lines: list[bytes]) -> None:
        for line in lines:
            line = line.rstrip(b"\r\n\0")
            if not line or line.startswith(b"#") or self._header_fault:
                continue
            if self._columns is None:
                try:
                    self._columns = read_header(line)
                except BadHeader as error:
                    self._header_fault = str(error)
                continue
            row = self._columns.row(line, self._ahead_ns)
            if row is None:
                self._bad_lines, self._last_bad = self._bad_lines + 1, line
            elif len(self.table) >= _MOST_ROWS:
                self._full = True
                return
            else:
                self.table.add(*row)
