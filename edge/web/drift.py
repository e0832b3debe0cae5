"""/drift: whether the sea still looks like the images that the classifier was validated on, for the newest days."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.bins import utc_text
from edge.drift.drifts import Drifts, Stretched, Unknown, read_drifts
from edge.drift.judge import Shift
from edge.drift.read import DAY_NS
from edge.drift.words import NAMES, STATES, cause, differs, sentence
from edge.htmlreport.markup import Child, Markup, element
from edge.htmlreport.parts import note, row, section, table
from edge.htmlreport.spell import about, whole
from edge.web.layout import page
from edge.web.place import Place
from edge.web.refusal import or_refused, paragraph
from edge.web.turns import Kept, Turns

TITLE = "Drift"
DAYS = 7
FRESH_SECONDS = 60.0
_MARKS = {"too few": "quiet", "as validated": "good", "other species": "good", "other looks": "bad"}


def routes(place: Place) -> list[Route]:
    kept = Kept(Turns("drift"), fresh=FRESH_SECONDS)  # at most once a minute, whoever asks

    async def newest(request: Request) -> Response:
        drifts = await kept.get("newest", lambda: read_newest(place))
        return page(request, TITLE, *drift_body(drifts), styles=("drift.css",))

    return [Route("/drift", or_refused(newest, place, TITLE))]


def read_newest(place: Place) -> Drifts:
    """Of the DAYS days that end with the last one in which anything was counted. Raises BadConfig, BadBundle."""
    with place.reader() as connection:
        (last,) = connection.execute("SELECT MAX(hour_ns) FROM hourly WHERE images > 0").fetchone()
        since = None if last is None else (last // DAY_NS - DAYS + 1) * DAY_NS
        return read_drifts(connection, DAY_NS, since, bundle=place.bundle, alone=False)


def drift_body(drifts: Drifts) -> list[Child]:
    """The page's content: the newest day in words and numbers, and the days before it."""
    told: list[Child] = [note(_why(each)) for each in drifts.unknown]
    if not drifts.rows:
        return told or [paragraph("Nothing has been counted yet.")]
    newest = max(drifts.rows, key=lambda each: each.start_ns)
    return [*told, _newest(newest), _numbers(newest), _days(drifts), _explained()]


def _why(unknown: Unknown) -> str:
    """Without where the files of this host lie."""
    if unknown.folder is None:
        return f"The bundle {unknown.bundle} is not at hand, so nothing can be said of what it counted."
    return (
        f"The folder of {unknown.bundle} holds no reference.json, so there is nothing to hold the sea against. "
        "Where its training images are, planktow-quantize reference makes it."
    )


def _newest(newest: Stretched) -> Markup:
    drift = newest.drift
    warned = drift.state == "other looks"
    return section(
        "newest",
        f"{_day(newest)} UTC",
        element("p", STATES[drift.state], class_=_MARKS[drift.state]),
        element("p", sentence(drift)),
        element("ul", (element("li", f"{_seen(each)}: {cause(each)}") for each in drift.beyond)) if warned else None,
        paragraph(
            "What to do: look at the newest images and at the window and the lamp; label some by hand; until the cause is known, "
            "do not trust the counts of these days more than their looks allow."
        )
        if warned
        else None,
    )


def _numbers(newest: Stretched) -> Child:
    drift = newest.drift
    if not drift.shifts:
        return None
    rows = (
        row(
            NAMES[each.name],
            element("span", f"{each.distance:.2f}", class_="bad" if each.beyond else None),
            f"< {about(each.at)}",
            f"{each.below:.0%}",
            f"{each.expected_below:.0%}",
        )
        for each in drift.shifts
    )
    caption = (
        f"{whole(drift.compared)} of {whole(drift.images)} images, compared with validation images of the same verdicts. "
        f"Distance: the share of the images that lie where they should not; beyond {drift.limit:.2f} it is a warning. Beside "
        "it, the value at which the two differ most, and how many images lie below it."
    )
    heads = ("Seen", "Distance", "Value", "Images", "Expected")
    held = table(caption, heads, element("tbody", rows), name="what is seen on the newest day")
    return element("div", held, class_="panel")


def _days(drifts: Drifts) -> Markup:
    several = len({each.bundle for each in drifts.rows}) > 1
    rows = (
        element(
            "tr",
            element("th", _day(each), scope="row", class_="day"),
            element("td", each.bundle.digest[:12]) if several else None,
            element("td", whole(each.drift.images), class_="number"),
            element("td", STATES[each.drift.state], class_=_MARKS[each.drift.state]),
            element("td", differs(each.drift, 2) if each.drift.state == "other looks" else ""),
            element("td", f"{each.drift.species:.2f}", class_="number"),
        )
        for each in sorted(drifts.rows, key=lambda each: -each.start_ns)
    )
    heads: list[Child] = ["Day", *(["Bundle"] if several else []), "Images", "Looks", "What differs", "Species"]
    held = table(None, heads, element("tbody", rows), numbers_from=len(heads), name="the newest days")
    return section("days", "The newest days", held)


def _explained() -> Markup:
    return paragraph(
        "Each day is compared with validation images of its own verdicts: other species alone are no warning, and Species says "
        "how far the composition lies from validation's (0 to 1). Computed at most once a minute. "
        "planktow-edge drift tells the same of any stretch of time and of tows."
    )


def _seen(shift: Shift) -> str:
    return f"{NAMES[shift.name]} {'lower' if shift.lower else 'higher'} ({shift.distance:.2f})"


def _day(each: Stretched) -> str:
    return utc_text(each.start_ns)[:10]
