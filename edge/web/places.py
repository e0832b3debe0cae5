"""By depth and along the track: where what was counted was met, as far as the survey tells of depth and position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.counts import one_moment
from edge.htmlreport.facts import report_labels
from edge.htmlreport.markup import Child, Markup, element
from edge.htmlreport.parts import figure, note, row
from edge.htmlreport.places import Places, read_places
from edge.htmlreport.profile import Band, profile
from edge.htmlreport.spell import about, interval
from edge.htmlreport.trackmap import track_map
from edge.web.asked import DEFAULT_NAMES, Asked, By, read_asked
from edge.web.controls import controls, pages
from edge.web.layout import page
from edge.web.lines import default_by, members, title_of
from edge.web.place import Place
from edge.web.reading import Read, kept_of, read
from edge.web.refusal import notes, or_refused
from edge.web.tables import held

TITLE = "By depth and along the track"
_ALL = "all images"


def routes(place: Place) -> list[Route]:
    async def shown(request: Request) -> Response:
        asked = read_asked(request.query_params.multi_items())
        found = await read(request, place, asked)
        by = asked.by or default_by(found.reported)
        every = members(found.reported, by)
        names = tuple(name for name in asked.names if name in every) or tuple(every)[:DEFAULT_NAMES]
        key = ("places", asked.from_ns, asked.to_ns, asked.classifier, by, names)
        places = await kept_of(request).get(key, lambda: read_places_of(place, found, every, names))
        return _page(request, asked, found, by, names, places)

    return [Route("/time/places", or_refused(shown, place, TITLE, "/time/places"))]


def read_places_of(place: Place, found: Read, every: dict[str, tuple[str, ...]], names: Sequence[str]) -> Places | None:
    """Of all images, and of each name: a label or a group. None where the survey tells of no place, or nothing was counted."""
    conditions, survey, span = found.reported.conditions, found.survey, found.plan.span
    if survey is None or conditions is None or span is None:
        return None
    counts = found.reported.counts
    labels = [label for name in names for label in every[name]]
    with place.reader() as connection, one_moment(connection):
        single = read_places(
            connection,
            counts,
            report_labels(counts),
            labels,
            span,
            conditions,
            lambda stretches: survey.sampled(connection, stretches, conditions),
        )
    return joined_places(single, {name: every[name] for name in names})


def joined_places(single: Places, groups: dict[str, tuple[str, ...]]) -> Places:
    """The same with a row for each group, the sum of its labels' rows, behind that of all images."""
    rows = [single.images[0]]
    for labels in groups.values():
        rows.append(np.sum([single.images[single.names.index(label)] for label in labels], axis=0))
    return replace(single, names=(_ALL, *groups), images=np.array(rows))


def _page(request: Request, asked: Asked, found: Read, by: By, names: Sequence[str], places: Places | None) -> Response:
    every = members(found.reported, by)
    body: list[Child] = [
        pages("/time/places", asked),
        controls("/time/places", asked, found, by, names, every, bins=False, units=False),
        notes(found, sorted(set(asked.names) - set(every))),
    ]
    body += [_missing(found)] if places is None else _drawn(found, by, places)
    return page(request, TITLE, *body, styles=("charts.css",), scripts=("time.js",))


def _missing(found: Read) -> Markup:
    if found.plan.span is None:
        return element("p", "No image was counted in this stretch of time.")
    return note(
        "No survey.toml was given to this page, so that it knows neither depth nor position: start it with --survey FILE; "
        "docs/survey.md says how to write one."
        if found.survey_fault is None
        else "Without the survey there is neither depth nor position."
    )


def _drawn(found: Read, by: By, places: Places) -> list[Child]:
    deep, tracked = places.has("depth"), places.has("latitude", "longitude")
    if not deep and not tracked:
        return [note("The survey gives neither a depth nor a position for the time in which images were counted.")]
    seconds = places.width_ns // 1_000_000_000
    over = "the volume sampled in them" if places.per_m3 else "the time sampled in them, since no volume is known"
    titles = {
        name: "All images counted" if name == _ALL else title_of(found.reported, name, by) for name in places.names
    }
    body: list[Child] = [
        element(
            "p",
            f"Raw counts of stretches of {seconds} s, placed by their middle, over {over}; neither raised for dropped images "
            "nor corrected. Each drawing has its own scale.",
            class_="quiet",
        )
    ]
    if deep:
        bands = {name: places.by_depth(name) for name in places.names}
        body += [
            element("h2", "By depth"),
            element("div", (figure(profile(bands[name], titles[name], places.unit), titles[name]) for name in bands),
                    class_="plots"),
            element("p", "Lines on the bars: 95 % intervals of counting alone. ×: a depth that was not sampled.", class_="quiet"),
            element("details", element("summary", "Every depth as a table"), _depths(bands, titles, places.unit)),
        ]  # fmt: skip
    if tracked:
        body += [
            element("h2", "Along the track"),
            element("div", (
                figure(track_map(places.along_track(name), titles[name], places.unit), titles[name]) for name in places.names
            ), class_="plots"),
            element("p", "The area of a circle is in proportion to its value.", class_="quiet"),
        ]  # fmt: skip
    return body


def _depths(bands: dict[str, tuple[Band, ...]], titles: dict[str, str], unit: str) -> Markup:
    head = element(
        "tr",
        element("th", "depth, m", scope="col"),
        (element("th", f"{titles[name]}, {unit}", scope="col", class_="number") for name in bands),
    )
    levels = next(iter(bands.values()))
    rows = (
        row(
            f"{level.top:g} to {level.bottom:g}",
            *(
                "not sampled" if each[at].value is None
                else f"{about(each[at].value)} ({interval(each[at].low, each[at].high)})"
                for each in bands.values()
            ),
        )
        for at, level in enumerate(levels)
    )  # fmt: skip
    return held(head, rows, "By depth")
