"""Time bins: how wide, where they begin, and how an instant is written. All times are UTC, in nanoseconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from bundle.errors import BadConfig
from edge.intake.files import FARTHEST_NS

SECOND_NS = 1_000_000_000
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_SECONDS = 366 * 86400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_width(text: str) -> int:
    """The width of a bin in nanoseconds from a text such as 30s, 10m, 1h or 1d. Raises BadConfig."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip())
    seconds = int(found[1]) * _UNIT_SECONDS[found[2]] if found else 0
    if not 1 <= seconds <= _LONGEST_SECONDS:
        raise BadConfig(
            f"'{text}' is not a bin width: a whole number and a unit (s, m, h or d), from 1s to 366d; "
            "examples: 30s, 10m, 1h, 1d"
        )
    return seconds * SECOND_NS


def parse_instant(text: str) -> int:
    """UTC ns of an ISO 8601 date or time; without a zone it is UTC. Raises BadConfig."""
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadConfig(
            f"'{text}' is not a time; examples: 2026-11-23, 2026-11-23T12:30, 2026-11-23T12:30:05Z"
        ) from None
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def parse_stretch(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    """UTC ns of the bounds --from and --to; one beyond all capture times is the nearest that SQLite holds.

    Raises BadConfig, also where the first is not before the second.
    """
    from_ns, to_ns = (
        None if text is None else min(max(parse_instant(text), -FARTHEST_NS - 1), FARTHEST_NS + 1)
        for text in (since, until)
    )
    if from_ns is not None and to_ns is not None and from_ns >= to_ns:
        raise BadConfig(f"--from {since} is not before --to {until}; give a later --to")
    return from_ns, to_ns


def width_text(width_ns: int) -> str:
    """A bin's width as `parse_width` reads it, in the largest unit that is whole: 1h, 90m."""
    seconds = width_ns // SECOND_NS
    unit = max((unit for unit in _UNIT_SECONDS if seconds % _UNIT_SECONDS[unit] == 0), key=_UNIT_SECONDS.__getitem__)
    return f"{seconds // _UNIT_SECONDS[unit]}{unit}"


def bin_start(instant_ns: int, width_ns: int) -> int:
    """The start of the bin [start, start + width) that holds the instant.

    Bins are counted from 1970-01-01T00:00Z, so that 1h begins on the hour, 1d at midnight UTC, and the bins of two
    reports, ships or years fall together.
    """
    return instant_ns // width_ns * width_ns


def utc_text(instant_ns: int) -> str:
    """ISO 8601 in UTC, cut to the second (2026-11-23T10:00:00Z), with milliseconds where there are any (…00.250Z)."""
    milliseconds = instant_ns // 1_000_000
    instant = _EPOCH + timedelta(milliseconds=milliseconds)
    return instant.strftime("%Y-%m-%dT%H:%M:%S") + (f".{milliseconds % 1000:03d}" if milliseconds % 1000 else "") + "Z"
