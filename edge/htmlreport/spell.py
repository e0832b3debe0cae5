"""Numbers and times as the page writes them."""

from __future__ import annotations

import math
from collections.abc import Callable

from edge.bins import utc_text


def whole(number: int) -> str:
    """12345 -> 12 345, with a thin space that does not break."""
    return f"{number:,}".replace(",", "\u202f")


def about(value: float | None, digits: int = 3) -> str:
    """So many digits that count, never an exponent within what is counted here; a dash where nothing is known."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return whole(round(value))
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(places, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rough(value: float | None) -> str:
    """Two digits that count: enough for the ends of an interval; what is next to nothing as <0.001."""
    return "<0.001" if value is not None and 0 < value < 0.001 else about(value, 2)


def images(value: float | None) -> str:
    """A number of images: whole from ten on, one digit behind the point below."""
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 10:
        return whole(round(value))
    return f"{value:.1f}".removesuffix(".0")


def interval(low: float | None, high: float | None, say: Callable[[float], str] = rough) -> str:
    """low – high; a dash where there is none."""
    return "–" if low is None or high is None else f"{say(low)}\u2009–\u2009{say(high)}"


def share(part: float, all_: float) -> str:
    """A percentage; the smallest that is not nothing is told apart from nothing."""
    if all_ <= 0:
        return "–"
    if 0 < part / all_ < 0.001:
        return "<0.1\u202f%"
    return f"{part / all_:.1%}".replace("%", "\u202f%")


def instant(ns: int) -> str:
    """2026-11-25 10:00 UTC, to the minute."""
    return utc_text(ns)[:16].replace("T", " ") + " UTC"


def label_text(label: str) -> str:
    """copepod_calanoid -> copepod calanoid: a label as a heading, where no table gives it a name."""
    return label.replace("_", " ")


def plural(number: int, one: str, many: str | None = None) -> str:
    """1 image, 2 images."""
    return f"{whole(number)} {one if number == 1 else many or one + 's'}"
