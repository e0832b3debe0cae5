"""When an image was taken, in UTC: by its name, by a tag inside it, by a side-car table, or by its file's own time.

The host's clock has no part in it. It jumps, once GPS or a person sets it; what an image says of itself stays, so the
image has the same capture time whenever it is read.
"""

from __future__ import annotations

import calendar
import csv
import os
import re
import stat
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np

from bundle.errors import BadConfig
from bundle.imagefile import IMAGE_SUFFIXES
from bundle.timetag import MONTHS, SECOND_NS, Stamp, clock_ns, fraction_ns, read_tag, read_time, zone_ns
from edge.files import FARTHEST_NS, Found
from edge.setting import about, check_ranges

Source = Literal["name", "tag", "csv", "mtime"]


@dataclass(frozen=True)
class TimeSettings:
    """The table [time] of edge.toml. Raises BadConfig for what cannot be meant."""

    sources: tuple[Source, ...] = field(
        default=("name", "tag", "csv", "mtime"),
        metadata=about(
            "list",
            "Where an image's capture time is looked for; the first that has one wins. name: the file's name, by\n"
            "name_pattern. tag: EXIF of JPEG, TIFF and PNG. csv: the table `csv`. mtime: the file's own time; it must\n"
            "be there, as the last.",
        ),
    )
    name_pattern: str = field(
        default="",
        metadata=about(
            "text",
            "How a file's name tells the time, in strptime codes: %Y %y %m %b %d %j (day of the year) %H %M %S,\n"
            "%f (fraction of a second, as many digits as there are; %3f: three), %s (seconds since 1970, ten digits;\n"
            "%s%f: ms, µs or ns), %z (zone), %% (a percent sign). * is any text, ? any letter. With a / folders count\n"
            'too; the suffix may be left out. "cam*_%Y%m%d_%H%M%S.%f" reads cam7_20240312_101112.345.png. "": off.',
        ),
    )
    csv: str = field(
        default="",
        metadata=about(
            "file",
            "A table of names and times that the camera's program writes, with the columns `file` and `time` (ISO).\n"
            'A bare name is looked for beside each image; a path with a / starts at the watched folder. "": off.',
        ),
    )
    utc_offset_hours: float = field(
        default=0.0,
        metadata=about(
            "hours",
            "How far the camera's clock is ahead of UTC, for times without a zone (Central European winter time: 1).\n"
            "It is fixed: let the camera keep no summer time, or one hour of the year comes twice.",
            least=-14,
            most=14,
        ),
    )
    earliest: str = field(
        default="2000-01-01",
        metadata=about(
            "date, UTC",
            "A time before this is none, and the next source is asked: a camera without a battery says 1970 or 1980.",
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.sources[-1:] != ("mtime",):
            raise BadConfig(
                "sources must end with 'mtime', the one time that every file has: an image that nothing else dates "
                "still has to stand somewhere; add 'mtime' as the last"
            )
        if len(set(self.sources)) < len(self.sources):
            raise BadConfig(f"sources names one twice: {', '.join(self.sources)}; leave one of the two out")
        for source, setting in (("name", "name_pattern"), ("csv", "csv")):
            if getattr(self, setting) and source not in self.sources:
                raise BadConfig(f"{setting} is set and sources has no '{source}'; add it, or set {setting} = \"\"")
        if "\0" in self.csv or self.csv.endswith("/"):
            raise BadConfig(f"csv must be the name of a file, found {self.csv!r}")
        _day_ns(self.earliest)
        if self.name_pattern:
            _NamePattern(self.name_pattern)


@dataclass(frozen=True, slots=True)
class Capture:
    """When an image was taken, and who says so."""

    ns: int  # UTC ns since 1970; fits SQLite's 64 bits
    source: Source


class CaptureTimes:
    """Dates images. It reads side-cars and nothing else; for one thread."""

    def __init__(
        self,
        settings: TimeSettings,
        watch: Path,
        wall_ns: Callable[[], int] = time.time_ns,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = _NamePattern(settings.name_pattern) if settings.name_pattern else None
        self._cars = (
            _SideCars(watch, settings.csv, settings.utc_offset_hours, wall_ns, steady) if settings.csv else None
        )
        off = {"mtime"} | ({"name"} if not self._name else set()) | ({"csv"} if not self._cars else set())
        self._sources: list[Source] = [source for source in settings.sources if source not in off]
        self._wanted: list[Source] = [source for source in self._sources if source != "tag"]  # a person set these up
        self._ahead_ns = _hours_ns(settings.utc_offset_hours)
        self._earliest, self._earliest_ns = settings.earliest, _day_ns(settings.earliest)
        self._wall_ns = wall_ns
        self._doubt: Callable[[], str] | None = None

    @property
    def problem(self) -> str | None:
        """What a person should know of the side-car and of the image dated last, one line, or None."""
        return (self._cars.problem if self._cars else None) or (self._doubt() if self._doubt else None)

    def of(self, found: Found, data: bytes) -> Capture:
        """The capture time of a file with this content. Its first 64 KiB are enough for JPEG, not always for the others."""
        return self._date(found, data)

    def without_content(self, found: Found) -> Capture:
        """The best guess for a file that is not read: of all sources but its tags."""
        return self._date(found, None)

    def _date(self, found: Found, data: bytes | None) -> Capture:
        self._doubt = None
        if self._cars:
            self._cars.problem = None  # who is not asked has none
        refused: tuple[Source, int] | None = None
        capture: Capture | None = None
        for source in self._sources:
            stamp = self._ask(source, found, data)
            if stamp is None:
                continue
            ns = stamp.ns if stamp.zoned else stamp.ns - self._ahead_ns
            now_ns = self._wall_ns()
            if self._sane(ns, now_ns):
                capture = Capture(ns, source)
                if ns > now_ns + _DAY_NS:
                    self._doubt = partial(_ahead, found.path, capture, now_ns)
                break
            refused = (source, ns)
        if capture is None:
            capture = Capture(min(max(found.mtime_ns, -_MOST_NS), _MOST_NS), "mtime")
            if capture.ns < self._earliest_ns:
                self._doubt = partial(_before, found.path, capture, self._earliest)
            elif self._wanted:
                self._doubt = partial(_undated, found.path, capture, self._wanted)
        if refused is not None:
            self._doubt = partial(_refused, found.path, *refused, capture)
        return capture

    def _ask(self, source: Source, found: Found, data: bytes | None) -> Stamp | None:
        if source == "tag":
            return None if data is None else read_tag(data)
        if source == "name":
            return self._name.read(found.path) if self._name else None
        return self._cars.find(found) if self._cars else None

    def _sane(self, ns: int, now_ns: int) -> bool:
        """Whether a time may be true: not before `earliest`, and not in a far future.

        A host without a clock battery is behind by days, or by years where it was never set, while the camera is right:
        being ahead is no fault in itself. Ten years are, and so is what SQLite cannot hold; if even the host's own time
        is before `earliest`, it judges nothing.
        """
        latest_ns = now_ns + _FAR_AHEAD_NS if now_ns >= self._earliest_ns else _MOST_NS
        return self._earliest_ns <= ns <= min(latest_ns, _MOST_NS)


_MOST_NS = FARTHEST_NS
_DAY_NS = 86_400 * SECOND_NS
_FAR_AHEAD_NS = 3653 * _DAY_NS


def _hours_ns(hours: float) -> int:
    return round(hours * 3600) * SECOND_NS


def _day_ns(day: str) -> int:
    try:
        return (date.fromisoformat(day) - date(1970, 1, 1)).days * _DAY_NS
    except ValueError:
        raise BadConfig(f"earliest must be a day such as 2000-01-01, found {day!r}") from None


def _ahead(path: str, capture: Capture, now_ns: int) -> str:
    days = (capture.ns - now_ns) / _DAY_NS
    return (
        f"{_shown(path)}: its {capture.source} says {_utc(capture.ns)}, {days:.0f} days ahead of this host's clock; the "
        "time is kept; set whichever clock is wrong"
    )


def _refused(path: str, source: Source, ns: int, capture: Capture) -> str:
    return (
        f"{_shown(path)}: its {source} says {_utc(ns)}, which cannot be; {_utc(capture.ns)} by its {capture.source} "
        "holds; set the camera's clock"
    )


def _before(path: str, capture: Capture, earliest: str) -> str:
    return (
        f"{_shown(path)}: dated by its mtime, {_utc(capture.ns)}, which is before {earliest} (earliest); set the clock "
        "of whatever wrote it"
    )


def _undated(path: str, capture: Capture, wanted: list[Source]) -> str:
    return (
        f"{_shown(path)}: no time by {' or '.join(wanted)}; dated by its mtime, {_utc(capture.ns)}; compare [time] in "
        "edge.toml with the files"
    )


def _utc(ns: int) -> str:
    try:
        return f"{datetime(1970, 1, 1) + timedelta(seconds=ns // SECOND_NS)} UTC"
    except OverflowError:  # a name may say the year 9999, and a zone more
        return "a year after 9999"


def _shown(path: str) -> str:
    """A path within one line of text, whatever bytes it has."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


class _NamePattern:
    """A name_pattern as a regular expression. Raises BadConfig."""

    def __init__(self, pattern: str) -> None:
        self._said: set[str] = set()
        folders = pattern.split("/")
        if not all(folders):
            raise BadConfig(f"name_pattern {pattern!r} has an empty folder or file name; write folder/name")
        suffix = "|".join(re.escape(suffix) for suffix in sorted(IMAGE_SUFFIXES))
        try:
            expression = "/".join(self._part(folder) for folder in folders) + f"(?i:{suffix})?"
        except BadConfig as error:
            raise BadConfig(f"name_pattern {pattern!r}: {error}") from None
        if fault := _incomplete(self._said):
            raise BadConfig(f"name_pattern {pattern!r} {fault}")
        self._expression = re.compile(expression, re.ASCII)
        self._parts = len(folders)

    def read(self, path: str) -> Stamp | None:
        """The time in the end of a path: in as many of its parts as the pattern has."""
        found = self._expression.fullmatch(path if path.count("/") < self._parts else _end(path, self._parts))
        if found is None:
            return None
        said = found.groupdict()
        fraction = fraction_ns(said.get("f"))
        if "s" in said:
            return Stamp(int(said["s"]) * SECOND_NS + fraction, zoned=True)
        year = int(said["Y"]) if "Y" in said else _full_year(int(said["y"]))
        if "j" in said:
            day_of_year = int(said["j"])
            if year < 1 or not 1 <= day_of_year <= 365 + calendar.isleap(year):
                return None
            that = date.fromordinal(date(year, 1, 1).toordinal() + day_of_year - 1)
            month, day = that.month, that.day
        else:
            month = int(said["m"]) if "m" in said else MONTHS.index(said["b"].lower()) + 1
            day = int(said["d"])
        clock = clock_ns(year, month, day, int(said["H"]), int(said["M"]), int(said.get("S", "0")))
        if clock is None:
            return None
        ahead = zone_ns(said["z"]) if "z" in said else None
        return Stamp(clock + fraction - (ahead or 0), ahead is not None)

    def _part(self, part: str) -> str:
        """The expression of one folder's or file's name.

        The pieces between two * are found from the left, each for good (an atomic group): a name of many letters costs
        no more than its length times the pattern's.
        """
        first, *others = (self._piece(piece) for piece in re.split(r"\*+", part))
        if not others:
            return first
        *middle, last = others
        return first + "".join(f"(?>[^/]*?{piece})" for piece in middle) + f"[^/]*?{last}"

    def _piece(self, piece: str) -> str:
        expression = ""
        for found in _TOKEN.finditer(piece):
            token = found[0]
            if token == "?":
                expression += "[^/]"
            elif token == "%%" or token[0] != "%":
                expression += re.escape(token[-1])
            else:
                code = token[-1] if len(token) > 1 else ""
                if code not in _CODES or (len(token) == 3 and code != "f"):
                    known = " ".join(f"%{known}" for known in _CODES)
                    raise BadConfig(f"{token!r} is no code it can have; known are {known} %1f to %9f and %%")
                if code in self._said:
                    expression += f"(?P={code})"  # a folder 2024/03 and a file 20240312 must agree
                else:
                    digits = rf"\d{{{token[1]}}}" if len(token) == 3 else _CODES[code]
                    expression += f"(?P<{code}>{digits})"
                self._said.add(code)
        return expression


def _end(path: str, parts: int) -> str:
    return "/".join(path.rsplit("/", parts)[1:])


def _full_year(year: int) -> int:
    return year + (2000 if year < 69 else 1900)  # as POSIX has it


def _incomplete(said: set[str]) -> str | None:
    """What is wrong with these codes taken together. A pattern that gives only the day would merge a day's images."""
    if "s" in said:
        more = said - {"s", "f"}
        return f"has %s, which is the whole time, and %{min(more)}; leave one of them out" if more else None
    for one, other in (("Y", "y"), ("m", "b"), ("j", "m"), ("j", "b"), ("j", "d")):
        if {one, other} <= said:
            return f"has %{one} and %{other}, which say the same; leave one of them out"
    for wanted in ("Yy", "mbj", "dj", "H", "M"):
        if not said & set(wanted):
            codes = " or ".join(f"%{code}" for code in wanted)
            return f"has no {codes}; it must give the time to the minute at least, or be %s"
    if "f" in said and "S" not in said:
        return "has a fraction %f and no %S; add the seconds"
    return None


_TOKEN = re.compile(r"%[1-9]f|%.|.|%", re.DOTALL)
_CODES = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "m": r"0[1-9]|1[0-2]",
    "b": "(?i:" + "|".join(MONTHS) + ")",
    "d": r"0[1-9]|[12]\d|3[01]",
    "j": r"[0-3]\d{2}",
    "H": r"[01]\d|2[0-3]",
    "M": r"[0-5]\d",
    "S": r"[0-5]\d|60",
    "f": r"\d{1,9}",
    "s": r"\d{10}",
    "z": r"Z|[+-](?:0\d|1[0-5]):?[0-5]\d|[+-](?:0\d|1[0-5])",
}


class _SideCars:
    """The side-car of the whole watched folder, or one in each folder of images; only the last used are held."""

    def __init__(
        self, watch: Path, name: str, ahead_hours: float, wall_ns: Callable[[], int], steady: Callable[[], float]
    ) -> None:
        self.problem: str | None = None
        self._watch, self._name, self._ahead_ns = watch, name, _hours_ns(ahead_hours)
        self._wall_ns, self._steady = wall_ns, steady
        self._cars: OrderedDict[str, _SideCar] = OrderedDict()

    def find(self, found: Found) -> Stamp | None:
        """What the side-car says of a file; it is looked at anew now and then, and for an image that is newer than it."""
        folder = "" if "/" in self._name else found.path.rpartition("/")[0]
        car = self._cars.get(folder)
        if car is None:
            car = self._cars[folder] = _SideCar(self._watch / folder / self._name, self._ahead_ns, self._wall_ns)
        self._cars.move_to_end(folder)
        now = self._steady()
        if now >= car.look_again:
            car.look()
            car.look_again = now + _LOOK_SECONDS
            while len(self._cars) > 1 and (
                len(self._cars) > _MOST_FOLDERS or sum(len(car) for car in self._cars.values()) > _MOST_ROWS
            ):
                self._cars.popitem(last=False)
        ns = car.find(found.path)
        if ns is None and car.written_ns and found.mtime_ns >= car.written_ns - 2 * SECOND_NS:
            # A live camera writes image and row at about the same time: what we read of the side-car may be too old.
            car.look()
            ns = car.find(found.path)
        self.problem = car.problem
        return None if ns is None else Stamp(ns, zoned=True)


_LOOK_SECONDS = 2.0
_MOST_FOLDERS = 256
# A million take some 5 to 10 s to read, once, 16 bytes each, and several times that for a moment while they are sorted.
_MOST_ROWS = 2_000_000
_MOST_LINE_BYTES = 64 * 1024
_CHUNK_BYTES = 1 << 20
_ANCHOR_BYTES = 4096


@dataclass(frozen=True)
class _Columns:
    """How the first line of a side-car says that the others are to be read."""

    delimiter: bytes
    file: int
    when: tuple[int, ...]  # one column, or one of the day and one of the time of day
    in_utc: bool  # whatever the camera's clock


class _SideCar:
    """One table of names and times. Read once, then followed as it grows; read anew when it is another file."""

    def __init__(self, file: Path, ahead_ns: int, wall_ns: Callable[[], int]) -> None:
        self.problem: str | None = None
        self.look_again = float("-inf")  # steady seconds
        self.written_ns = 0  # its mtime; 0: there is none
        self._file, self._ahead_ns, self._wall_ns = file, ahead_ns, wall_ns
        self._seen: tuple[int, int, int, int] | None = None  # device, inode, size, mtime
        self._read_to, self._anchor = 0, b""  # how far it was read, and the last bytes before that
        self._tail = False  # whether behind that stands half a line
        self._bad_lines, self._last_bad, self._full = 0, b"", False
        self._columns: _Columns | None = None
        self._header_fault: str | None = None
        self._forget()

    def __len__(self) -> int:
        return len(self._keys) + len(self._fresh)

    def find(self, path: str) -> int | None:
        """UTC ns. A row may name a file by its path, by the end of that, or by the bare name: the longest holds."""
        encoded = os.fsencode(path)
        while True:
            key = _key(encoded)
            ns = self._fresh.get(key)
            if ns is not None:
                return ns
            if len(self._keys):
                number = np.frombuffer(key, np.uint64)[0]
                place = int(self._keys.searchsorted(number))
                if place < len(self._keys) and self._keys[place] == number:
                    return int(self._times[place])
            _, slash, encoded = encoded.partition(b"/")
            if not slash:
                return None

    def look(self) -> None:
        """Reads what is new. Rows that were read stay when the file goes away: they were true."""
        try:
            status = os.stat(self._file)  # noqa: PTH116
            if not stat.S_ISREG(status.st_mode):
                self.problem = f"{self._file}: the side-car is no file; give a CSV file in [time] csv"
                return
            seen = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            if seen != self._seen or self._tail:
                self._read(seen)
                self._seen, self.written_ns = seen, status.st_mtime_ns
        except OSError as error:
            self.problem = f"{self._file}: the side-car cannot be read ({error.strerror}); see [time] csv"
        else:
            self.problem = self._complaint()

    def _read(self, seen: tuple[int, int, int, int]) -> None:
        _, _, size, mtime_ns = seen
        # Not blocking: it may be a pipe by now.
        descriptor = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
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

    def _forget(self) -> None:
        self._keys, self._times = np.empty(0, np.uint64), np.empty(0, np.int64)  # sorted by key
        self._fresh: dict[bytes, int] = {}  # key -> UTC ns: newer rows than those, not yet sorted in
        self._columns, self._header_fault = None, None
        self._bad_lines, self._last_bad, self._full = 0, b"", False
        self._read_to, self._anchor, self._tail = 0, b"", False

    def _complaint(self) -> str | None:
        if self._header_fault:
            return f"{self._file}: {self._header_fault}"
        if self._full:
            return f"{self._file}: only its first {_MOST_ROWS} rows are used; let the camera begin a new one sooner"
        if self._bad_lines:
            line = _shown(os.fsdecode(self._last_bad[:60]))
            return f"{self._file}: {self._bad_lines} lines are no name and time, the last: {line!r}; they are passed by"
        return None

    def _take(self, lines: list[bytes]) -> None:
        room = _MOST_ROWS - len(self)
        for line in lines:
            line = line.rstrip(b"\r\n\0")
            if not line or line.startswith(b"#") or self._header_fault:
                continue
            if self._columns is None:
                self._columns = self._header(line)
                continue
            row = self._row(line, self._columns)
            if row is None:
                self._bad_lines, self._last_bad = self._bad_lines + 1, line
            elif room < 1:
                self._full = True
                return
            else:
                room -= 1
                self._fresh[row[0]] = row[1]
        if len(self._fresh) > 65_536 + len(self._keys) // 8:
            self._sort_in()

    def _header(self, line: bytes) -> _Columns | None:
        """Which columns of the first line say file and time. Programs name them in many ways."""
        line = line.removeprefix(b"\xef\xbb\xbf")
        if line.startswith(b"sep="):  # a note to a spreadsheet
            return None
        delimiter = max(b",;\t", key=line.count).to_bytes(1, "big")
        names = ["".join(filter(str.isalnum, cell.decode("latin-1").lower())) for cell in _cells(line, delimiter)]
        plain = [name.replace("utc", "") if name != "utc" else "time" for name in names]
        files = [column for column, name in enumerate(plain) if name in _FILE_COLUMNS]
        dates = [column for column, name in enumerate(plain) if name in _DATE_COLUMNS]
        times = [column for column, name in enumerate(plain) if name in _TIME_COLUMNS]
        if files and times:
            when = (dates[0], times[0]) if dates else (times[0],)
            return _Columns(delimiter, files[0], when, any("utc" in names[column] for column in when))
        self._header_fault = (
            f"the side-car's first line {_shown(os.fsdecode(line[:80]))!r} has no column for the "
            f"{'time' if files else 'file name'}; name the columns file and time"
        )
        return None

    def _row(self, line: bytes, columns: _Columns) -> tuple[bytes, int] | None:
        cells = _cells(line, columns.delimiter)
        try:
            name, when = cells[columns.file].strip(), b" ".join([cells[column] for column in columns.when])
        except IndexError:
            return None
        stamp = read_time(when.decode("latin-1"))
        if not name or stamp is None:
            return None
        ns = stamp.ns if stamp.zoned or columns.in_utc else stamp.ns - self._ahead_ns
        return (_key(_relative(name)), ns) if abs(ns) <= _MOST_NS else None

    def _sort_in(self) -> None:
        keys = np.concatenate([self._keys, np.frombuffer(b"".join(self._fresh), np.uint64)])
        times = np.concatenate([self._times, np.fromiter(self._fresh.values(), np.int64, len(self._fresh))])
        order = np.argsort(keys, kind="stable")
        keys, times = keys[order], times[order]
        last = np.append(keys[1:] != keys[:-1], True)  # of two rows of one name the later holds
        self._keys, self._times = keys[last], times[last]
        self._fresh = {}


def _key(name: bytes) -> bytes:
    """Sixty-four bits stand for a name: among a million names two are the same once in thirty million tables."""
    return blake2b(name, digest_size=8).digest()


def _relative(name: bytes) -> bytes:
    """A name as we know files: with forward slashes; of an absolute path (also C:\\...) only the last part."""
    if b"\\" in name:
        name = name.replace(b"\\", b"/")
    if name.startswith(b"/") or name[1:2] == b":":
        return name.rpartition(b"/")[2]
    return name.removeprefix(b"./")


def _cells(line: bytes, delimiter: bytes) -> list[bytes]:
    """The cells of a line. A quoted cell ends with its line at the latest: a stray quote costs one row, not the rest."""
    if b'"' not in line:
        return line.split(delimiter)
    try:
        rows = list(csv.reader([line.decode("latin-1")], delimiter=delimiter.decode()))
    except csv.Error:
        return []
    return [cell.encode("latin-1") for cell in rows[0]] if rows else []


# Of names in small letters without blanks, underscores and the word utc; img_file_name and object_date are EcoTaxa's.
_FILE_COLUMNS = {
    "file",
    "filename",
    "image",
    "imagename",
    "imagefile",
    "imgfilename",
    "img",
    "name",
    "path",
    "filepath",
}
_DATE_COLUMNS = {"date", "day", "objectdate"}
_TIME_COLUMNS = {
    "time",
    "datetime",
    "timestamp",
    "capturetime",
    "captured",
    "acquired",
    "acquisitiontime",
    "objecttime",
}
