"""Position, depth, temperature, salinity … at any instant, from the logs of the ship and of its instruments."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadConfig
from edge.bins import SECOND_NS
from edge.survey.logtable import LogTable, Series, read_table
from edge.survey.quantities import UNITS
from edge.track.columns import LINE_BYTES, PREAMBLE_LINES
from edge.track.nmea import SENTENCE
from edge.track.track import KM_PER_NAUTICAL_MILE, BadTrack, Floats, Instants, Track
from edge.track.trackfile import read_track

_POSITION = ("latitude", "longitude")
_ROUND = ("heading", "course")  # degrees: from 359 to 1 it is 2 and not 358
_METRES_PER_SECOND = KM_PER_NAUTICAL_MILE / 3.6  # in one knot


@dataclass(frozen=True, eq=False)
class Conditions:
    """What is known of the sea around the camera, by name: latitude, longitude, depth, temperature, salinity …

    Of several logs that have a quantity, the first one named that knows an instant holds: they are never mixed into one
    line. `units`: by name; missing where no unit is known. `notes`: what is not quite right in the files.
    """

    names: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    max_gap_seconds: float = 300.0
    notes: tuple[str, ...] = ()
    tracks: tuple[Track, ...] = ()
    series: Mapping[str, tuple[Series, ...]] = field(default_factory=dict)

    def at(self, instants_ns: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """For each name its values at (M,) instants (UTC ns), in any order: (M,) float64, NaN where unknown.

        Between two readings at most `max_gap_seconds` apart: on the line from one to the other, a position on the great
        circle (`Track.at`). Elsewhere the nearest reading, if it is at most so far away in time.
        """
        found = {name: _first_known(instants_ns, self._lines(name, instants_ns)) for name in self.names}
        if self.tracks:
            places = [track.at(instants_ns, self.max_gap_seconds) for track in self.tracks]
            found["latitude"] = _first_known(instants_ns, [place.latitude for place in places])
            found["longitude"] = _first_known(instants_ns, [place.longitude for place in places])
        return found

    def metres_per_second(self, instants_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """The camera's speed at (M,) instants: through the water where it was logged, else over ground as logged, else from
        the positions; (M,) NaN where unknown."""
        lines = [
            line
            for name in ("speed_through_water", "speed_over_ground")
            if self.units.get(name) == UNITS[name]
            for line in self._lines(name, instants_ns)
        ]
        lines += [track.speed_knots(instants_ns, self.max_gap_seconds) * _METRES_PER_SECOND for track in self.tracks]
        return _first_known(instants_ns, lines)

    def _lines(self, name: str, instants_ns: Instants) -> list[Floats]:
        return [at(series, instants_ns, self.max_gap_seconds) for series in self.series.get(name, ())]


def read_conditions(
    files: Sequence[Path], max_gap_seconds: float, renamed: Mapping[str, str] | None = None
) -> Conditions:
    """The conditions in CSV files and NMEA 0183 logs; `renamed`: the heading of a column -> its name. Raises BadConfig."""
    tracks: list[Track] = []
    tables: list[LogTable] = []
    for path in files:
        if _is_nmea(path):
            try:
                tracks.append(read_track(path))
            except BadTrack as bad:
                raise BadConfig(str(bad)) from None
            continue
        tables.append(read_table(path, renamed or {}))
        if (track := _track(tables[-1])) is not None:
            tracks.append(track)
    _require_headings(tables, renamed or {})
    series: dict[str, tuple[Series, ...]] = {}
    for table in tables:
        for name, each in table.series.items():
            if name not in _POSITION:
                series[name] = (*series.get(name, ()), each)
    units: dict[str, str] = {name: UNITS[name] for name in _POSITION} if tracks else {}
    for name, several in series.items():
        spelled = {each.unit for each in several}
        if len(spelled) > 1:
            listed = " and ".join(sorted(str(unit or "none") for unit in spelled))
            raise BadConfig(f"'{name}' has different units in different files ({listed}); rename one of the columns")
        if (unit := several[0].unit) is not None:
            units[name] = unit
    names = (*(_POSITION if tracks else ()), *series)
    notes = tuple(table.note for table in tables if table.note is not None)
    return Conditions(names, units, max_gap_seconds, notes, tuple(tracks), series)


def at(series: Series, instants_ns: Instants, max_gap_seconds: float) -> Floats:
    """One quantity at (M,) instants, as `Conditions.at` says."""
    gap_ns = round(max_gap_seconds * SECOND_NS)
    instants = np.clip(instants_ns, series.ns[0] - gap_ns - 1, series.ns[-1] + gap_ns + 1)
    most = len(series.ns) - 1
    after = np.searchsorted(series.ns, instants, side="right")
    before, after = np.clip(after - 1, 0, most), np.clip(after, 0, most)
    since, until = np.abs(instants - series.ns[before]), np.abs(series.ns[after] - instants)
    span = series.ns[after] - series.ns[before]
    share = np.where((span > 0) & (span <= gap_ns), since / np.maximum(span, 1), since > until)
    first, second = series.values[before], series.values[after]
    if series.name in _ROUND:
        line = (first + share * ((second - first + 180) % 360 - 180)) % 360
    else:
        line = first + share * (second - first)
    return np.where(np.minimum(since, until) <= gap_ns, line, np.nan)


def _first_known(instants_ns: Instants, lines: Sequence[Floats]) -> Floats:
    found: Floats = np.full(len(instants_ns), np.nan)
    for line in lines:
        found = np.where(np.isnan(found), line, found)
    return found


def _require_headings(tables: Sequence[LogTable], renamed: Mapping[str, str]) -> None:
    headings = {heading for table in tables for heading in table.headings}
    for heading in renamed:
        if heading not in headings:
            near = difflib.get_close_matches(heading, headings, n=1)
            remedy = f"did you mean '{near[0]}'?" if near else "write it as it stands in the file's header"
            raise BadConfig(f"columns: no file has the heading '{heading}'; {remedy}")


def _track(table: LogTable) -> Track | None:
    """The positions of a table, of rows that have both; 0, 0 is what loggers write without a fix."""
    if not all(name in table.series for name in _POSITION):
        return None
    latitude, longitude = (table.series[name] for name in _POSITION)
    ns, north, east = np.intersect1d(latitude.ns, longitude.ns, assume_unique=True, return_indices=True)
    fixed = (latitude.values[north] != 0) | (longitude.values[east] != 0)
    if not fixed.any():
        return None
    return Track(ns[fixed], latitude.values[north][fixed], longitude.values[east][fixed])


def _is_nmea(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = islice(iter(lambda: file.readline(LINE_BYTES), b""), PREAMBLE_LINES)
            return any(SENTENCE.search(line.decode("latin-1")) for line in head)
    except OSError as error:
        raise BadConfig(f"{path}: cannot be read ({error.strerror}); check the path under [environment]") from None
