"""Durations, sizes and times as a person on watch reads them."""

from __future__ import annotations

from edge.bins import SECOND_NS, utc_text
from edge.htmlreport.spell import whole

_STEPS = ((86_400, "d"), (3600, "h"), (60, "min"))


def span(seconds: float) -> str:
    """4 s, 12 min, 3 h 20 min, 2 d 5 h: two steps at most."""
    left = max(0, round(seconds))
    if left < 60:
        return f"{left}\u202fs"
    for at, (length, unit) in enumerate(_STEPS):
        if left >= length:
            text = f"{whole(left // length)}\u202f{unit}"
            if unit != "min" and (rest := left % length // _STEPS[at + 1][0]):
                text += f" {rest}\u202f{_STEPS[at + 1][1]}"
            return text
    raise AssertionError("a minute and more has a unit")


def rate(per_second: float) -> str:
    """Images per second: two digits that count, below ten one behind the point."""
    if per_second >= 9.95 or per_second == 0:
        return whole(round(per_second))
    return f"{per_second:.1f}" if per_second >= 0.05 else "<0.1"


def size(bytes_: int) -> str:
    """417 GB, 3.2 GB, 120 MB: powers of ten, as disks are sold."""
    for unit, length in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if bytes_ >= length:
            value = bytes_ / length
            return f"{value:.0f}\u202f{unit}" if value >= 10 else f"{value:.1f}\u202f{unit}"
    return f"{bytes_ // 1000}\u202fkB"


def clock(ns: int) -> str:
    """14:03:25 UTC."""
    return f"{utc_text(ns // SECOND_NS * SECOND_NS)[11:19]} UTC"


def when(ns: int, now_ns: int) -> str:
    """The time of day; with the date where that is not today."""
    day, today = utc_text(ns)[:10], utc_text(now_ns)[:10]
    return clock(ns) if day == today else f"{day} {clock(ns)}"
