"""/: what is being counted right now. The server writes it whole; a browser with JavaScript is then sent what changes."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.bins import SECOND_NS
from edge.htmlreport.markup import Markup, element, joined
from edge.htmlreport.spell import plural, share, whole
from edge.web.backlog import Backlog
from edge.web.drawn import bar, pulse
from edge.web.healthlines import MARKS, Line, daemon_line, last_image_ns, lines
from edge.web.layout import page
from edge.web.live import EventStream, Live, live_of
from edge.web.moment import Counted, Moment
from edge.web.place import Place
from edge.web.recent import SLOT_NS, WINDOW_NS, Latest
from edge.web.wording import clock, rate, span

REFRESH_SECONDS = 5  # of a browser without JavaScript
SPECIES_MOST = 12
_MINUTES = WINDOW_NS // (60 * SECOND_NS)


def routes(_place: Place) -> list[Route]:
    return [Route("/", _page), Route("/events", _events)]


async def _page(request: Request) -> Response:
    live = live_of(request)
    moment = await live.moment()
    parts = live.parts(moment)
    status = 200 if moment.counted is not None else 503
    return page(
        request,
        "Now",
        element("p", id="connection", role="status", class_="connection", hidden=True),
        _part("state", parts["state"], "div"),
        _part("tiles", parts["tiles"], "div"),
        element(
            "div",
            element("section", element("h2", f"Counted in the last {_MINUTES} minutes", id="species-title"),
                    _part("species", parts["species"], "div"), class_="panel", aria_labelledby="species-title"),
            element("section", element("h2", "Latest images", id="latest-title"),
                    _part("latest", parts["latest"], "div"), class_="panel", aria_labelledby="latest-title"),
            element("section", element("h2", element("a", "Health", href="/health"), id="health-title"),
                    _part("lines", parts["lines"], "div"), class_="panel", aria_labelledby="health-title"),
            class_="now",
        ),
        scripts=("now.js",),
        styles=("now.css",),
        refresh_seconds=REFRESH_SECONDS,
        status=status,
    )  # fmt: skip


def _part(name: str, held: Markup, tag: str) -> Markup:
    return element(tag, held, id=name, data_live=name)


async def _events(request: Request) -> Response:
    return EventStream(live_of(request))


def sections(moment: Moment) -> Mapping[str, Markup]:
    """The parts of the page that change, by their id."""
    counted = moment.counted
    return {
        "state": _state(moment),
        "tiles": _tiles(moment, counted) if counted else Markup(""),
        "species": _species(counted) if counted else Markup(""),
        "latest": _latest(counted) if counted else Markup(""),
        "lines": health_list(lines(moment)[1:]),  # the first stands above all
    }


def open_live(place: Place) -> Live:
    """What all readers of the first page share."""
    return Live(place, sections)


def _state(moment: Moment) -> Markup:
    line = daemon_line(moment)
    if moment.counted is None:
        line = Line("Ledger", f"The ledger cannot be read: {moment.fault}", "bad")
    heads = {"good": "Counting", "warn": "Counting is not known of", "bad": "Not counting"}
    if line.mark == "bad" and moment.daemon.counting:
        heads["bad"] = "Counting, with a problem"
    told = None if line.mark == "good" else line.what
    return element(
        "p",
        element("span", MARKS[line.mark], class_="mark", aria_hidden="true"),
        element("strong", heads[line.mark]),
        element("span", told) if told else None,
        element("time", clock(moment.now_ns), class_="clock"),
        class_=f"state {line.mark}",
    )


def _tiles(moment: Moment, counted: Counted) -> Markup:
    last = last_image_ns(moment)
    ago = "–" if last is None else span(max(0, moment.now_ns - last) / SECOND_NS)
    most = max(counted.per_slot) / (SLOT_NS / SECOND_NS)
    words = f"Images per second over the last {_MINUTES} minutes, at most {rate(most)}"
    clear, beneath = _clearing(counted.backlog)
    return joined(
        _tile("Images per second", rate(counted.images_per_second), pulse(counted.per_slot, words)),
        _tile("Waiting", whole(counted.backlog.waiting), clear, beneath),
        _tile("Last image", ago, "ago" if last is not None else "none yet"),
        _tile("Counted in all", whole(counted.accounting.counted), _rest(counted)),
    )


def _tile(name: str, number: str, beneath: str | Markup, kind: str | None = None) -> Markup:
    return element(
        "div",
        element("h2", name),
        element("p", number, class_="figure"),
        beneath if isinstance(beneath, Markup) else element("p", beneath, class_=kind or "quiet"),
        class_="tile",
    )


def _clearing(backlog: Backlog) -> tuple[str, str | None]:
    if backlog.trend == "none":
        return "keeping up", None
    if backlog.trend == "growing":
        return "growing: more comes than is counted", "warn"
    if backlog.clear_seconds is None:
        return "none is being counted", "warn"
    words = "cleared in about " if backlog.trend == "shrinking" else "at this rate cleared in "
    return words + span(backlog.clear_seconds), None


def _rest(counted: Counted) -> str:
    accounting = counted.accounting
    told = [
        f"{whole(number)} {word}"
        for number, word in ((accounting.rejected, "rejected"), (accounting.dropped, "left out"))
        if number
    ]
    return "and " + ", ".join(told) if told else "none rejected"


def _species(counted: Counted) -> Markup:
    total = sum(images for _, images in counted.species) + counted.unclassified
    if not total:
        return element("p", "No image.", class_="quiet")
    shown = counted.species[:SPECIES_MOST]
    rest = counted.species[SPECIES_MOST:]
    most = max(*(images for _, images in shown), counted.unclassified, 1) if shown else max(counted.unclassified, 1)
    rows = [_species_row(name, images, images / most, total) for name, images in shown]
    if counted.unclassified:
        rows.append(_species_row("unclassified", counted.unclassified, counted.unclassified / most, total, "pale"))
    told = f"{plural(total, 'image')}, as the classifier says"
    if rest:
        told += (
            f"; {plural(len(rest), 'rarer kind')} with {plural(sum(images for _, images in rest), 'image')} not shown"
        )
    return joined(
        element(
            "table",
            element("caption", "Images by kind", class_="visually-hidden"),
            element("thead", element("tr", (element("th", head, scope="col") for head in ("Kind", "", "Images", "Share"))),
                    class_="visually-hidden"),
            element("tbody", rows),
            class_="bars",
        ),
        element("p", told, class_="quiet"),
    )  # fmt: skip


def _species_row(name: str, images: int, of_most: float, total: int, kind: str = "") -> Markup:
    return element(
        "tr",
        element("th", name, scope="row"),
        element("td", bar(of_most, kind), class_="drawn"),
        element("td", whole(images), class_="number"),
        element("td", share(images, total), class_="number quiet"),
        data_id=name,
    )


def _latest(counted: Counted) -> Markup:
    if not counted.latest:
        return element("p", "No image yet.", class_="quiet")
    return element("ul", (_image(each, name) for each, name in counted.latest), class_="latest")


def _image(image: Latest, name: str) -> Markup:
    votes = f"{image.votes} of {image.asked} votes" if image.asked else plural(image.votes, "vote")
    told = f"{name}, {votes}"
    return element(
        "li",
        element(
            "a",
            element("span", element("img", src=f"/thumb/{image.image_id}", alt=told), class_="photo"),
            element("span", name, class_="name"),
            element("span", votes, class_="quiet"),
            href=f"/image/{image.image_id}",
            class_=None if image.decided else "undecided",
        ),
        data_id=str(image.image_id),
    )


def health_list(found: list[Line]) -> Markup:
    """The lines with their marks."""
    return element(
        "dl",
        (
            element(
                "div",
                element(
                    "dt", element("span", MARKS[line.mark], class_=f"mark {line.mark}", aria_hidden="true"), line.name
                ),
                element("dd", line.what, class_=line.mark if line.mark in ("warn", "bad") else None),
            )
            for line in found
        ),
        class_="lines",
    )
