"""From the ledger to tallies: one query a day, by the index of capture times, and no transaction stays open between them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bundle.reference import MEASURES, Reference
from edge.bins import SECOND_NS
from edge.counts import HOUR_NS
from edge.drift.tally import Seen, Tally

DAY_NS = 24 * 3600 * SECOND_NS
_ROWS = 20_000  # in memory at once: 10 MB
_FARTHEST = (-(2**63), 2**63 - 1)
_SEEN = f"""
    SELECT capture_ns, label, COALESCE(asked, ?), votes, score, {", ".join(f"image.{name}" for name in MEASURES)}
    FROM image JOIN verdict ON image_id = image.id
    WHERE capture_ns >= ? AND capture_ns < ? AND bundle_id = ? AND aside IS NULL AND sharpness IS NOT NULL
"""


@dataclass(frozen=True, eq=False)
class Stretch:
    """The images of [start, end), UTC ns."""

    start_ns: int
    end_ns: int
    tally: Tally


def tally_bins(
    connection: sqlite3.Connection,
    reference: Reference,
    bundle_id: int,
    width_ns: int,
    from_ns: int | None = None,
    to_ns: int | None = None,
) -> list[Stretch]:
    """The bins in which this bundle counted images, in order of time; of images captured in [from_ns, to_ns)."""
    found: dict[int, Tally] = {}
    for day in _days(connection, bundle_id, from_ns, to_ns):
        start = day if from_ns is None else max(day, from_ns)
        end = day + DAY_NS if to_ns is None else min(day + DAY_NS, to_ns)
        for seen in _seen(connection, len(reference.order), bundle_id, start, end):
            starts = seen.capture_ns // width_ns * width_ns
            for each in np.unique(starts).tolist():
                if each not in found:
                    found[each] = Tally(reference)
                found[each].add(seen.only(starts == each))
    return [Stretch(start, start + width_ns, found[start]) for start in sorted(found)]


def tally_stretches(
    connection: sqlite3.Connection, reference: Reference, bundle_id: int, stretches: Sequence[tuple[int, int]]
) -> list[Stretch]:
    """A tally for each [start, end), UTC ns; they may overlap, as tows do."""
    found = []
    for start, end in stretches:
        tally = Tally(reference)
        for seen in _seen(connection, len(reference.order), bundle_id, start, end):
            tally.add(seen)
        found.append(Stretch(start, end, tally))
    return found


def _days(connection: sqlite3.Connection, bundle_id: int, from_ns: int | None, to_ns: int | None) -> list[int]:
    """The beginnings of the days in which there are counts, from the small table of hours."""
    first = _FARTHEST[0] if from_ns is None else from_ns - HOUR_NS
    last = _FARTHEST[1] if to_ns is None else to_ns
    hours = connection.execute(
        "SELECT DISTINCT hour_ns FROM hourly WHERE hour_ns > ? AND hour_ns < ? AND bundle_id = ? AND images > 0",
        (first, last, bundle_id),
    ).fetchall()
    return sorted({hour // DAY_NS * DAY_NS for (hour,) in hours})


def _seen(connection: sqlite3.Connection, members: int, bundle_id: int, start_ns: int, end_ns: int) -> Iterator[Seen]:
    cursor = connection.execute(_SEEN, (members, start_ns, end_ns, bundle_id))
    while rows := cursor.fetchmany(_ROWS):
        capture, label, asked, votes, score, *measures = zip(*rows, strict=True)
        asked_of = np.array(asked, np.int64)
        yield Seen(
            np.array(capture, np.int64),
            np.array(label, np.int64),
            asked_of,
            np.array(votes, np.float64) / asked_of,
            np.array(score, np.float64),
            np.array(measures, np.float64).T,
        )
