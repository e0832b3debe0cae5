"""How much there was at each depth: the surface on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.htmlreport.markup import Markup
from edge.htmlreport.palette import ACCENT, AXIS, GRID, INK
from edge.htmlreport.scale import Scale, tick_text, ticks
from edge.htmlreport.spell import about
from edge.htmlreport.svg import Frame, drawing, line, rect, text


@dataclass(frozen=True)
class Band:
    """[top, bottom) metres of depth; `value` None: nothing was sampled there. low, high: 95 %, from the counting alone."""

    top: float
    bottom: float
    value: float | None
    low: float | None = None
    high: float | None = None


def profile(bands: Sequence[Band], name: str, unit: str) -> Markup:
    """Bars to the right by depth; a band that was not sampled has none, a cross says so."""
    frame = Frame(400, 250, left=44, top=8, bottom=40)
    least, most = min(band.top for band in bands), max(band.bottom for band in bands)
    densest = max((band for band in bands if band.value is not None), key=lambda band: band.value or 0.0, default=None)
    largest = (densest.value if densest else None) or 1.0
    # A band in which hardly anything was sampled must not squeeze the others: its interval runs out of the field.
    high = min(max((band.high or 0.0 for band in bands), default=0.0) or largest, 1.6 * largest)
    across, down = frame.across(0, high), Scale(least, most, frame.top, frame.y_end)
    parts: list[Markup] = []
    for value in ticks(0, high, 4):
        x = across(value)
        parts.append(line(x, frame.top, x, frame.y_end, GRID))
        parts.append(text(x, frame.y_end + 15, tick_text(value), "middle", fill=AXIS))
    for depth in ticks(least, most, 6):
        parts.append(text(frame.left - 6, down(depth) + 4, tick_text(depth), "end", fill=AXIS))
        parts.append(line(frame.left - 3, down(depth), frame.left, down(depth), AXIS))
    for band in bands:
        y, height = down(band.top), down(band.bottom) - down(band.top)
        middle = y + height / 2
        if band.value is None:
            parts.append(text(frame.left + 4, middle + 4, "×", fill=AXIS))
            continue
        told = f"{band.top:g} to {band.bottom:g} m: {about(band.value)} {unit}"
        parts.append(rect(frame.left, y + 0.5, across(band.value) - frame.left, height - 1, ACCENT, told))
        if band.low is not None and band.high is not None:
            parts.append(
                line(min(across(band.low), frame.x_end), middle, min(across(band.high), frame.x_end), middle, INK, 1.2)
            )
    parts.append(line(frame.left, frame.top, frame.left, frame.y_end, AXIS))
    parts.append(text((frame.left + frame.x_end) / 2, frame.height - 4, unit, "middle", fill=AXIS))
    parts.append(text(10, frame.height - 4, "m deep", fill=AXIS))
    said = (
        "nothing sampled"
        if densest is None
        else f"most from {densest.top:g} to {densest.bottom:g} m, {about(densest.value)} {unit}"
    )
    return drawing(frame, f"{name} by depth from {least:g} to {most:g} m: {said}", parts)
