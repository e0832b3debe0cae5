"""What was counted in the last minutes, read from the ledger a little at a time: each look reads only what is new.

The numbers of images go up as they are counted, so that the newest are found without an index of their own and without a
look at the millions before them.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass, field

from bundle.vote import NO_LABEL
from edge.bins import SECOND_NS

WINDOW_NS = 600 * SECOND_NS  # the last minutes that are shown
SLOT_NS = 5 * SECOND_NS
SLOTS = WINDOW_NS // SLOT_NS
MOST_ROWS = 3_000_000  # looked at in one look: ten minutes of a flood

Kind = tuple[int, int]  # bundle id, class index or NO_LABEL


@dataclass(frozen=True)
class Latest:
    """One of the newest images."""

    image_id: int
    bundle_id: int
    label: int  # class index, or NO_LABEL
    votes: int
    asked: int | None  # members; None: all there are
    score: float  # 0..1
    counted_ns: int  # UTC ns
    width: int  # pixels
    height: int

    @property
    def decided(self) -> bool:
        """Whether the members agreed on a label."""
        return self.label != NO_LABEL


@dataclass
class Recent:
    """Images counted in the last minutes, by slot of time and kind. Times are those of counting, not of capture."""

    last_id: int = 0  # the newest image that was looked at
    slots: dict[int, Counter[Kind]] = field(default_factory=dict)  # slot number -> counts
    totals: Counter[Kind] = field(default_factory=Counter)  # of all slots

    def look(self, connection: sqlite3.Connection, now_ns: int) -> None:
        """Takes in what the ledger has that is new, and lets go of what is old."""
        (newest,) = connection.execute("SELECT COALESCE(MAX(image_id), 0) FROM verdict").fetchone()
        if newest < self.last_id:  # a repair went back to a backup, or this is another ledger
            self.slots, self.totals, self.last_id = {}, Counter(), 0
        oldest = (now_ns - WINDOW_NS) // SLOT_NS + 1
        if newest > self.last_id:
            after = max(self.last_id, first_since(connection, self.last_id, newest, oldest * SLOT_NS) - 1)
            for slot, bundle_id, label, images in connection.execute(_SLOTS, (SLOT_NS, max(after, newest - MOST_ROWS))):
                if slot >= oldest:
                    self.slots.setdefault(slot, Counter())[bundle_id, label] += images
                    self.totals[bundle_id, label] += images
            self.last_id = newest
        latest = now_ns // SLOT_NS + 1
        # Too new: the clock was set back since.
        for slot in [slot for slot in self.slots if not oldest <= slot <= latest]:
            self.totals.subtract(self.slots.pop(slot))
        self.totals += Counter()  # those at 0 leave

    def per_slot(self, now_ns: int) -> list[int]:
        """Images counted in each of the SLOTS slots up to now, the newest last; that one is not over yet."""
        last = now_ns // SLOT_NS
        return [sum(self.slots.get(slot, {}).values()) for slot in range(last - SLOTS + 1, last + 1)]


_SLOTS = """
    SELECT classified_ns / ? AS slot, bundle_id, label, COUNT(*)
    FROM verdict JOIN image ON image.id = image_id
    WHERE image_id > ? AND aside IS NULL GROUP BY slot, bundle_id, label
"""


def first_since(connection: sqlite3.Connection, after: int, newest: int, since_ns: int) -> int:
    """The first image beyond `after` that was counted at `since_ns` or later; newest + 1 where there is none.

    Found by halving, as images are counted in the order of their numbers: twenty looks among a million.
    """
    low, high = after + 1, newest + 1
    while low < high:
        middle = (low + high) // 2
        # The next image from the middle on: numbers of rejected images have no verdict.
        row = connection.execute(
            "SELECT image_id, classified_ns FROM verdict WHERE image_id >= ? ORDER BY image_id LIMIT 1", (middle,)
        ).fetchone()
        if row is None or row[1] >= since_ns:
            high = middle
        else:
            low = row[0] + 1
    return low


def read_latest(connection: sqlite3.Connection, most: int) -> tuple[Latest, ...]:
    """The newest images with a verdict that count, the newest first."""
    rows = connection.execute(
        "SELECT image_id, bundle_id, label, votes, asked, score, classified_ns, width, height"
        " FROM verdict JOIN image ON image.id = image_id WHERE aside IS NULL AND image_id > ?"
        " ORDER BY image_id DESC LIMIT ?",
        (_some_back(connection, most), most),
    ).fetchall()
    return tuple(Latest(*row) for row in rows)


def _some_back(connection: sqlite3.Connection, most: int) -> int:
    """So far back we look at most for images that were not set aside: a rule may set aside all of a long stretch."""
    (newest,) = connection.execute("SELECT COALESCE(MAX(image_id), 0) FROM verdict").fetchone()
    return int(newest) - 200 * most
