"""The counts of one label over time, with the interval of each bin as a band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.htmlreport.markup import Markup, element
from edge.htmlreport.palette import ACCENT, BAND
from edge.htmlreport.scale import count_ticks, ticks, time_ticks
from edge.htmlreport.spell import about, instant, plural
from edge.htmlreport.svg import Frame, across_axis, drawing, trace, value_axis


@dataclass(frozen=True)
class Level:
    """A value that holds over [start, end), UTC ns, with its interval where one is known."""

    start_ns: int
    end_ns: int
    value: float
    low: float | None = None
    high: float | None = None


def over_time(levels: Sequence[Level], name: str, begin_ns: int, end_ns: int, counts: bool = True) -> Markup:
    """Steps with a band around them; a time without bins stays empty: no observation is not a zero.

    counts: whether the values are numbers of images, whose axis has whole numbers.
    """
    frame = Frame(400, 150)
    top = max((level.high if level.high is not None else level.value for level in levels), default=0.0) or 1.0
    values = count_ticks(top) if counts else ticks(0, top, 4)
    across, up = frame.across(begin_ns, end_ns), frame.up(0, max(top, values[-1]))
    bands, runs = [], []
    last_ns: int | None = None
    for level in levels:
        left, right = across(level.start_ns), across(level.end_ns)
        if level.low is not None and level.high is not None:
            low, high = up(level.low), up(level.high)
            bands.append(f"M{left:.1f},{high:.1f}H{right:.1f}V{low:.1f}H{left:.1f}Z")
        if level.start_ns != last_ns:
            runs.append([(left, up(level.value))])
        runs[-1] += [(left, up(level.value)), (right, up(level.value))]
        last_ns = level.end_ns
    marks: list[tuple[float, str]] = [(float(ns), words) for ns, words in time_ticks(begin_ns, end_ns)]
    return drawing(
        frame,
        _said(levels, name),
        value_axis(frame, up, values),
        element("path", d="".join(bands), fill=BAND) if bands else None,
        element("path", d="".join(map(trace, runs)), fill="none", stroke=ACCENT, stroke_width=1.5),
        across_axis(frame, across, marks),
    )


def _said(levels: Sequence[Level], name: str) -> str:
    if not levels:
        return f"{name} over time: nothing was counted"
    most = max(levels, key=lambda level: level.value)
    return (
        f"{name} over time in {plural(len(levels), 'bin')}: from {about(min(level.value for level in levels))} to "
        f"{about(most.value)} a bin, the most at {instant(most.start_ns)}"
    )
