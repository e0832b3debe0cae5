"""Where the images were taken: counts and water by depth and along the track, from short stretches of time."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.bins import SECOND_NS
from edge.counts import Counts
from edge.htmlreport.facts import chunks
from edge.htmlreport.profile import Band
from edge.htmlreport.scale import ticks
from edge.htmlreport.trackmap import Stop
from edge.survey.conditions import Conditions
from edge.survey.volume import Sampled

STRETCHES_MOST = 30_000
_WIDTHS_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400)
_BANDS = 14  # by depth, about
_STOPS = 45  # along the track, at most

Floats = NDArray[np.float64]
SampledIn = Callable[[Sequence[tuple[int, int]]], tuple[Sampled, ...]]


@dataclass(frozen=True, eq=False)
class Places:
    """M stretches of equal length, in order of time: what was counted in each, where, and how much was sampled."""

    names: tuple[str, ...]  # K of them: all labels together, then the most frequent ones
    width_ns: int
    start_ns: NDArray[np.int64]  # (M,) UTC ns
    images: NDArray[np.int64]  # (K, M)
    amount: Floats  # (M,) cubic metres sampled, NaN: not known; or minutes where no volume is known at all
    per_m3: bool
    where: dict[str, Floats]  # name -> (M,), at the middle of each stretch; NaN: not known

    @property
    def unit(self) -> str:
        """Of counts by amount."""
        return "per m³" if self.per_m3 else "images a minute of sampling"

    def has(self, *names: str) -> bool:
        """Whether these are known of at least two stretches that were sampled."""
        if not all(name in self.where for name in names):
            return False
        known = np.all([np.isfinite(self.where[name]) for name in names], axis=0) & (self.amount > 0)
        return int(known.sum()) >= 2

    def by_depth(self, name: str) -> tuple[Band, ...]:
        """Counts over amount in each band of depth; the interval is the Poisson one of the count (approximate: Byar)."""
        depth, counts = self.where["depth"], self.images[self.names.index(name)]
        known = np.isfinite(depth) & np.isfinite(self.amount)
        marks = ticks(float(depth[known].min()), float(depth[known].max()), _BANDS)
        step = marks[1] - marks[0] if len(marks) > 1 else 1.0
        first = math.floor(float(depth[known].min()) / step)
        band = np.floor(depth[known] / step).astype(np.int64) - first
        number = int(band.max()) + 1
        images = np.bincount(band, counts[known], number)
        amount = np.bincount(band, self.amount[known], number)
        return tuple(_band((first + at) * step, step, float(images[at]), float(amount[at])) for at in range(number))

    def along_track(self, name: str) -> tuple[Stop, ...]:
        """Counts over amount in about _STOPS parts of the time, each at the mean of its positions."""
        latitude, longitude = self.where["latitude"], self.where["longitude"]
        here = np.flatnonzero(np.isfinite(latitude) & np.isfinite(longitude) & (self.amount > 0))
        counts = self.images[self.names.index(name)]
        # Without a jump at the antimeridian: the mean of 179 and -179 is 180.
        east = np.degrees(np.unwrap(np.radians(longitude[here])))
        stops = []
        each = -(-len(here) // _STOPS)
        # A stop ends where a pause of its own length begins: between two tows nothing was seen.
        fresh = np.flatnonzero(np.diff(here) > each) + 1
        cuts = np.union1d(np.arange(each, len(here), each), fresh)
        for part in np.split(np.arange(len(here)), cuts):
            amount = float(self.amount[here[part]].sum())
            value = float(counts[here[part]].sum()) / amount if amount > 0 else None
            stops.append(Stop(float(latitude[here[part]].mean()), float(east[part].mean()), value))
        return tuple(stops)


def read_places(
    connection: sqlite3.Connection,
    counts: Counts,
    labels: Sequence[str],
    frequent: Sequence[str],
    span_ns: tuple[int, int],
    conditions: Conditions,
    sampled_in: SampledIn,
) -> Places:
    """What was counted and sampled in short stretches of [first, last] capture time, UTC ns.

    labels: as `report_labels`; frequent: those that get counts of their own.
    """
    begin, end = span_ns
    width_ns = stretch_width_ns(end - begin)
    first = begin // width_ns
    number = end // width_ns - first + 1
    images = np.zeros((1 + len(frequent), number), np.int64)
    rows = {labels.index(name): row for row, name in enumerate(frequent, start=1)}
    for chunk in chunks(connection, counts, labels):
        at = chunk.capture_ns // width_ns - first
        images[0] += np.bincount(at, minlength=number)
        for label, row in rows.items():
            images[row] += np.bincount(at[chunk.label == label], minlength=number)
    start_ns = (first + np.arange(number, dtype=np.int64)) * width_ns
    sampled = sampled_in([(start, start + width_ns) for start in start_ns.tolist()])
    per_m3 = any(each.litres is not None for each in sampled)
    nan = float("nan")
    litres = [nan if each.litres is None else each.litres for each in sampled]
    amount = np.array(litres, np.float64) / 1000 if per_m3 else np.array([each.seconds / 60 for each in sampled])
    where = conditions.at(start_ns + width_ns // 2)
    return Places(("all images", *frequent), width_ns, start_ns, images, amount, per_m3, where)


def stretch_width_ns(span_ns: int) -> int:
    """Round, and such that no more than STRETCHES_MOST fill the span."""
    least = span_ns / SECOND_NS / STRETCHES_MOST
    fitting = (width for width in _WIDTHS_SECONDS if width >= max(least, 10))
    return next(fitting, 86400 * math.ceil(least / 86400)) * SECOND_NS


def _band(top: float, step: float, images: float, amount: float) -> Band:
    if amount <= 0:
        return Band(top, top + step, None)
    # Byar's approximation of the exact Poisson limits (Breslow and Day 1987, Statistical Methods in Cancer Research II).
    low = images * (1 - 1 / (9 * images) - 1.96 / (3 * math.sqrt(images))) ** 3 if images else 0.0
    more = images + 1
    high = more * (1 - 1 / (9 * more) + 1.96 / (3 * math.sqrt(more))) ** 3
    return Band(top, top + step, images / amount, max(low, 0.0) / amount, high / amount)
