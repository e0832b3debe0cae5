"""Fixes from the NMEA 0183 log that the bridge's receiver, or a logger between, writes."""

from __future__ import annotations

import re
from functools import reduce
from operator import xor
from typing import NamedTuple

from bundle.timetag import clock_ns
from edge.bins import SECOND_NS

EARLIEST_NS = 315_964_800 * SECOND_NS  # 1980-01-06, when GPS time began: what is older is no time of a fix
LATEST_NS = 1 << 62  # the year 2116: sums with a gap stay inside 64 bits
_DAY_NS = 86400 * SECOND_NS


class Fix(NamedTuple):
    ns: int  # UTC
    latitude: float  # degrees
    longitude: float  # degrees


class Nmea:
    """Sentences of a log, from any talker (GP, GN, IN ...); called with each line.

    A logger's own stamp before the $ is passed by. So are sentences with a wrong checksum or a field cut off: on a serial
    line they are daily fare, and the next fix is a second away.
    """

    remedy = "an NMEA 0183 log needs RMC sentences, or ZDA and GGA: GGA alone has no date"

    def __init__(self) -> None:
        self._date_ns: int | None = None  # midnight, UTC, of the last sentence; None before the first with a date
        self._clock_ns = 0  # its time of day

    def __call__(self, text: str) -> Fix | None:
        found = SENTENCE.search(text)
        if not found or not _checksum_holds(found["sentence"], found["checksum"]):
            return None
        kind, fields = found["kind"], found["sentence"].split(",")
        try:
            if kind == "ZDA":
                self._set_date(fields[1], int(fields[2]), int(fields[3]), int(fields[4]))
            elif kind == "RMC" and fields[2] == "A":
                day, month, year = int(fields[9][:2]), int(fields[9][2:4]), int(fields[9][4:6])
                self._set_date(fields[1], day, month, 1900 + year if year >= 80 else 2000 + year)
                return self._fix(self._clock_ns, fields[3:7])
            elif kind == "GGA" and fields[6] not in ("", "0") and self._date_ns is not None:
                return self._fix(_time_of_day_ns(fields[1]), fields[2:6])
        except (ValueError, IndexError):
            pass
        return None

    def _set_date(self, clock: str, day: int, month: int, year: int) -> None:
        midnight, time_of_day = clock_ns(year, month, day, 0, 0, 0), _time_of_day_ns(clock)
        if midnight is not None and EARLIEST_NS <= midnight <= LATEST_NS:
            self._date_ns, self._clock_ns = midnight, time_of_day
        else:
            raise ValueError(clock)

    def _fix(self, time_of_day_ns: int, place: list[str]) -> Fix | None:
        latitude, longitude = _angle(place[0], place[1], "N", "S", 90), _angle(place[2], place[3], "E", "W", 180)
        if self._date_ns is None or latitude == longitude == 0:  # a receiver that has no fix, whatever it says of it
            return None
        # A sentence without a date of its own may be just over midnight from the one before.
        ahead = time_of_day_ns - self._clock_ns
        days = -1 if ahead > _DAY_NS // 2 else 1 if ahead < -_DAY_NS // 2 else 0
        self._date_ns, self._clock_ns = self._date_ns + days * _DAY_NS, time_of_day_ns
        return Fix(self._date_ns + time_of_day_ns, latitude, longitude)


SENTENCE = re.compile(r"\$(?P<sentence>[A-Z]{2}(?P<kind>RMC|GGA|ZDA),[^*$]*)(?:\*(?P<checksum>[0-9A-Fa-f]{2}))?")


def _time_of_day_ns(text: str) -> int:
    hour, minute, seconds = int(text[:2]), int(text[2:4]), float(text[4:])
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= seconds < 61):
        raise ValueError(text)
    return (hour * 60 + minute) * 60 * SECOND_NS + round(seconds * 1_000_000) * 1000


def _angle(text: str, side: str, positive: str, negative: str, most: int) -> float:
    """Degrees from NMEA's (d)ddmm.mmmm and a letter. Raises ValueError."""
    point = text.index(".") if "." in text else len(text)
    minutes = float(text[point - 2 :])
    degrees = int(text[: point - 2]) + minutes / 60
    if side not in (positive, negative) or not 0 <= minutes < 60 or not degrees <= most:
        raise ValueError(text)
    return degrees if side == positive else -degrees


def _checksum_holds(sentence: str, checksum: str | None) -> bool:
    """Whether the exclusive or of the characters between $ and * is what stands behind the *; old logs have none."""
    return checksum is None or reduce(xor, sentence.encode("latin-1", "replace")) == int(checksum, 16)
