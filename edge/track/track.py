"""Where the ship was: its fixes, the position at any instant between them, and the speed over ground."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle.errors import PlanktowError
from edge.bins import SECOND_NS
from edge.setting import about, check_ranges

Floats = NDArray[np.float64]
Instants = NDArray[np.int64]  # UTC ns

EARTH_RADIUS_KM = 6371.0088  # the mean radius R1 of the WGS 84 ellipsoid (Moritz 2000, Geodetic Reference System 1980)
KM_PER_NAUTICAL_MILE = 1.852
SPEED_SECONDS = 120  # a speed is taken over so long: a fix that jumps by 10 m then adds 0.2 knots, and not 20


class BadTrack(PlanktowError):
    """The track's fault: images are counted all the same, and judged by the track that was read before, if any."""


@dataclass(frozen=True)
class Circle:
    """A place on the earth, and how far it reaches."""

    latitude: float = field(metadata=about("degrees", "North is positive.", -90, 90))
    longitude: float = field(metadata=about("degrees", "East is positive.", -180, 360))
    radius_km: float = field(metadata=about("km", "Along the great circle.", 0.001, 20_100))

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class TrackSettings:
    """The table [quality.track] of edge.toml."""

    file: Path = field(
        metadata=about("file", "CSV with columns for time (UTC), latitude and longitude, or an NMEA 0183 log.")
    )
    max_gap_seconds: float = field(
        default=300.0,
        metadata=about(
            "seconds", "How far in time the nearest fix may be, and two fixes with a line between.", 1, 86400
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, eq=False)
class Positions:
    """One position per instant asked for; NaN in both where there is none."""

    latitude: Floats  # (M,) degrees, -90..90
    longitude: Floats  # (M,) degrees, -180..180


@dataclass(frozen=True, eq=False)
class Track:
    """K fixes, at least one, in the order of time. Raises BadTrack for what cannot be one."""

    fix_ns: Instants  # (K,) rising
    latitude: Floats  # (K,) degrees, -90..90
    longitude: Floats  # (K,) degrees, -180..360

    def __post_init__(self) -> None:
        if not len(self.fix_ns) == len(self.latitude) == len(self.longitude) > 0:
            raise BadTrack("a track needs at least one fix, and a time, a latitude and a longitude for each")
        if not (np.diff(self.fix_ns) > 0).all():
            raise BadTrack("the fixes of a track must stand in the order of time, no two at the same")
        if not (np.abs(self.latitude) <= 90).all() or not (np.abs(self.longitude - 90) <= 270).all():
            raise BadTrack("latitudes must be from -90 to 90 and longitudes from -180 to 360 degrees")

    def at(self, instants_ns: Instants, max_gap_seconds: float) -> Positions:
        """The positions at (M,) instants, in any order.

        Between two fixes at most `max_gap_seconds` apart: on the great circle from one to the other. Elsewhere, also
        before the first fix and after the last: the nearest fix's, if it is at most so far away in time.
        """
        gap_ns = _ns(max_gap_seconds)
        # Beyond the reach of the ends all instants are alike, and cut off no difference overflows.
        instants = np.clip(instants_ns, self.fix_ns[0] - gap_ns - 1, self.fix_ns[-1] + gap_ns + 1)
        before, after = self._around(instants)
        since, until = np.abs(instants - self.fix_ns[before]), np.abs(self.fix_ns[after] - instants)
        span = self.fix_ns[after] - self.fix_ns[before]
        share = np.where((span > 0) & (span <= gap_ns), since / np.maximum(span, 1), since > until)[:, None]
        # Between unit vectors there is neither an antimeridian nor a pole.
        line = (1 - share) * self._vectors(before) + share * self._vectors(after)
        known = np.minimum(since, until) <= gap_ns
        latitude = np.degrees(np.arctan2(line[:, 2], np.hypot(line[:, 0], line[:, 1])))
        longitude = np.degrees(np.arctan2(line[:, 1], line[:, 0]))
        return Positions(np.where(known, latitude, np.nan), np.where(known, longitude, np.nan))

    def speed_knots(self, instants_ns: Instants, max_gap_seconds: float) -> Floats:
        """(M,) knots over ground, from the positions SPEED_SECONDS / 2 before and after each instant.

        At the ends of a stretch without gaps: from what there is of it. NaN where there is no position, or one fix alone.
        """
        gap_ns, half_ns = _ns(max_gap_seconds), SPEED_SECONDS * SECOND_NS // 2
        instants = np.clip(instants_ns, self.fix_ns[0] - gap_ns - 1, self.fix_ns[-1] + gap_ns + 1)
        before, after = self._around(instants)
        since, until = np.abs(instants - self.fix_ns[before]), np.abs(self.fix_ns[after] - instants)
        nearest = np.where(since <= until, before, after)
        first, last = self._stretch_ends(gap_ns)
        begin, end = self.fix_ns[first[nearest]], self.fix_ns[last[nearest]]
        middle = np.clip(instants, begin, end)
        start, stop = np.maximum(middle - half_ns, begin), np.minimum(middle + half_ns, end)
        a, b = self.at(start, max_gap_seconds), self.at(stop, max_gap_seconds)
        km = distance_km(a.latitude, a.longitude, b.latitude, b.longitude)
        hours = (stop - start) / (3600 * SECOND_NS)
        known = (hours > 0) & (np.minimum(since, until) <= gap_ns)
        return np.where(known, km / np.where(known, hours, 1) / KM_PER_NAUTICAL_MILE, np.nan)

    def _around(self, instants: Instants) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The fixes before (or at) and after each instant; both are the same one beyond the ends."""
        after = np.searchsorted(self.fix_ns, instants, side="right")
        most = len(self.fix_ns) - 1
        return np.clip(after - 1, 0, most), np.clip(after, 0, most)

    def _stretch_ends(self, gap_ns: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """For each fix the first and the last one of its stretch: between them no gap is wider."""
        breaks = np.flatnonzero(np.diff(self.fix_ns) > gap_ns)
        firsts, lasts = np.append(0, breaks + 1), np.append(breaks, len(self.fix_ns) - 1)
        lengths = lasts - firsts + 1
        return np.repeat(firsts, lengths), np.repeat(lasts, lengths)

    def _vectors(self, fixes: NDArray[np.intp]) -> Floats:
        """(M, 3): the fixes as unit vectors from the middle of the earth."""
        latitude, longitude = np.radians(self.latitude[fixes]), np.radians(self.longitude[fixes])
        across = np.cos(latitude)
        return np.stack((across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)), axis=1)


def distance_km(
    latitude_a: Floats | float, longitude_a: Floats | float, latitude_b: Floats | float, longitude_b: Floats | float
) -> Floats:
    """The great-circle distance between points in degrees, element by element (haversine, Sinnott 1984)."""
    a, b = np.radians(latitude_a), np.radians(latitude_b)
    half_north, half_east = (b - a) / 2, np.radians(np.subtract(longitude_b, longitude_a)) / 2
    haversine = np.sin(half_north) ** 2 + np.cos(a) * np.cos(b) * np.sin(half_east) ** 2
    distance: Floats = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
    return distance


def _ns(seconds: float) -> int:
    return round(seconds * SECOND_NS)
