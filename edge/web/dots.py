"""Values with intervals beside one another, one row each: a dot and a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.htmlreport.markup import Markup, element
from edge.htmlreport.palette import ACCENT, AXIS, GRID
from edge.htmlreport.scale import tick_text, ticks
from edge.htmlreport.spell import about, interval
from edge.htmlreport.svg import Frame, cut, drawing, line, text

_ROW = 22.0  # pixels
_NAME = 120.0


@dataclass(frozen=True)
class Dot:
    """None: not known."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None


def dots(rows: Sequence[Dot], title: str, unit: str) -> Markup:
    """In the order given. The scale ends at three times the highest value: one wide interval must not hide the others."""
    frame = Frame(400, _ROW * len(rows) + 40, left=_NAME, top=4, bottom=36, right=12)
    most = max((each.value or 0.0 for each in rows), default=0.0)
    highest = max((each.high or 0.0 for each in rows), default=0.0)
    top = max(most, min(highest, 3 * most or highest)) or 1.0
    across = frame.across(0, top)
    parts: list[Markup] = []
    for value in ticks(0, top, 4):
        x = across(value)
        parts.append(line(x, frame.top, x, frame.y_end, GRID if value else AXIS))
        parts.append(text(x, frame.y_end + 15, tick_text(value), "middle", fill=AXIS))
    for number, each in enumerate(rows):
        y = frame.top + _ROW * (number + 0.5)
        parts.append(text(frame.left - 8, y + 4, cut(each.name, _NAME - 10), "end"))
        if each.value is None:
            continue
        if each.low is not None and each.high is not None:
            parts.append(line(across(each.low), y, min(across(each.high), frame.x_end), y, ACCENT, 2))
        told = f"{each.name}: {about(each.value)} ({interval(each.low, each.high)})"
        parts.append(element("circle", element("title", told), cx=across(each.value), cy=y, r=4.5, fill=ACCENT))
    parts.append(text((frame.left + frame.x_end) / 2, frame.height - 4, unit, "middle", fill=AXIS))
    said = "; ".join(f"{each.name} {about(each.value)}" for each in rows)
    return drawing(frame, f"{title}, {unit}: {said}", parts)
