"""Which bins of which stretch of time a page computes, and what would be too much beside a daemon that counts."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace

from bundle.errors import BadConfig
from edge.bins import SECOND_NS, bin_start, parse_width, utc_text, width_text
from edge.counts import HOUR_NS
from edge.htmlreport.spell import whole
from edge.reported import span_ns
from edge.web.asked import WIDTHS, Asked

BINS_USUAL = 50  # of the width that is chosen where none is asked for: 1 to 2 s with 121 labels
BINS_MOST = 200  # each is corrected by itself, in 30 to 50 ms
IMAGES_USUAL = 300_000  # looked at one by one without being asked to
IMAGES_MOST = 2_000_000  # 2 to 5 µs each

_LOOK = "bins under an hour, ends within an hour, depth, track and water look at every image"


@dataclass(frozen=True)
class Most:
    """What is too much at once."""

    bins: int = BINS_MOST
    images: int = IMAGES_MOST


SHOWN = Most()


@dataclass(frozen=True)
class Plan:
    """What is computed: bins of `width_ns` over images captured in [from_ns, to_ns), UTC ns; None: no bound."""

    width_ns: int
    from_ns: int | None
    to_ns: int | None
    span: tuple[int, int] | None  # [first, last] capture time of what was classified in it; None: nothing was
    whole: tuple[int, int] | None  # the same of the whole ledger
    images: int  # in the hours that it touches
    shortened: bool = False  # the reader asked for everything, and it is the newest part


def plan(connection: sqlite3.Connection, asked: Asked, every_image: bool = False, most: Most = SHOWN) -> Plan:
    """every_image: the images are looked at one by one whatever the bins. Raises BadConfig where it would be too much."""
    from_ns, to_ns, shortened = asked.from_ns, asked.to_ns, False
    images = images_within(connection, from_ns, to_ns)
    if images > most.images and every_image and from_ns is None and to_ns is None:
        from_ns, shortened = _newest(connection, most.images), True
        images = images_within(connection, from_ns, to_ns)
    span = span_ns(connection, from_ns, to_ns)
    width_ns = asked.width_ns or usual_width(span, images)
    bins = bins_within(span, width_ns)
    if bins > most.bins:
        raise BadConfig(
            f"{bins} bins of {width_text(width_ns)} between {_said(span)}: more than the {most.bins} that are computed at once; "
            "choose wider bins or a shorter stretch"
        )
    cut = every_image or any(edge % HOUR_NS for edge in (width_ns, from_ns or 0, to_ns or 0))
    if cut and images > most.images:
        raise BadConfig(
            f"{whole(images)} images between {_said(span)}: {_LOOK}, and more than {whole(most.images)} are not looked "
            "at while the daemon counts; choose a shorter stretch, or bins and ends of whole hours"
        )
    return Plan(width_ns, from_ns, to_ns, span, span_ns(connection, None, None), images, shortened)


def usual_width(span: tuple[int, int] | None, images: int) -> int:
    """The narrowest of WIDTHS that fills the span with no more than BINS_USUAL bins; an hour or more of many images."""
    widths = [parse_width(text) for text in WIDTHS]
    fitting = [
        width
        for width in widths
        if bins_within(span, width) <= BINS_USUAL and (width >= HOUR_NS or images <= IMAGES_USUAL)
    ]
    return fitting[0] if fitting else widths[-1]


def bins_within(span: tuple[int, int] | None, width_ns: int) -> int:
    """How many bins lie between the first and the last image, at most."""
    return 0 if span is None else (bin_start(span[1], width_ns) - bin_start(span[0], width_ns)) // width_ns + 1


def images_within(connection: sqlite3.Connection, from_ns: int | None, to_ns: int | None) -> int:
    """Images counted in the hours that the stretch touches: from a small table, whatever their number."""
    since = -(2**63) if from_ns is None else bin_start(from_ns, HOUR_NS)
    until = 2**63 - 1 if to_ns is None else to_ns
    (images,) = connection.execute(
        "SELECT COALESCE(SUM(images), 0) FROM hourly WHERE hour_ns >= ? AND hour_ns < ?", (since, until)
    ).fetchone()
    return int(images)


def _newest(connection: sqlite3.Connection, most: int) -> int:
    """From which hour on there are no more images than `most`; at least the newest hour."""
    images, since = 0, 0
    for hour_ns, its in connection.execute(
        "SELECT hour_ns, SUM(images) FROM hourly WHERE images > 0 GROUP BY hour_ns ORDER BY hour_ns DESC"
    ):
        images += its
        if since and images > most:
            break
        since = hour_ns
    return since


def shifted(asked: Asked, made: Plan, by: float, scale: float) -> Asked | None:
    """The stretch moved by `by` of its length and stretched by `scale` about its middle; None: there is nothing more.

    Its ends lie on whole bins, so that a bin is never cut without need.
    """
    if made.whole is None:
        return None
    width, (first, last) = made.width_ns, made.whole
    begin = bin_start(first if made.from_ns is None else made.from_ns, width)
    end = bin_start((last + 1 if made.to_ns is None else made.to_ns) - 1, width) + width
    if (by < 0 or scale > 1) and begin <= first and (by < 0 or end > last):
        return None
    if by > 0 and end > last:
        return None
    middle, half = (begin + end) // 2 + int(by * (end - begin)), int(scale * (end - begin)) // 2
    unit = width if scale >= 1 else min(width, 60 * SECOND_NS)
    since = bin_start(middle - half, unit)
    until = max(bin_start(middle + half, unit), since + unit)
    if (since, until) == (made.from_ns, made.to_ns):
        return None
    return replace(asked, width_ns=None if scale != 1 else asked.width_ns, from_ns=since, to_ns=until)


def _said(span: tuple[int, int] | None) -> str:
    return "no images" if span is None else f"{utc_text(span[0])} and {utc_text(span[1])}"
