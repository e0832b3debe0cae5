"""What the counts are made of: shares of groups or labels in each bin, as stacked columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.htmlreport.markup import Markup, element
from edge.htmlreport.palette import GRID
from edge.htmlreport.scale import time_ticks
from edge.htmlreport.spell import plural, share
from edge.htmlreport.svg import Frame, across_axis, drawing, value_axis


@dataclass(frozen=True)
class Column:
    """One bin: [start, end) in UTC ns and the value of each part, in the order of the parts."""

    start_ns: int
    end_ns: int
    values: tuple[float, ...]


def stacked_shares(
    columns: Sequence[Column], names: Sequence[str], colours: Sequence[str], begin_ns: int, end_ns: int
) -> Markup:
    """Each column is 100 %; a bin with nothing in it is left empty."""
    frame = Frame(820, 260, left=48)
    across, up = frame.across(begin_ns, end_ns), frame.up(0, 100)
    parts = ["" for _ in names]
    for column in columns:
        whole = sum(column.values)
        if whole <= 0:
            continue
        left, right = across(column.start_ns), across(column.end_ns)
        if right - left > 3:
            right -= 0.6
        below = 0.0
        for number, value in enumerate(column.values):
            if value > 0:
                above = below + 100 * value / whole
                parts[number] += f"M{left:.1f},{up(above):.1f}H{right:.1f}V{up(below):.1f}H{left:.1f}Z"
                below = above
    drawn = [
        element("path", element("title", name), d=data, fill=colour)
        for data, name, colour in zip(parts, names, colours, strict=True)
        if data
    ]
    sums = [sum(column.values[number] for column in columns) for number in range(len(names))]
    said = ", ".join(f"{name} {share(value, sum(sums))}" for name, value in zip(names, sums, strict=True) if value > 0)
    marks: list[tuple[float, str]] = [(float(ns), words) for ns, words in time_ticks(begin_ns, end_ns, 9)]
    return drawing(
        frame,
        f"Composition over time in {plural(len(columns), 'bin')}; in total: {said or 'nothing'}",
        element(
            "rect",
            x=frame.left,
            y=frame.top,
            width=frame.x_end - frame.left,
            height=frame.y_end - frame.top,
            fill="#f7f9fa",
            stroke=GRID,
        ),
        drawn,
        value_axis(frame, up, (0, 25, 50, 75, 100), "\u202f%"),
        across_axis(frame, across, marks),
    )


def legend(names: Sequence[str], colours: Sequence[str]) -> Markup:
    """The parts' names beside their colours."""
    return element(
        "ul",
        (
            element("li", element("span", class_="swatch", style=f"background:{colour}", aria_hidden="true"), name)
            for name, colour in zip(names, colours, strict=True)
        ),
        class_="legend",
    )
