"""The summary of one UTC day: what was counted and how it differs from the day before, and how the host fared."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadBundle
from bundle.labels import UNCLASSIFIED
from bundle.vouched import read_manifest
from edge.alerts.journal import journal_file, read_events
from edge.alerts.state import Event
from edge.bins import SECOND_NS, bin_start
from edge.counts import HOUR_NS, Counts, at_work, one_moment, read_counts
from edge.drift.drifts import Stretched, read_drifts
from edge.reported import Reported, read_reported
from edge.situation import Situation

DAY_NS = 24 * HOUR_NS
GAP_NS = 10 * 60 * SECOND_NS  # so long without an image is told of
_NOTABLE_Z = 4.0  # of some hundred labels none is notable by chance alone
_NOTABLE_FACTOR = 1.5


@dataclass(frozen=True)
class Change:
    """A label whose share of the images is another than the day before, by more than chance makes it."""

    label: str
    before: int  # images
    now: int
    factor: float | None  # of the shares; None: there was none the day before


@dataclass(frozen=True, eq=False)
class Summary:
    """Of the images captured in [day_ns, day_ns + one day), UTC."""

    day_ns: int
    written_ns: int
    ledger: str  # its name
    reported: Reported  # of the day
    before: Counts  # of the day before
    hourly: tuple[int, ...]  # (24,) images counted
    aside: Mapping[str, int]  # rule of quality control -> images of the day
    rejects: Mapping[str, int]  # reason -> files of the day that cannot be counted
    dropped: int
    votes: Mapping[int, int]  # votes for the winner -> images of the day
    gaps: tuple[tuple[int, int], ...]  # [start, end), UTC ns: no image was captured
    situation: Situation  # when the summary was written
    alerts: tuple[Event, ...]  # told on that day
    drifts: tuple[Stretched, ...]  # of each classifier that has a reference: whether the day looks like its validation

    @property
    def counted(self) -> int:
        """Images of the day in the counts."""
        return sum(self.reported.counts.totals.values())

    @property
    def unclassified(self) -> int:
        """Of these, images without a label."""
        return self.reported.counts.totals.get(UNCLASSIFIED, 0)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The surest first."""
        return changes(self.before.totals, self.reported.counts.totals)


