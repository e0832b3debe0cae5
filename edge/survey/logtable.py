"""One CSV file of an instrument, such as a CTD: a column of times, and columns of numbers."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from bundle.errors import BadConfig
from bundle.timetag import read_time
from edge.bins import utc_text
from edge.survey.quantities import is_known, quantity
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
from edge.track.nmea import EARLIEST_NS, LATEST_NS
from edge.track.track import Floats, Instants

_NONE_GIVEN = -9.99e-29  # how Sea-Bird's programs mark a bad value
_FILL = 1e30  # NetCDF's fill values and infinities lie beyond it


@dataclass(frozen=True, eq=False)
class Series:
    """One quantity: K values, at least one, in the order of time."""

    name: str
    unit: str | None
    ns: Instants  # (K,) rising, UTC
    values: Floats  # (K,) finite


@dataclass(frozen=True, eq=False)
class LogTable:
    """What one file holds."""

    headings: tuple[str, ...]  # as they stand in the file
    series: Mapping[str, Series]
    note: str | None  # what is not quite as it should be, a sentence for a person


def read_table(path: Path, renamed: Mapping[str, str]) -> LogTable:
    """All columns of numbers of the file, by name; `renamed`: a column's heading, as it stands there -> the name wanted.

    Rows are put in the order of time, and of two with one time the first holds; the note says so. Empty cells, NaN and
    fill values are passed by. A last line without its line break is left out: its writer may be in the middle of a
    number. A column with words among its numbers is an error where it is one that we know or that was asked for, else it
    is left out. Raises BadConfig with the file, and mostly the line.
    """
    try:
        with path.open("rb") as file:
            lines = _Lines(path, iter(lambda: file.readline(LINE_BYTES), b""))
            header = _find_header(path, lines)
            columns = _columns(header, renamed)
            times, back = _read_rows(path, header, columns, lines)
    except OSError as error:
        raise BadConfig(f"{path}: cannot be read ({error.strerror}); check the path under [environment]") from None
    series = {}
    for column in columns:
        made = _series(path, column, times)
        if made is not None and made.name in series:
            raise BadConfig(
                f"{path}: two columns are '{made.name}'; say which with columns = ['{made.name}=HEADING'] under [environment]"
            )
        if made is not None:
            series[made.name] = made
    if not series:
        raise BadConfig(
            f"{path}: no column of numbers beside the time; check the file, or take it out of [environment]"
        )
    return LogTable(tuple(header.headings), series, back)


@dataclass
class _Lines:
    """The whole lines of a file as text, and the number of the one read last."""

    path: Path
    source: Iterator[bytes]
    number: int = 0

    def __iter__(self) -> Iterator[str]:
        for line in self.source:
            if not line.endswith(b"\n") and len(line) < LINE_BYTES:
                return
            self.number += 1
            if b"\0" in line or not line.endswith(b"\n"):
                raise BadConfig(f"{self.path} line {self.number}: not a line of text; save the table as CSV in UTF-8")
            yield line.decode("utf-8", "replace").strip("\ufeff\r\n ")


@dataclass(frozen=True)
class _Header:
    delimiter: str
    headings: list[str]
    time: list[int]


@dataclass
class _Column:
    """One column while it is read."""

    place: int
    name: str
    unit: str | None
    factor: float
    wanted: bool  # known, or asked for: words in it are an error
    rows: array[int] = field(default_factory=lambda: array("q"))  # numbers of the rows that have a value
    values: array[float] = field(default_factory=lambda: array("d"))
    word: str | None = None  # the first cell that is no number, with its line
    word_row: int = -1


def _find_header(path: Path, lines: _Lines) -> _Header:
    for text in lines:
        for delimiter in DELIMITERS:
            headings = [heading.strip() for heading in _cells(path, lines.number, text, delimiter)]
            time = time_columns(plain_names(headings))
            if time and len(headings) > len(time):
                return _Header(delimiter, headings, time)
        if lines.number >= PREAMBLE_LINES:
            break
    raise BadConfig(
        f"{path}: no header with a column for the time and others; name the columns in the first line: time, depth, …"
    )


def _columns(header: _Header, renamed: Mapping[str, str]) -> list[_Column]:
    plain = plain_names(header.headings)
    places = {"latitude": first_like(plain, LATITUDE), "longitude": first_like(plain, LONGITUDE)}
    columns = []
    for place, heading in enumerate(header.headings):
        if place in header.time or not heading:
            continue
        name, unit, factor = quantity(heading)
        for position in ("latitude", "longitude"):
            if places[position] == place:
                name, unit, factor = quantity(position)
        if heading in renamed:
            name = renamed[heading]
            unit = quantity(name)[1] or unit
        columns.append(_Column(place, name, unit, factor, heading in renamed or is_known(name)))
    given = {renamed[heading] for heading in header.headings if heading in renamed}
    return [column for column in columns if column.name not in given or header.headings[column.place] in renamed]


def _read_rows(path: Path, header: _Header, columns: list[_Column], lines: _Lines) -> tuple[Instants, str | None]:
    times = array("q")
    most = max(*header.time, *(column.place for column in columns), 0)
    for text in lines:
        if not text or text.startswith("#"):
            continue
        cells = _cells(path, lines.number, text, header.delimiter)
        when = " ".join(cells[place].strip() for place in header.time if place < len(cells))
        stamp = read_time(when)
        if stamp is None and not times and not any(letter.isdigit() for letter in when):
            continue  # a row of units (ERDDAP)
        if len(cells) <= most:
            raise BadConfig(
                f"{path} line {lines.number}: {len(cells)} columns, the header has more; complete the line, or take it out"
            )
        if stamp is None:
            raise BadConfig(
                f"{path} line {lines.number}: the time {when!r} cannot be read; write ISO 8601 in UTC (2026-11-23T10:00:00Z)"
            )
        if not EARLIEST_NS <= stamp.ns <= LATEST_NS:
            raise BadConfig(f"{path} line {lines.number}: the time {when!r} is not from 1980 to 2115; correct it")
        for column in columns:
            _take(column, cells[column.place].strip(), len(times), lines.number, header.delimiter)
        times.append(stamp.ns)
    back = [later for earlier, later in pairwise(times) if later < earlier]
    note = (
        f"{path}: the times go back {len(back)} times, first to {utc_text(back[0])}; the rows were put in order"
        if back
        else None
    )
    return np.array(times, np.int64), note


def _take(column: _Column, cell: str, row: int, line: int, delimiter: str) -> None:
    if cell.lower() in BLANKS:
        return
    try:
        value = float(cell.replace(",", ".") if delimiter != "," else cell) * column.factor
    except ValueError:
        if column.word is None:
            column.word, column.word_row = f"line {line}: {column.name} is {cell!r}, which is no number", row
        return
    if math.isfinite(value) and abs(value) < _FILL and value != _NONE_GIVEN:
        column.rows.append(row)
        column.values.append(value)


def _series(path: Path, column: _Column, times: Instants) -> Series | None:
    if column.word is not None and (column.wanted and column.values):
        raise BadConfig(f"{path} {column.word}; correct it, or leave it empty")
    if column.word is not None or not column.values:
        return None
    values = np.array(column.values)
    bounds = {"latitude": (-90, 90), "longitude": (-180, 360)}.get(column.name)
    if bounds is not None and not ((values >= bounds[0]) & (values <= bounds[1])).all():
        worst = values[(values < bounds[0]) | (values > bounds[1])][0]
        raise BadConfig(
            f"{path}: the {column.name} {worst:g} is not from {bounds[0]} to {bounds[1]} degrees; correct it"
        )
    ns, first = np.unique(times[np.array(column.rows, np.int64)], return_index=True)
    return Series(column.name, column.unit, ns, values[first])


def _cells(path: Path, line: int, text: str, delimiter: str) -> list[str]:
    try:
        return cells_of(text, delimiter)
    except csv.Error as error:
        raise BadConfig(f"{path} line {line}: not a row of CSV ({error}); correct it, or take it out") from None
