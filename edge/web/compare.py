"""Tows compared: how much of each species or group there was in each deployment, and how unlike their compositions are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bundle.labels import UNCLASSIFIED
from edge.estimates.estimate import Estimate
from edge.htmlreport.markup import Child, Markup, element
from edge.htmlreport.parts import figure, note, row
from edge.htmlreport.spell import about, images, instant, interval, share, whole
from edge.web.asked import DEFAULT_NAMES, Asked, Unit, read_asked
from edge.web.controls import controls, pages
from edge.web.dots import Dot, dots
from edge.web.layout import page
from edge.web.lines import Line, default_by, lines, members
from edge.web.overtime import best
from edge.web.place import Place
from edge.web.reading import Read, read
from edge.web.refusal import notes, or_refused
from edge.web.tables import head_row, held

TITLE = "Tows compared"
_TABLE_MOST = 12  # tows of which each pair is compared


def routes(place: Place) -> list[Route]:
    async def shown(request: Request) -> Response:
        asked = replace(read_asked(request.query_params.multi_items()), width_ns=None)
        return tows_page(request, asked, await read(request, place, asked, by_tow=True))

    return [Route("/time/tows", or_refused(shown, place, TITLE, "/time"))]


def tows_page(request: Request, asked: Asked, found: Read) -> Response:
    """A drawing a name, and the tables."""
    reported = found.reported
    by = asked.by or default_by(reported)
    every = members(reported, by)
    names = [name for name in asked.names if name in every] or list(every)[:DEFAULT_NAMES]
    drawn = lines(reported, by, names)
    dense = any(point.per_m3 for line in drawn for point in line.points)
    unit: Unit = asked.unit if asked.unit and dense else ("per_m3" if dense and asked.unit is None else "images")
    body: list[Child] = [
        pages("/time/tows", asked),
        controls("/time/tows", replace(asked, unit=unit), found, by, names, every, bins=False),
        notes(found, sorted(set(asked.names) - set(every))),
    ]
    if not reported.counts.bins:
        body.append(note("No image was counted in any tow of this stretch of time."))
    else:
        body += [*_drawings(found, drawn, unit), *_tables(found, drawn, unit), *_unlike(found)]
    return page(request, TITLE, *body, styles=("charts.css",), scripts=("time.js",))


def bray_curtis(first: Mapping[str, float], second: Mapping[str, float]) -> float | None:
    """Dissimilarity of two compositions, each taken as shares: 0 alike, 1 nothing in common. None where one is empty.

    Bray & Curtis (1957), Ecological Monographs 27, 325-349; of shares it is half the sum of their differences.
    """
    wholes = sum(first.values()), sum(second.values())
    if min(wholes) <= 0:
        return None
    return 0.5 * sum(
        abs(first.get(name, 0.0) / wholes[0] - second.get(name, 0.0) / wholes[1])
        for name in first.keys() | second.keys()
    )


def _drawings(found: Read, drawn: Sequence[Line], unit: Unit) -> list[Child]:
    what = "individuals per m³" if unit == "per_m3" else "images"
    kind = "Corrected" if found.reported.note is None else "Raw"
    plots = []
    for line in drawn:
        at = {point.start_ns: point for point in line.points}
        rows = [
            Dot(name, *(best(at[each.start_ns], unit) if each.start_ns in at else (None, None, None)))
            for name, each in zip(_names(found), found.reported.counts.bins, strict=True)
        ]
        plots.append(figure(dots(rows, line.title, what), line.title))
    return [
        element("p", f"{kind} {what} with 95 % intervals; each drawing has its own scale, and an interval may run out of it. "
                "A tow without a dot: not known.", class_="quiet"),
        element("div", plots, class_="plots"),
    ]  # fmt: skip


def _tables(found: Read, drawn: Sequence[Line], unit: Unit) -> list[Child]:
    reported = found.reported
    litres = any(each.litres is not None for each in reported.sampled_bins)
    heads = ["tow", "from", "images", "minutes sampled", *(["m³"] if litres else []), "most frequent"]
    every = []
    for name, each, sampled in zip(_names(found), reported.counts.bins, reported.sampled_bins, strict=True):
        most = max(_named(each.counts), key=lambda label: each.counts[label], default=None)
        every.append(
            row(
                name,
                instant(each.start_ns),
                whole(sum(each.counts.values())),
                about(sampled.seconds / 60),
                *([about(None if sampled.litres is None else sampled.litres / 1000)] if litres else []),
                reported.name(most) if most and each.counts[most] else "–",
            )
        )
    body: list[Child] = [element("h2", "The tows"), held(head_row(heads), every, "The tows")]
    if drawn:
        body += [
            element("h2", "What they held"),
            held(head_row(["tow", *_heads(drawn)]), _held_rows(found, drawn, unit), "What they held"),
        ]
    return body


def _heads(drawn: Sequence[Line]) -> list[str]:
    return [head for line in drawn for head in (line.title, "95 %", "share")]


def _held_rows(found: Read, drawn: Sequence[Line], unit: Unit) -> list[Markup]:
    rows = []
    say = about if unit == "per_m3" else images
    for number, (name, each) in enumerate(zip(_names(found), found.reported.counts.bins, strict=True)):
        whole_tow = sum(_value(estimate) for estimate in found.reported.estimates.bins[number].values())
        cells: list[Child] = []
        for line in drawn:
            point = next((point for point in line.points if point.start_ns == each.start_ns), None)
            if point is None:
                cells += ["–", "–", "–"]
                continue
            value, low, high = best(point, unit)
            cells += [say(value), interval(low, high, say), share(_value(point.estimate), whole_tow)]
        rows.append(row(name, *cells))
    return rows


def _unlike(found: Read) -> list[Child]:
    """Each pair of tows, of labels even where groups are shown: groups hide what differs."""
    bins = found.reported.counts.bins
    if not 2 <= len(bins) <= _TABLE_MOST:
        return []
    compositions = [
        {label: _value(estimate) for label, estimate in its.items()} for its in found.reported.estimates.bins
    ]
    names = _names(found)
    rows = [
        row(
            names[at],
            *("" if at == to else _dissimilarity(compositions[at], compositions[to]) for to in range(len(bins))),
        )
        for at in range(len(bins))
    ]
    words = (
        "Bray-Curtis dissimilarity of the tows' compositions by species: 0 is alike, 1 nothing in common. Tows of few images "
        "differ by chance alone."
    )
    return [
        element("h2", "How unlike they are"),
        element("p", words, class_="quiet"),
        held(head_row(["", *names]), rows, "Unlike"),
    ]


def _dissimilarity(first: Mapping[str, float], second: Mapping[str, float]) -> str:
    value = bray_curtis(first, second)
    return "–" if value is None else f"{value:.2f}"


def _value(estimate: Estimate) -> float:
    if estimate.corrected is not None:
        return max(estimate.corrected, 0.0)
    return float(estimate.raw) if estimate.raised is None else estimate.raised


def _named(counts: Mapping[str, int]) -> list[str]:
    return [label for label in counts if label != UNCLASSIFIED]


def _names(found: Read) -> list[str]:
    return list(found.reported.tow_names)
