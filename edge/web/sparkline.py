"""A trend as small as a word."""

from __future__ import annotations

from collections.abc import Sequence

from edge.htmlreport.markup import Markup, element

_WIDTH, _HEIGHT = 120.0, 26.0
_WIDEST = 12.0  # a bar


def sparkline(bins: Sequence[tuple[int, int, float]], begin_ns: int, end_ns: int, said: str) -> Markup:
    """bins: (start, end, value), UTC ns. A time without a bin stays empty: it was not observed."""
    most = max((value for _, _, value in bins), default=0.0) or 1.0
    span = max(end_ns - begin_ns, 1)
    bars = []
    for start_ns, bin_end_ns, value in bins:
        left = _WIDTH * (start_ns - begin_ns) / span
        room = _WIDTH * (bin_end_ns - start_ns) / span
        width = min(max(room - 0.4, 0.8), _WIDEST)  # one bin alone would glare as a block, by night above all
        left += max(room - 0.4 - width, 0) / 2
        height = max(value / most * (_HEIGHT - 1), 0.6)  # a zero is a line: looked for and not found
        bars.append(f"M{left:.1f},{_HEIGHT - height:.1f}h{width:.1f}v{height:.1f}h{-width:.1f}z")
    return element(
        "svg",
        element("path", d="".join(bars)),
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        class_="spark",
        role="img",
        aria_label=said,
    )
