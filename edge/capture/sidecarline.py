"""The lines of a side-car, in the many ways that programs write them: which columns say file and time, and a row's."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass

from bundle.errors import PlanktowError
from bundle.timetag import read_time
from edge.intake.files import FARTHEST_NS
from edge.shown import shown


class BadHeader(PlanktowError):
    """The side-car's first line names no columns that we know."""


@dataclass(frozen=True)
class Columns:
    """How the first line of a side-car says that the others are to be read."""

    delimiter: bytes
    file: int
    when: tuple[int, ...]  # one column, or one of the day and one of the time of day
    in_utc: bool  # whatever the camera's clock

    def row(self, line: bytes, ahead_ns: int) -> tuple[bytes, int] | None:
        """Name and UTC ns in a line; None: it has none. ahead_ns: of the camera's clock, for times without a zone."""
        cells = _cells(line, self.delimiter)
        try:
            name, when = cells[self.file].strip(), b" ".join([cells[column] for column in self.when])
        except IndexError:
            return None
        stamp = read_time(when.decode("latin-1"))
        if not name or stamp is None:
            return None
        ns = stamp.ns if stamp.zoned or self.in_utc else stamp.ns - ahead_ns
        return (name, ns) if abs(ns) <= FARTHEST_NS else None


def read_header(line: bytes) -> Columns | None:
    """The columns that a first line names; None: it is a note to a spreadsheet, and the next is the first. Raises BadHeader."""
    line = line.removeprefix(b"\xef\xbb\xbf")
    if line.startswith(b"sep="):
        return None
    delimiter = max(b",;\t", key=line.count).to_bytes(1, "big")
    names = ["".join(filter(str.isalnum, cell.decode("latin-1").lower())) for cell in _cells(line, delimiter)]
    plain = [name.replace("utc", "") if name != "utc" else "time" for name in names]
    files = [column for column, name in enumerate(plain) if name in _FILE_COLUMNS]
    dates = [column for column, name in enumerate(plain) if name in _DATE_COLUMNS]
    times = [column for column, name in enumerate(plain) if name in _TIME_COLUMNS]
    if files and times:
        when = (dates[0], times[0]) if dates else (times[0],)
        return Columns(delimiter, files[0], when, any("utc" in names[column] for column in when))
    raise BadHeader(
        f"the side-car's first line {shown(os.fsdecode(line[:80]))!r} has no column for the "
        f"{'time' if files else 'file name'}; name the columns file and time"
    )


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
