"""Colours: each at least 3:1 against white (WCAG 2.2, 1.4.11), and told apart by people with red-green blindness in the
order given: light and dark take turns."""

from __future__ import annotations

SERIES = ("#1b6ca8", "#c4591a", "#2b7a4b", "#8a4fa3", "#a87b00", "#b8336a", "#00838f", "#6b4b3a")
OTHERS = "#77828c"
UNCLASSIFIED = "#a3acb5"  # beside OTHERS in one bar; never without its name

INK, AXIS, GRID = "#1c2733", "#5a6672", "#e3e8ec"
ACCENT, BAND, SECOND = SERIES[0], "#a9cbe4", SERIES[1]


def colour(number: int) -> str:
    """Of the series of this number; those beyond the palette share one colour."""
    return SERIES[number] if number < len(SERIES) else OTHERS
