"""Over time: counts or concentrations, raw and corrected with their intervals, of species or groups in bins of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge.bins import utc_text, width_text
from edge.htmlreport.markup import Child, Markup, element, joined
from edge.htmlreport.parts import row
from edge.htmlreport.spell import about, images, instant, interval, plural, whole
from edge.survey.volume import Concentration
from edge.web.asked import DEFAULT_NAMES, Asked, By, Unit, read_asked
from edge.web.controls import controls, pages, width_words
from edge.web.layout import page
from edge.web.lines import Line, Point, default_by, lines, members
from edge.web.place import Place
from edge.web.reading import Read, read
from edge.web.refusal import notes, or_refused
from edge.web.stretch import shifted
from edge.web.tables import head_row, held

STYLES, SCRIPTS = ("charts.css", "plotly.css"), ("before-plotly.js", "plotly.min.js", "time.js")
_DIGITS = 5


def routes(place: Place) -> list[Route]:
    async def shown(request: Request) -> Response:
        asked = read_asked(request.query_params.multi_items())
        return over_time_page(request, asked, await read(request, place, asked))

    async def told(request: Request) -> Response:
        asked = read_asked(request.query_params.multi_items())
        found = await read(request, place, asked)
        return JSONResponse(over_time_json(asked, found), headers={"Cache-Control": "no-store"})

    return [
        Route("/time", or_refused(shown, place, "Over time", "/time")),
        Route("/time.json", or_refused(told, place, "Over time", as_json=True)),
    ]


def chosen(asked: Asked, found: Read) -> tuple[By, Unit, list[Line], tuple[str, ...]]:
    """By what, in which unit, the lines, and those names asked for that were not found."""
    reported = found.reported
    by = asked.by or default_by(reported)
    every = members(reported, by)
    names = [name for name in asked.names if name in every] or list(every)[:DEFAULT_NAMES]
    drawn = lines(reported, by, names)
    known = any(line.total_per_m3 for line in drawn)
    return by, asked.unit if asked.unit and known else "images", drawn, tuple(set(asked.names) - set(every))


def over_time_json(asked: Asked, found: Read) -> dict[str, Any]:
    """What the chart is drawn from: for each line, parallel arrays over its bins. `raw` is raised for dropped images."""
    by, unit, drawn, _ = chosen(asked, found)
    return {
        "by": by,
        "unit": unit,
        "bin": width_text(found.plan.width_ns),
        "bin_seconds": found.plan.width_ns // 1_000_000_000,
        "images": sum(found.reported.counts.totals.values()),
        "note": found.reported.note,
        "lines": [_line_json(line, unit) for line in drawn],
    }


def _line_json(line: Line, unit: Unit) -> dict[str, Any]:
    values = [best(point, unit) for point in line.points]
    told: dict[str, Any] = {
        "name": line.name,
        "title": line.title,
        "start": [utc_text(point.start_ns) for point in line.points],
        "end": [utc_text(point.end_ns) for point in line.points],
        "value": [_rounded(value) for value, _, _ in values],
        "low": [_rounded(low) for _, low, _ in values],
        "high": [_rounded(high) for _, _, high in values],
        "corrected": line.total.corrected is not None,
    }
    if unit == "images" and line.total.corrected is not None:
        told["raw"] = [_rounded(point.estimate.raised) for point in line.points]
    return told


def best(point: Point, unit: Unit) -> tuple[float | None, float | None, float | None]:
    """The value to draw with its interval: corrected where known, else raised, else raw."""
    if unit == "per_m3":
        dense = point.per_m3
        return (None, None, None) if dense is None else (dense.value, dense.low, dense.high)
    its = point.estimate
    if its.corrected is not None:
        return its.corrected, its.low, its.high
    return (float(its.raw) if its.raised is None else its.raised), its.raw_low, its.raw_high


def over_time_page(request: Request, asked: Asked, found: Read) -> Response:
    """Totals, the chart, and the same as a table."""
    by, unit, drawn, missing = chosen(asked, found)
    every = members(found.reported, by)
    body: list[Child] = [
        pages("/time", asked),
        controls("/time", asked, found, by, [line.name for line in drawn], every),
        notes(found, missing),
    ]
    if not drawn:
        body += [_moves(asked, found), element("p", "No image was counted in this stretch of time.")]
        return page(request, "Over time", *body, styles=STYLES, scripts=("time.js",))
    body += [
        _moves(asked, found),
        _explained(found, unit),
        element(
            "div", id="chart", class_="chart", data_source="/time.json" + asked.query(), data_live=asked.to_ns is None
        ),
        element("div", id="plotly.js-style-global", class_="no-inline-styles", hidden=True),  # see plotly.css
        element("p", id="chart-said", class_="quiet", role="status"),
        element("h2", "In all", id="totals"),
        _totals(drawn),
        element(
            "details",
            element("summary", f"Every bin as a table ({plural(len(found.reported.counts.bins), 'bin')})"),
            _table(drawn, unit),
            open=True,
            id="numbers",
        ),
    ]
    return page(request, "Over time", *body, styles=STYLES, scripts=SCRIPTS)


def _moves(asked: Asked, found: Read) -> Markup:
    """Earlier, later, nearer and farther: with the keyboard, and without JavaScript."""
    ways = (
        ("Earlier", "[", -0.5, 1.0),
        ("Later", "]", 0.5, 1.0),
        ("Nearer", "+", 0.0, 0.5),
        ("Farther", "-", 0.0, 2.0),
    )
    links = []
    for words, key, by, scale in ways:
        moved = shifted(asked, found.plan, by, scale)
        if moved is not None:
            links.append(
                element("a", words, href="/time" + moved.query(), class_="button", data_key=key, rel="nofollow")
            )
    everything = "/time" + asked.query(from_ns=None, to_ns=None, width_ns=None)
    links.append(element("a", "Everything", href=everything, class_="button", data_key="0", rel="nofollow"))
    links.append(element("a", "This part in finer bins", id="finer", href="#", class_="button", hidden=True))
    return element("p", links, class_="moves")


def _explained(found: Read, unit: Unit) -> Markup:
    width = width_words(width_text(found.plan.width_ns))
    corrected = found.reported.note is None
    words = (
        ("Corrected counts" if corrected else "Raw counts")
        if unit == "images"
        else ("Corrected individuals per m³" if corrected else "Individuals per m³, not corrected")
    )
    words += f" in bins of {width} by capture time (UTC), each line on its own scale. The band is the 95 % interval."
    if corrected and unit == "images":
        words += " Dots: the raw counts."
    return element("p", words + " A time without a line was not observed: that is no zero.", class_="quiet")


def _totals(drawn: Sequence[Line]) -> Markup:
    per_m3 = any(line.total_per_m3 for line in drawn)
    corrected = any(line.total.corrected is not None for line in drawn)
    heads = [
        "",
        "raw",
        "corrected" if corrected else None,
        "95 %",
        "per m³" if per_m3 else None,
        "95 %" if per_m3 else None,
    ]
    shown = [
        row(
            _linked(line),
            whole(line.total.raw),
            *([images(line.total.corrected)] if corrected else []),
            interval(line.total.low, line.total.high, images)
            if corrected
            else interval(line.total.raw_low, line.total.raw_high, images),
            *(_dense(line.total_per_m3) if per_m3 else []),
        )
        for line in drawn
    ]
    return held(head_row([head for head in heads if head is not None]), shown, "In all")


def _linked(line: Line) -> Child:
    if line.labels == (line.name,):
        return element("a", line.title, href=f"/species/{line.name}")
    return line.title


def _dense(dense: Concentration | None) -> list[Child]:
    return ["–", "–"] if dense is None else [about(dense.value), interval(dense.low, dense.high)]


def _table(drawn: Sequence[Line], unit: Unit) -> Markup:
    """Two rows of heads: the names, and below each what its numbers are."""
    corrected = any(line.total.corrected is not None for line in drawn)
    kind = "per m³" if unit == "per_m3" else ("corrected" if corrected else "count")
    by_start = [{point.start_ns: point for point in line.points} for line in drawn]
    rows = []
    for start_ns in sorted({start for each in by_start for start in each}):
        cells: list[Child] = []
        for points in by_start:
            point = points.get(start_ns)
            if point is None:
                cells += ["", "", ""]
                continue
            value, low, high = best(point, unit)
            say = about if unit == "per_m3" else images
            cells += [whole(point.estimate.raw), say(value), interval(low, high, say)]
        rows.append(row(instant(start_ns).removesuffix(" UTC"), *cells))
    names = element(
        "tr",
        element("th", "from (UTC)", scope="col", rowspan=2),
        (element("th", line.title, scope="colgroup", colspan=3, class_="over") for line in drawn),
    )
    kinds = element(
        "tr",
        (element("th", head, scope="col", class_="number") for _ in drawn for head in ("raw", kind, "95 %")),
    )
    return held(joined(names, kinds), rows, "Every bin")


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")
