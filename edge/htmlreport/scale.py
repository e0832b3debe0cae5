"""From values to places on a plot, and where its ticks stand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from edge.bins import SECOND_NS

_STEPS_SECONDS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 432000, 864000, 2592000)


@dataclass(frozen=True)
class Scale:
    """A straight line from values to pixels; one without width puts all in the middle."""

    low: float
    high: float
    start: float  # pixels, of `low`
    end: float  # of `high`

    def __call__(self, value: float) -> float:
        if self.high <= self.low:
            return (self.start + self.end) / 2
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within [low, high], at most about `most`."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def count_ticks(high: float, most: int = 4) -> list[float]:
    """The same from zero, for numbers of images: whole ones only."""
    return [tick for tick in ticks(0, max(high, 1), most) if tick == int(tick)]


def tick_text(value: float) -> str:
    """12000 -> 12k; no trailing zeros."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:.6g}"


def time_ticks(low_ns: int, high_ns: int, most: int = 5) -> list[tuple[int, str]]:
    """Instants (UTC ns) at whole seconds, minutes, hours or days, and how they are written: a new day as its date."""
    span = max(1, (high_ns - low_ns) // SECOND_NS)
    step = next((step for step in _STEPS_SECONDS if span / step <= most), _STEPS_SECONDS[-1] * (1 + span // 12960000))
    first = -(-low_ns // (step * SECOND_NS))
    found = []
    for number in range(first, high_ns // (step * SECOND_NS) + 1):
        at = number * step
        when = datetime.fromtimestamp(at, UTC)
        if at % 86400 == 0 or step >= 86400:
            text = f"{when:%b} {when.day}"
        else:
            text = f"{when:%H:%M:%S}" if step < 60 else f"{when:%H:%M}"
        found.append((at * SECOND_NS, text))
    return found
