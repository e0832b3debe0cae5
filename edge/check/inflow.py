"""How fast images came lately: by the times of their files, since a folder that was found full came at once."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

_NS = 1_000_000_000
_HOUR_NS = 3600 * _NS
_LEAST_IMAGES = 20
_LEAST_SECONDS = 10.0  # a burst is no rate


@dataclass(frozen=True)
class Inflow:
    """Over the last hour that had images."""

    images_per_second: float
    bytes_per_hour: float


def read_inflow(connection: sqlite3.Connection) -> Inflow | None:
    """From the ledger; None where too few images came to tell."""
    (newest,) = connection.execute("SELECT MAX(mtime_ns) FROM sighting").fetchone()
    if newest is None:
        return None
    count, first, size = connection.execute(
        "SELECT COUNT(*), MIN(mtime_ns), TOTAL(size) FROM sighting WHERE mtime_ns > ?", (newest - _HOUR_NS,)
    ).fetchone()
    return inflow_from(count, (newest - first) / _NS, size)


def inflow_from(images: int, seconds: float, size_bytes: float) -> Inflow | None:
    """The rate of so many images, the first and the last so many seconds apart."""
    if images < _LEAST_IMAGES or seconds < _LEAST_SECONDS:
        return None
    rate = (images - 1) / seconds
    return Inflow(rate, rate * 3600 * size_bytes / images)
