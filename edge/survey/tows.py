"""Deployments: which stretch of time was which tow, from the folders, from a list, or from the gaps between images."""

from __future__ import annotations

import csv
import sqlite3
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from bundle.errors import BadConfig
from bundle.timetag import read_time
from edge.bins import SECOND_NS, utc_text
from edge.intake.files import is_shard_name
from edge.setting import about, check_ranges
from edge.survey.captures import captures
from edge.track.nmea import EARLIEST_NS, LATEST_NS

_ALWAYS = 1 << 62  # ns: the year 2116, and as far before 1970
_ENTRIES = ("folders", "file", "gap_seconds")


@dataclass(frozen=True)
class TowSettings:
    """The table [tows] of survey.toml: exactly one of its keys."""

    folders: bool = field(
        default=False,
        metadata=about("true or false", "Each folder, or archive, right below the watched one is a tow."),
    )
    file: Path | None = field(
        default=None, metadata=about("file", "CSV with the columns name, start and end (UTC); the end is outside.")
    )
    gap_seconds: float | None = field(
        default=None, metadata=about("seconds", "A longer time without an image begins a new tow.", 1, 31_622_400)
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        given = [entry for entry in _ENTRIES if getattr(self, entry)]
        if len(given) != 1:
            raise BadConfig(f"give exactly one of {', '.join(_ENTRIES)}; found {' and '.join(given) or 'none'}")

    def from_folder(self, base: Path) -> TowSettings:
        """The same, the file's path relative to the folder of survey.toml."""
        return self if self.file is None else replace(self, file=base / self.file)


@dataclass(frozen=True)
class Tow:
    """One deployment: all that was captured in [start_ns, end_ns), UTC ns."""

    name: str
    start_ns: int
    end_ns: int


def tows(connection: sqlite3.Connection, how: TowSettings) -> tuple[Tow, ...]:
    """The deployments in the order of time; none overlaps another. Raises BadConfig.

    From folders and gaps: from the first image of each to its last. Files that lie in no folder are of no tow, and a copy
    is of the tow of the file that was seen first: the time of the image is its. A tow
    found by a gap is named for its start, so that its name stays when later images come in.
    """
    if how.file is not None:
        return _in_order(_listed(how.file), str(how.file), "correct their times")
    if how.gap_seconds is not None:
        return _by_gaps(connection, how.gap_seconds)
    return _in_order(_by_folders(connection), "folders", 'give their times in a file: [tows] file = "tows.csv"')


_FOLDERS = """
    SELECT folder, MIN(capture_ns), MAX(capture_ns) FROM (
        SELECT substr(path, 1, instr(path, '/') - 1) AS folder, COALESCE(image.capture_ns, sighting.capture_ns) AS capture_ns
        FROM sighting LEFT JOIN image ON image.id = image_id
        WHERE instr(path, '/') > 1 AND image.reason IS NULL AND sighting.reason IS NULL
            AND (image_id IS NULL OR sighting.id = (SELECT MIN(id) FROM sighting AS all_of WHERE all_of.image_id = image.id))
    ) WHERE capture_ns IS NOT NULL GROUP BY folder
"""


def _by_folders(connection: sqlite3.Connection) -> list[Tow]:
    found = [
        Tow(Path(folder).stem if is_shard_name(folder) else folder, start_ns, last_ns + 1)
        for folder, start_ns, last_ns in connection.execute(_FOLDERS)
    ]
    if not found:
        raise BadConfig("no image lies in a folder below the watched one; use gap_seconds or file under [tows]")
    return found


def _by_gaps(connection: sqlite3.Connection, gap_seconds: float) -> tuple[Tow, ...]:
    times, _ = captures(connection, -_ALWAYS, _ALWAYS)
    if not len(times):
        return ()
    breaks = np.flatnonzero(np.diff(times) > round(gap_seconds * SECOND_NS))
    starts, lasts = times[np.append(0, breaks + 1)], times[np.append(breaks, len(times) - 1)]
    return tuple(
        Tow(f"tow {utc_text(int(start))}", int(start), int(last) + 1) for start, last in zip(starts, lasts, strict=True)
    )


def _listed(file: Path) -> list[Tow]:
    try:
        rows = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines(), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadConfig(f"{file}: cannot be read ({error}); it must be a readable CSV file in UTF-8") from None
    header = [name.strip().lower() for name in rows[0]] if rows else []
    places = {name: header.index(name) for name in ("name", "start", "end") if name in header}
    if len(places) < 3:
        raise BadConfig(f"{file}: the first line must name the columns name, start and end")
    found: dict[str, Tow] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        where = f"{file} row {number}"
        if len(row) <= max(places.values()):
            raise BadConfig(f"{where}: {len(row)} columns, the header has more; complete the row")
        name = row[places["name"]].strip()
        tow = Tow(name, *(_instant(row[places[column]], f"{where}: the {column}") for column in ("start", "end")))
        if not name or not name.isprintable() or name in found:
            raise BadConfig(f"{where}: the name {name!r} is empty, not printable, or there twice; give another")
        if tow.end_ns <= tow.start_ns:
            raise BadConfig(f"{where}: '{name}' ends before it starts; exchange the times")
        found[name] = tow
    if not found:
        raise BadConfig(f"{file}: no tow below the header; add one")
    return list(found.values())


def _instant(text: str, what: str) -> int:
    stamp = read_time(text)
    if stamp is None or not EARLIEST_NS <= stamp.ns <= LATEST_NS:
        raise BadConfig(f"{what} {text.strip()!r} is no time; write ISO 8601 in UTC (2026-11-23T10:00:00Z)")
    return stamp.ns


def _in_order(found: list[Tow], where: str, remedy: str) -> tuple[Tow, ...]:
    ordered = sorted(found, key=lambda tow: (tow.start_ns, tow.name))
    for first, second in pairwise(ordered):
        if second.start_ns < first.end_ns:
            raise BadConfig(
                f"{where}: the tows '{first.name}' and '{second.name}' overlap: the one ends at {utc_text(first.end_ns)}, the "
                f"other starts at {utc_text(second.start_ns)}; {remedy}"
            )
    return tuple(ordered)
