"""Where every image went, as one bar."""

from __future__ import annotations

from edge.counts import Accounting
from edge.htmlreport.markup import Markup
from edge.htmlreport.palette import OTHERS, SERIES
from edge.htmlreport.spell import share, whole
from edge.htmlreport.svg import Frame, drawing, rect

COLOURS = {"counted": SERIES[2], "rejected": SERIES[1], "waiting": SERIES[4], "dropped": OTHERS}
_LEAST_PIXELS = 2.0  # a part that is not nothing is seen


def accounting_bar(accounting: Accounting) -> Markup:
    """A stacked bar of counted, rejected, waiting and dropped; no text of its own: the table beside it has the numbers."""
    frame = Frame(640, 22, 0, 0, 0, 0)
    parts = {name: int(getattr(accounting, name)) for name in COLOURS}
    seen = max(sum(parts.values()), 1)
    there = [name for name, images in parts.items() if images]
    spare = frame.width - _LEAST_PIXELS * len(there)
    x, drawn = 0.0, []
    for name in there:
        width = _LEAST_PIXELS + spare * parts[name] / seen
        told = f"{name}: {whole(parts[name])} images, {share(parts[name], seen)}"
        drawn.append(rect(x, 0, width - (1 if x + width < frame.width - 0.1 else 0), frame.height, COLOURS[name], told))
        x += width
    words = ", ".join(f"{name} {images}" for name, images in parts.items())
    return drawing(frame, f"Of {accounting.seen} images seen: {words}", *drawn)
