"""When an image was taken, in UTC: by its name, by a tag inside it, by a side-car table, or by its file's own time.

The host's clock has no part in it. It jumps, once GPS or a person sets it; what an image says of itself stays, so the
image has the same capture time whenever it is read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from bundle.timetag import SECOND_NS, Stamp, read_tag
from edge.capture.namepattern import NamePattern
from edge.capture.sidecar import SideCars, StillReading
from edge.capture.timesettings import DAY_NS, Source, TimeSettings
from edge.intake.files import FARTHEST_NS, Found
from edge.shown import shown

__all__ = ["Capture", "CaptureTimes", "StillReading"]


@dataclass(frozen=True)  # no slots: one is pickled for every image, and slots would make pickle go through Python
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
        patience_seconds: float = math.inf,
    ) -> None:
        """patience_seconds: so long, about, a call may read in a side-car; then it raises StillReading, and the next goes on."""
        self._name = NamePattern(settings.name_pattern) if settings.name_pattern else None
        self._cars = (
            SideCars(watch, settings.csv, settings.ahead_ns, wall_ns, steady, patience_seconds)
            if settings.csv
            else None
        )
        off = {"mtime"} | ({"name"} if not self._name else set()) | ({"csv"} if not self._cars else set())
        self._sources: list[Source] = [source for source in settings.sources if source not in off]
        self._wanted: list[Source] = [source for source in self._sources if source != "tag"]  # a person set these up
        self._ahead_ns = settings.ahead_ns
        self._earliest, self._earliest_ns = settings.earliest, settings.earliest_ns
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
                if ns > now_ns + DAY_NS:
                    self._doubt = partial(_ahead, found.path, capture, now_ns)
                break
            refused = (source, ns)
        if capture is None:
            capture = Capture(min(max(found.mtime_ns, -FARTHEST_NS), FARTHEST_NS), "mtime")
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
        latest_ns = now_ns + _FAR_AHEAD_NS if now_ns >= self._earliest_ns else FARTHEST_NS
        return self._earliest_ns <= ns <= min(latest_ns, FARTHEST_NS)


_FAR_AHEAD_NS = 3653 * DAY_NS


def _ahead(path: str, capture: Capture, now_ns: int) -> str:
    days = (capture.ns - now_ns) / DAY_NS
    return (
        f"{shown(path)}: its {capture.source} says {_utc(capture.ns)}, {days:.0f} days ahead of this host's clock; the "
        "time is kept; set whichever clock is wrong"
    )


def _refused(path: str, source: Source, ns: int, capture: Capture) -> str:
    return (
        f"{shown(path)}: its {source} says {_utc(ns)}, which cannot be; {_utc(capture.ns)} by its {capture.source} "
        "holds; set the camera's clock"
    )


def _before(path: str, capture: Capture, earliest: str) -> str:
    return (
        f"{shown(path)}: dated by its mtime, {_utc(capture.ns)}, which is before {earliest} (earliest); set the clock "
        "of whatever wrote it"
    )


def _undated(path: str, capture: Capture, wanted: list[Source]) -> str:
    return (
        f"{shown(path)}: no time by {' or '.join(wanted)}; dated by its mtime, {_utc(capture.ns)}; compare [time] in "
        "edge.toml with the files"
    )


def _utc(ns: int) -> str:
    try:
        return f"{datetime(1970, 1, 1) + timedelta(seconds=ns // SECOND_NS)} UTC"
    except OverflowError:  # a name may say the year 9999, and a zone more
        return "a year after 9999"
