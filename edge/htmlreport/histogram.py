"""Columns and bars that stand side by side."""

from __future__ import annotations

from collections.abc import Sequence

from edge.htmlreport.markup import Markup
from edge.htmlreport.palette import ACCENT, AXIS, OTHERS
from edge.htmlreport.scale import count_ticks
from edge.htmlreport.spell import share, whole
from edge.htmlreport.svg import Frame, across_axis, cut, drawing, rect, text, value_axis


def histogram(lower: Sequence[int], upper: Sequence[int], name: str, upper_name: str) -> Markup:
    """Numbers of images by a score from 0 to 1 in bins of equal width; `upper` is stacked on `lower`."""
    frame = Frame(400, 190, bottom=42)
    bins = len(lower)
    top = max((a + b for a, b in zip(lower, upper, strict=True)), default=0)
    values = count_ticks(top)
    across, up = frame.across(0, 1), frame.up(0, max(top, values[-1]))
    columns = []
    for number, (low, high) in enumerate(zip(lower, upper, strict=True)):
        left, width = across(number / bins) + 0.5, (frame.x_end - frame.left) / bins - 1
        told = f"{number / bins:.2f} to {(number + 1) / bins:.2f}: {whole(low + high)} images"
        if low:
            columns.append(rect(left, up(low), width, up(0) - up(low), ACCENT, told))
        if high:
            columns.append(
                rect(left, up(low + high), width, up(low) - up(low + high), OTHERS, f"{told}, {upper_name} {high}")
            )
    marks = [(value / 5, f"{value / 5:g}") for value in range(6)]
    total = sum(lower) + sum(upper)
    above = sum(lower[bins // 2 :]) + sum(upper[bins // 2 :])
    return drawing(
        frame,
        f"{name}: {total} images, {share(above, total)} at 0.5 or above",
        value_axis(frame, up, values),
        columns,
        across_axis(frame, across, marks, name),
    )


def bars(rows: Sequence[tuple[str, int]], name: str, colour: str = ACCENT) -> Markup:
    """One horizontal bar a row, with its number and share."""
    row, names = 26.0, 112.0
    frame = Frame(400, row * max(len(rows), 1) + 6, left=names, right=92, top=3, bottom=3)
    across = frame.across(0, max((images for _, images in rows), default=1) or 1)
    total = sum(images for _, images in rows)
    parts = []
    for number, (words, images) in enumerate(rows):
        y = frame.top + row * number
        parts.append(text(names - 8, y + 17, cut(words, names - 8), "end"))
        parts.append(rect(frame.left, y + 4, across(images) - frame.left, row - 8, colour))
        parts.append(text(across(images) + 5, y + 17, f"{whole(images)} ({share(images, total)})", fill=AXIS))
    said = "; ".join(f"{words} {images}" for words, images in rows)
    return drawing(frame, f"{name}: {said or 'none'}", parts)
