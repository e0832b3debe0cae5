"""Small drawings of the first page, as SVG: a content policy that forbids styles within a page lets their sizes stand."""

from __future__ import annotations

from collections.abc import Sequence

from edge.htmlreport.markup import Markup, element

_HEIGHT = 40


def bar(share: float, kind: str = "") -> Markup:
    """A horizontal bar, `share` (0..1) of its room. The number stands beside it: it is hidden from screen readers."""
    width = max(0.0, min(share, 1.0)) * 100
    return element(
        "svg",
        element("rect", width=f"{width:.1f}", height="10", class_=f"bar {kind}".strip()),
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        aria_hidden="true",
        class_="bar-room",
    )


def pulse(per_slot: Sequence[int], words: str) -> Markup:
    """A column for each slot of time, the newest at the right."""
    most = max(*per_slot, 1)
    columns = (
        element("rect", x=at, y=f"{_HEIGHT - height:.1f}", width="0.8", height=f"{height:.1f}", class_="bar")
        for at, height in enumerate(_HEIGHT * images / most for images in per_slot)
        if height > 0
    )
    return element(
        "svg",
        element("line", x1="0", x2=len(per_slot), y1=_HEIGHT, y2=_HEIGHT, class_="ground"),
        columns,
        viewBox=f"0 0 {len(per_slot)} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=words,
        class_="pulse",
    )
