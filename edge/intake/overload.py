"""When more comes in than can be classified: what is left aside, by the operator's choice, recorded and not forgotten.

Dropped files stay on the disk. Until they are taken up (`planktow-edge catch-up`) the reports raise the counts by
images offered / images classified, with the error that this adds (edge/raising.py).
"""

from __future__ import annotations

import hashlib
import heapq
import sqlite3
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Literal

from edge.intake.files import Found
from edge.ledger.migrations import WAITING, transaction
from edge.setting import about, check_ranges

Policy = Literal["keep", "oldest", "newest", "sample"]

_ROOM = 0.9  # of the bound: so far the backlog is cut, so that it is not cut again with each new image


@dataclass(frozen=True)
class OverloadSettings:
    """The table [overload] of edge.toml."""

    policy: Policy = field(
        default="keep",
        metadata=about(
            "a word",
            "What to do when more images wait than a bound below allows. keep: let them wait, none is left out.\n"
            "oldest: the oldest are classified, new ones are left out. newest: the newest are classified, and first;\n"
            "old ones are left out. sample: all have the same chance, and counts can be raised with a known error.\n"
            "Images left out stay on the disk; `planktow-edge catch-up` takes them up later.",
        ),
    )
    max_images: int = field(
        default=0, metadata=about("images", "As many may wait. 0: no such bound.", least=0, most=10**9)
    )
    max_megabytes: float = field(
        default=0.0, metadata=about("MB", "As much may wait. 0: no such bound.", least=0, most=1e9)
    )
    max_minutes: float = field(
        default=10.0,
        metadata=about("minutes", "As much as is classified in so long may wait. 0: no such bound.", least=0, most=1e6),
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class Backlog:
    """What waits."""

    images: int
    bytes: int
    images_per_second: float | None  # as fast as they were classified lately; None: not known yet


def bound_images(settings: OverloadSettings, backlog: Backlog) -> int | None:
    """How many images may wait, by the tightest bound; None: no bound. Bytes count as images of the backlog's mean size."""
    bounds = []
    if settings.max_images:
        bounds.append(settings.max_images)
    if settings.max_megabytes and backlog.images:
        bounds.append(int(settings.max_megabytes * 1e6 / max(1.0, backlog.bytes / backlog.images)))
    if settings.max_minutes and backlog.images_per_second:
        bounds.append(int(settings.max_minutes * 60 * backlog.images_per_second))
    return max(1, min(bounds)) if bounds else None


def excess(settings: OverloadSettings, backlog: Backlog) -> int:
    """How many of the waiting images to leave out: 0, or so many that there is some room again."""
    if settings.policy == "keep":
        return 0
    bound = bound_images(settings, backlog)
    return 0 if bound is None or backlog.images <= bound else backlog.images - int(bound * _ROOM)


def waiting_bytes(connection: sqlite3.Connection) -> int:
    """The size of all that waits: a look at every waiting file's row."""
    return int(connection.execute(f"SELECT COALESCE(SUM(size), 0) FROM sighting WHERE {WAITING}").fetchone()[0])


def drop(
    connection: sqlite3.Connection,
    policy: Policy,
    count: int,
    capture_ns: Callable[[Found], int],
    salt: bytes,
    but: Collection[str] = (),
) -> list[str]:
    """Leaves out `count` of the waiting files, recorded with the policy and their capture time. Returns their paths.

    but: paths as the ledger has them that are not left out, being read already.
    oldest and newest go by mtime: a backlog is found in any order. sample goes by a number drawn from each file's path
    and `salt`: those that are left out one time are those that would be left out the next, so that each image that came
    in the same stretch of overload had the same chance.
    """
    with transaction(connection):
        rows = f"SELECT id, path, size, mtime_ns FROM sighting WHERE {WAITING}"
        if policy == "sample":  # row by row: a million paths at once would be some 400 MB
            free = (row for row in connection.execute(rows) if row[1] not in but)
            out = heapq.nlargest(count, free, key=lambda row: lot(row[1], salt))
        else:
            order = "DESC" if policy == "oldest" else "ASC"
            first = connection.execute(f"{rows} ORDER BY mtime_ns {order}, id {order} LIMIT ?", (count + len(but),))
            out = [row for row in first if row[1] not in but][:count]
        connection.executemany(
            "UPDATE sighting SET dropped = ?, capture_ns = ? WHERE id = ?",
            ((policy, capture_ns(Found(path, size, mtime_ns)), number) for number, path, size, mtime_ns in out),
        )
    return [path for _, path, _, _ in out]


def lot(path: str, salt: bytes) -> int:
    """A number drawn for a path, the same each time with the same salt."""
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8, key=salt).digest())


def take_up(connection: sqlite3.Connection, limit: int, from_ns: int | None = None, to_ns: int | None = None) -> int:
    """Dropped images captured in [from_ns, to_ns) wait again, at most `limit`, the oldest first. Returns how many."""
    with transaction(connection):
        return connection.execute(
            "UPDATE sighting SET dropped = NULL WHERE id IN (SELECT id FROM sighting WHERE dropped IS NOT NULL"
            " AND (?1 IS NULL OR capture_ns >= ?1) AND (?2 IS NULL OR capture_ns < ?2) ORDER BY capture_ns LIMIT ?3)",
            (from_ns, to_ns, limit),
        ).rowcount
