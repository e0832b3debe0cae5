"""The parts that every plot is drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.htmlreport.markup import Child, Markup, element
from edge.htmlreport.palette import AXIS, GRID, INK
from edge.htmlreport.scale import Scale, tick_text

TEXT_PIXELS = 11  # the size of letters in a plot
LETTER_PIXELS = 6.6  # how wide one is on average, in a wide face such as DejaVu Sans


@dataclass(frozen=True)
class Frame:
    """A plot's size and the margins of its field, in pixels of the drawing; the browser scales it to the page."""

    width: float
    height: float
    left: float = 44
    right: float = 10
    top: float = 10
    bottom: float = 28

    @property
    def x_end(self) -> float:
        return self.width - self.right

    @property
    def y_end(self) -> float:
        return self.height - self.bottom

    def across(self, low: float, high: float) -> Scale:
        """From left to right."""
        return Scale(low, high, self.left, self.x_end)

    def up(self, low: float, high: float) -> Scale:
        """From the bottom to the top."""
        return Scale(low, high, self.y_end, self.top)


def drawing(frame: Frame, alt: str, *children: Child) -> Markup:
    """The <svg> element; `alt` is what a screen reader says instead of it."""
    return element(
        "svg",
        *children,
        viewBox=f"0 0 {frame.width:g} {frame.height:g}",
        role="img",
        aria_label=alt,
        font_size=TEXT_PIXELS,
        fill=INK,
    )


def text(x: float, y: float, words: str, anchor: str = "start", **attributes: str | float | None) -> Markup:
    """One line of text with its baseline at y."""
    return element("text", words, x=x, y=y, text_anchor=None if anchor == "start" else anchor, **attributes)


def rect(x: float, y: float, width: float, height: float, fill: str, told: str | None = None) -> Markup:
    """A filled rectangle; `told` appears when a pointer rests on it."""
    return element(
        "rect",
        element("title", told) if told else None,
        x=x,
        y=y,
        width=max(width, 0.0),
        height=max(height, 0.0),
        fill=fill,
    )


def line(x1: float, y1: float, x2: float, y2: float, stroke: str, width: float = 1) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, stroke_width=width)


def path(places: Iterable[tuple[float, float]], stroke: str, width: float = 1.5, dashes: str | None = None) -> Markup:
    """A line through the places."""
    return element("path", d=trace(places), fill="none", stroke=stroke, stroke_width=width, stroke_dasharray=dashes)


def trace(places: Iterable[tuple[float, float]]) -> str:
    """The places as the data of a path."""
    return "".join(f"{'L' if number else 'M'}{x:.1f},{y:.1f}" for number, (x, y) in enumerate(places))


def value_axis(frame: Frame, up: Scale, values: Sequence[float], unit: str = "") -> list[Markup]:
    """Horizontal grid lines with their values at the left."""
    parts = []
    for value in values:
        y = up(value)
        parts.append(line(frame.left, y, frame.x_end, y, GRID if value else AXIS))
        parts.append(text(frame.left - 6, y + 4, tick_text(value) + unit, "end", fill=AXIS))
    return parts


def across_axis(frame: Frame, across: Scale, marks: Sequence[tuple[float, str]], name: str = "") -> list[Markup]:
    """Ticks below the field with their words, and the axis' name below them."""
    parts = [line(frame.left, frame.y_end, frame.x_end, frame.y_end, AXIS)]
    edge = LETTER_PIXELS / 2
    for value, words in marks:
        x = across(value)
        parts.append(line(x, frame.y_end, x, frame.y_end + 4, AXIS))
        half = len(words) * edge
        inside = min(max(x, half), frame.width - half)
        parts.append(text(inside, frame.y_end + 16, words, "middle", fill=AXIS))
    if name:
        parts.append(text((frame.left + frame.x_end) / 2, frame.height - 4, name, "middle", fill=AXIS))
    return parts


def cut(words: str, pixels: float) -> str:
    """As much of the words as fits, with … for the rest."""
    most = max(int(pixels / LETTER_PIXELS), 2)
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"