def read_summary(
    connection: sqlite3.Connection, ledger: Path, bundle: Path | None, day_ns: int, situation: Situation
) -> Summary:
    """The summary of the day that begins at `day_ns`, of one moment of the ledger. Raises BadConfig, BadBundle.

    bundle: the classifier's folder, for corrected counts; another one than counted that day is passed by.
    Counts come from the hourly sums. Of single images only those rejected or set aside on that day are looked at.
    """
    end_ns = day_ns + DAY_NS
    with one_moment(connection):
        working = at_work(read_counts(connection, DAY_NS, day_ns, end_ns))
        counting = bundle if len(working) == 1 and bundle is not None and _is(bundle, working[0].digest) else None
        reported = read_reported(connection, DAY_NS, day_ns, end_ns, bundle=counting)
        hours = {at // HOUR_NS: images for at, images in connection.execute(_HOURLY, (day_ns, end_ns))}
        unread = dict(connection.execute(_UNREAD, (day_ns, end_ns)).fetchall())
        images = dict(connection.execute(_REJECTED, (day_ns, end_ns)).fetchall())
        (dropped,) = connection.execute(_DROPPED, (day_ns, end_ns)).fetchone()
        rejects = {reason: unread.get(reason, 0) + images.get(reason, 0) for reason in (*unread, *images)}
        return Summary(
            day_ns,
            situation.now_ns,
            ledger.name,
            reported,
            read_counts(connection, None, day_ns - DAY_NS, day_ns),
            tuple(int(hours.get(day_ns // HOUR_NS + hour, 0)) for hour in range(24)),
            dict(connection.execute(_ASIDE, (day_ns, end_ns)).fetchall()),
            dict(sorted(rejects.items(), key=lambda item: (-item[1], item[0]))),
            int(dropped),
            dict(connection.execute(_VOTES, (day_ns, end_ns)).fetchall()),
            tuple(gaps(connection, day_ns, min(end_ns, max(day_ns, situation.now_ns)))),
            situation,
            tuple(read_events(journal_file(ledger), day_ns, end_ns)),
            read_drifts(connection, DAY_NS, day_ns, end_ns, bundle=counting, alone=False).rows,
        )


_HOURLY = "SELECT hour_ns, SUM(images) FROM hourly WHERE hour_ns >= ? AND hour_ns < ? GROUP BY hour_ns"
_VOTES = "SELECT votes, SUM(images) FROM hourly WHERE hour_ns >= ? AND hour_ns < ? GROUP BY votes ORDER BY votes DESC"
_DROPPED = "SELECT COUNT(*) FROM sighting WHERE dropped IS NOT NULL AND capture_ns >= ? AND capture_ns < ?"
_REJECTED = (
    "SELECT reason, COUNT(*) FROM image WHERE capture_ns >= ? AND capture_ns < ? AND reason IS NOT NULL GROUP BY reason"
)
_ASIDE = (
    "SELECT aside, COUNT(*) FROM image WHERE capture_ns >= ? AND capture_ns < ? AND aside IS NOT NULL"
    " GROUP BY aside ORDER BY COUNT(*) DESC, aside"
)
# A file that was never read has no capture time: the day is that on which it was found.
_UNREAD = (
    "SELECT reason, COUNT(*) FROM sighting WHERE reason IS NOT NULL AND found_ns >= ? AND found_ns < ? GROUP BY reason"
)


def day_before(now_ns: int) -> int:
    """The beginning of the last whole UTC day."""
    return bin_start(now_ns, DAY_NS) - DAY_NS


def gaps(connection: sqlite3.Connection, from_ns: int, to_ns: int, least_ns: int = GAP_NS) -> list[tuple[int, int]]:
    """Stretches of at least `least_ns` of [from_ns, to_ns) in which no image was captured, in order of time.

    Leaps along the index of capture times, at most two searches for each `least_ns`, however many images there are.
    """
    found, at_ns = [], from_ns
    while at_ns < to_ns:
        (last_ns,) = connection.execute(
            "SELECT MAX(capture_ns) FROM image WHERE capture_ns > ? AND capture_ns < ?", (at_ns, at_ns + least_ns)
        ).fetchone()
        if last_ns is not None:
            at_ns = int(last_ns)
            continue
        (next_ns,) = connection.execute(
            "SELECT MIN(capture_ns) FROM image WHERE capture_ns >= ?", (at_ns + least_ns,)
        ).fetchone()
        end_ns = to_ns if next_ns is None else min(int(next_ns), to_ns)
        if end_ns - at_ns >= least_ns:
            found.append((at_ns, end_ns))
        at_ns = end_ns
    return found


def changes(before: Mapping[str, int], now: Mapping[str, int]) -> tuple[Change, ...]:
    """Labels whose share changed by half or more, and by more than chance: the test of two proportions, |z| at least 4.

    Of shares, not of numbers: a camera that was down for half the day changed no species. Nothing without images on both
    days.
    """
    all_before, all_now = sum(before.values()), sum(now.values())
    if not all_before or not all_now:
        return ()
    found: list[tuple[float, Change]] = []
    for label in dict.fromkeys((*now, *before)):
        was, its = before.get(label, 0), now.get(label, 0)
        pooled = (was + its) / (all_before + all_now)
        spread = (pooled * (1 - pooled) * (1 / all_before + 1 / all_now)) ** 0.5
        z = (its / all_now - was / all_before) / spread if spread else 0.0
        factor = (its / all_now) / (was / all_before) if was else None
        much = factor is None or factor >= _NOTABLE_FACTOR or factor <= 1 / _NOTABLE_FACTOR
        if abs(z) >= _NOTABLE_Z and much and label != UNCLASSIFIED:
            found.append((abs(z), Change(label, was, its, factor)))
    return tuple(change for _, change in sorted(found, key=lambda item: -item[0]))


def _is(bundle: Path, digest: str) -> bool:
    try:
        return read_manifest(bundle)[1] == digest
    except BadBundle:
        return False


def shortened(items: Sequence[str], most: int) -> list[str]:
    """The first `most` of them, and how many more there are."""
    return [*items[:most], *([f"and {len(items) - most} more"] if len(items) > most else [])]
