"""The ship's track as it lies in a file: CSV, or an NMEA 0183 log as the bridge writes it. A log that grows is read on."""

from __future__ import annotations

import csv
import os
import re
import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from bundle.timetag import read_time
from edge.bins import SECOND_NS
from edge.track.columns import (
    BLANKS,
    DELIMITERS,
    LATITUDE,
    LINE_BYTES,
    LONGITUDE,
    PREAMBLE_LINES,
    cells_of,
    first_like,
    plain_names,
    time_columns,
)
from edge.track.nmea import EARLIEST_NS, LATEST_NS, SENTENCE, Fix, Nmea
from edge.track.track import BadTrack, Track


class Signature(NamedTuple):
    """Changes whenever the track's file is another one, grew or was written again."""

    device: int
    inode: int
    size: int  # bytes
    mtime_ns: int


def signature(path: Path) -> Signature | None:
    """One stat call, for asking every few seconds whether the track is to be read again; None: there is no file yet."""
    try:
        return _signature(path.stat())
    except OSError:
        return None


def _signature(status: os.stat_result) -> Signature:
    return Signature(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def read_track(path: Path) -> Track:
    """The whole track in a file. Raises BadTrack, which names the file and mostly the line."""
    return TrackReader(path).read()


class TrackReader:
    """Reads one track file, as often as it changes; each time only what was appended. For one thread.

    A last line without its line break is left for the next time: its writer may be in the middle of a number. Fixes less
    than a second after the one before are passed by, and of two at the same time the first holds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done = _Done()
        self._halfway: Signature | None = None  # of the file whose first lines the last call read

    def read(self) -> Track:
        """The track up to now. Raises BadTrack; the next call then begins anew."""
        while (track := self.read_on(1_000_000)) is None:
            pass
        return track

    def read_on(self, most_lines: int) -> Track | None:
        """The same in steps of `most_lines`, 10 ms a thousand: None where the next call may find more of them."""
        halfway, self._halfway = self._halfway, None
        try:
            with self._path.open("rb") as file:
                now = _signature(os.fstat(file.fileno()))
                if now != halfway and not self._done.stands_in(file):
                    self._done = _Done()
                file.seek(self._done.bytes)
                lines = self._done.lines
                self._take(islice(iter(lambda: file.readline(LINE_BYTES), b""), most_lines))
            if self._done.lines - lines == most_lines:
                self._halfway = now
                return None
            return self._track()
        except OSError as error:
            self._done = _Done()
            raise BadTrack(f"{self._path}: cannot be read ({error.strerror}); check the path of the track") from None
        except BadTrack:
            self._done = _Done()
            raise

    def _take(self, lines: Iterable[bytes]) -> None:
        done = self._done
        for line in lines:
            if not line.endswith(b"\n") and len(line) < LINE_BYTES:
                break
            done.bytes += len(line)
            done.lines += 1
            done.checksum = zlib.crc32(line, done.checksum)
            try:
                self._read_line(line)
            except BadTrack as bad:
                raise BadTrack(f"{self._path} line {done.lines}: {bad}") from None

    def _read_line(self, line: bytes) -> None:
        done = self._done
        if b"\0" in line or not line.endswith(b"\n"):
            raise BadTrack("not a line of text; save the track as CSV in UTF-8, or give the NMEA 0183 log")
        text = line.decode("utf-8", "replace").strip("\ufeff\r\n ")  # not a tab: the row may end with an empty cell
        if done.parse is None:
            done.parse = _parser(text)
            if done.parse is None and done.lines >= PREAMBLE_LINES:
                raise BadTrack(f"still {_NO_HEADER}")
            if not isinstance(done.parse, Nmea):
                return
        fix = done.parse(text) if text else None
        if fix and not (done.fix_ns and 0 <= fix.ns - done.fix_ns[-1] < SECOND_NS):
            done.fix_ns.append(fix.ns)
            done.latitude.append(fix.latitude)
            done.longitude.append(fix.longitude)

    def _track(self) -> Track:
        done = self._done
        if done.parse is None:
            raise BadTrack(f"{self._path}: {_NO_HEADER}")
        if not done.fix_ns:
            raise BadTrack(f"{self._path}: no fix yet; {done.parse.remedy}")
        fix_ns, first = np.unique(np.array(done.fix_ns, np.int64), return_index=True)
        return Track(fix_ns, np.array(done.latitude)[first], np.array(done.longitude)[first])


@dataclass
class _Done:
    """How far a file was read, and what was in it: 24 bytes a fix, 60 MB for a month of one a second."""

    bytes: int = 0  # of whole lines
    lines: int = 0
    checksum: int = 0  # CRC-32 of those bytes
    parse: _Csv | Nmea | None = None
    fix_ns: array[int] = field(default_factory=lambda: array("q"))
    latitude: array[float] = field(default_factory=lambda: array("d"))
    longitude: array[float] = field(default_factory=lambda: array("d"))

    def stands_in(self, file: BinaryIO) -> bool:
        """Whether the file still begins with what was read: an edited or rotated one does not. 1 s per GB."""
        checksum, left = 0, self.bytes
        while left and (part := file.read(min(left, 1 << 20))):
            checksum = zlib.crc32(part, checksum)
            left -= len(part)
        return left == 0 and checksum == self.checksum


_NO_HEADER = (
    "no header with the columns time, latitude and longitude, and no NMEA 0183 sentence; name the columns so in the "
    "first line"
)


class _Csv:
    """Rows below a header; called with each."""

    remedy = "add lines with a position below the header"

    def __init__(self, delimiter: str, time: list[int], latitude: int, longitude: int) -> None:
        self._delimiter, self._time, self._latitude, self._longitude = delimiter, time, latitude, longitude
        self._most = max(*time, latitude, longitude)
        self._began = False  # until the first fix there may be a row of units (ERDDAP)

    def __call__(self, text: str) -> Fix | None:
        if text.startswith("#"):
            return None
        cells = _cells(text, self._delimiter)
        if len(cells) <= self._most:
            raise BadTrack(f"{len(cells)} columns, the header has more; complete the line, or take it out")
        latitude, longitude = cells[self._latitude].strip(), cells[self._longitude].strip()
        if latitude.lower() in BLANKS or longitude.lower() in BLANKS:
            return None
        if not self._began and not _DIGIT.search(latitude + longitude):
            return None
        self._began = True
        when = " ".join(cells[column].strip() for column in self._time)
        stamp = read_time(when)
        if stamp is None:
            raise BadTrack(f"the time {when!r} cannot be read; write ISO 8601 in UTC (2026-11-23T10:00:00Z)")
        if not EARLIEST_NS <= stamp.ns <= LATEST_NS:
            raise BadTrack(f"the time {when!r} is not from 1980 to 2115; correct it, or take the line out")
        north, east = self._degrees(latitude, "latitude", -90, 90), self._degrees(longitude, "longitude", -180, 360)
        return None if north == east == 0 else Fix(stamp.ns, north, east)  # 0, 0: what loggers write without a fix

    def _degrees(self, text: str, what: str, least: int, most: int) -> float:
        try:
            value = float(text.replace(",", ".") if self._delimiter != "," else text)
        except ValueError:
            raise BadTrack(
                f"the {what} {text!r} is no number; write decimal degrees, south and west negative"
            ) from None
        if not least <= value <= most:
            raise BadTrack(f"the {what} {text!r} is not from {least} to {most} degrees; correct it, or leave it empty")
        return value


def _parser(text: str) -> _Csv | Nmea | None:
    """The parser for the file, if this line shows it; comments and other text above that line are passed by."""
    if SENTENCE.search(text):
        return Nmea()
    for delimiter in DELIMITERS:
        names = plain_names(_cells(text, delimiter))
        latitude, longitude = first_like(names, LATITUDE), first_like(names, LONGITUDE)
        time = time_columns(names)
        if time and latitude is not None and longitude is not None:
            return _Csv(delimiter, time, latitude, longitude)
    return None


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return cells_of(text, delimiter)
    except csv.Error as error:
        raise BadTrack(f"not a row of CSV ({error}); correct it, or take it out") from None


_DIGIT = re.compile(r"\d")
