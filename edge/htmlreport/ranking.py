"""The most frequent labels: the raw count as a ring, the corrected one as a dot, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.htmlreport.markup import Markup, element
from edge.htmlreport.palette import ACCENT, AXIS, GRID, SECOND
from edge.htmlreport.scale import count_ticks, tick_text
from edge.htmlreport.spell import images
from edge.htmlreport.svg import Frame, cut, drawing, line, text

_ROW = 23.0  # pixels
_NAME = 260.0


@dataclass(frozen=True)
class Ranked:
    """A label with its raw and corrected number of images."""

    name: str
    raw: float  # raised, where images were left out
    raw_low: float | None
    raw_high: float | None
    corrected: float | None
    low: float | None
    high: float | None


def ranking(labels: Sequence[Ranked]) -> Markup:
    """One row a label, in the order given."""
    frame = Frame(880, _ROW * len(labels) + 40, left=_NAME, top=8, bottom=32, right=14)
    top = max((value for each in labels for value in (each.raw, each.raw_high, each.high) if value), default=1)
    across = frame.across(0, top)
    parts: list[Markup] = []
    for value in count_ticks(top, 6):
        x = across(value)
        parts.append(line(x, frame.top, x, frame.y_end, GRID if value else AXIS))
        parts.append(text(x, frame.y_end + 16, tick_text(value), "middle", fill=AXIS))
    for number, each in enumerate(labels):
        y = frame.top + _ROW * (number + 0.5)
        parts.append(text(frame.left - 8, y + 4, cut(each.name, _NAME - 8), "end"))
        apart = 0.0 if each.corrected is None else 4.0
        if each.raw_low is not None and each.raw_high is not None:
            parts.append(line(across(each.raw_low), y - apart, across(each.raw_high), y - apart, ACCENT, 1.5))
        parts.append(
            element(
                "circle", element("title", f"{each.name}: {images(each.raw)}"),
                cx=across(each.raw), cy=y - apart, r=3.5, fill="#fff", stroke=ACCENT, stroke_width=1.5,
            )
        )  # fmt: skip
        if each.corrected is not None:
            if each.low is not None and each.high is not None:
                parts.append(line(across(each.low), y + apart, across(each.high), y + apart, SECOND, 2))
            told = f"{each.name}: corrected {images(each.corrected)}"
            parts.append(
                element("circle", element("title", told), cx=across(each.corrected), cy=y + apart, r=3.5, fill=SECOND)
            )
    parts.append(text((frame.left + frame.x_end) / 2, frame.height - 2, "images", "middle", fill=AXIS))
    said = "; ".join(
        f"{each.name} {images(each.raw)}"
        + (f", corrected {images(each.corrected)}" if each.corrected is not None else "")
        for each in labels
    )
    return drawing(frame, f"Counts of the {len(labels)} most frequent labels: {said}", parts)
