"""Downloads: every report and export, made when it is asked for, one at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bundle.errors import BadBundle, BadConfig
from edge.htmlreport.markup import Child, Markup, element, joined
from edge.htmlreport.parts import note
from edge.web.asked import WIDTHS
from edge.web.controls import width_words
from edge.web.layout import page
from edge.web.making import file_name, make
from edge.web.offers import EXPORTS, LABELS, OFFERS, REPORTS, TOW, Offer, Options, read_options
from edge.web.place import Place
from edge.web.reading import survey_of, working
from edge.web.refusal import busy, refused
from edge.web.turns import Busy, Turns

WAITING = 2  # behind the file that is made
OPEN_MOST = 4  # files on their way: a slow reader holds the disk of a finished one
_CHUNK_BYTES = 1 << 18


class Shelf:
    """The files that are made and on their way, for all readers of one application."""

    def __init__(self) -> None:
        self.turns = Turns("downloads", WAITING)
        self._lock = threading.Lock()
        self._open = 0

    def take(self) -> None:
        """Raises Busy where too many files are on their way."""
        with self._lock:
            if self._open >= OPEN_MOST:
                raise Busy(30)
            self._open += 1

    def give_back(self) -> None:
        with self._lock:
            self._open -= 1


def routes(place: Place) -> list[Route]:
    shelf = Shelf()

    async def shown(request: Request) -> Response:
        try:
            options = read_options(request.query_params.multi_items())
            classifiers = await run_in_threadpool(_classifiers, place)
        except (BadConfig, BadBundle) as fault:
            return refused(request, place, "Downloads", fault, "/downloads")
        return downloads_page(request, place, options, classifiers)

    async def sent(request: Request) -> Response:
        offer = OFFERS.get(request.path_params["name"])
        if offer is None or offer.missing:
            raise HTTPException(404, "There is no such file to download.")
        try:
            options = read_options(request.query_params.multi_items())
            if request.method == "HEAD":
                return Response(media_type=offer.media)
            return await _made(place, offer, options, shelf)
        except (BadConfig, BadBundle) as fault:
            return refused(request, place, offer.title, fault, "/downloads")
        except Busy as fault:
            words = f"Other files are being made or sent, one at a time. Ask again in {fault.seconds} s: load this page anew."
            return busy(request, offer.title, fault, words)

    return [Route("/downloads", shown), Route("/downloads/{name}", sent)]


async def _made(place: Place, offer: Offer, options: Options, shelf: Shelf) -> Response:
    shelf.take()
    try:
        coming = shelf.turns.begin(lambda: make(place, offer, options))
        try:
            file = await asyncio.wrap_future(coming)
        except asyncio.CancelledError:  # the reader is gone, and what is made for him with him
            coming.add_done_callback(
                lambda made: None if made.cancelled() or made.exception() else made.result().close()
            )
            raise
    except BaseException:
        shelf.give_back()
        raise
    name = file_name(place, offer, options, place.now_ns())
    size = file.seek(0, 2)
    file.seek(0)
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return _Sent(file, shelf.give_back, offer.media, headers)


class _Sent(StreamingResponse):
    """The file, closed behind the last byte, or when the reader goes away."""

    def __init__(self, file: BinaryIO, closed: Callable[[], None], media: str, headers: dict[str, str]) -> None:
        super().__init__(_chunks(file), media_type=media, headers=headers)
        self._file, self._closed = file, closed

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()
            self._closed()


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while data := await run_in_threadpool(file.read, _CHUNK_BYTES):
        yield data


def _classifiers(place: Place) -> tuple[tuple[str, str], ...]:
    with place.reader() as connection:
        return tuple((each.digest[:12], str(each)) for each in working(connection))


def downloads_page(
    request: Request, place: Place, options: Options, classifiers: tuple[tuple[str, str], ...]
) -> Response:
    """One form: what is chosen above is sent with the button of the file that is wanted."""
    survey, fault = survey_of(place)
    tows = survey is not None and survey.tows is not None
    body: list[Child] = [
        element(
            "p",
            "Each file is made anew from the ledger as it is now, one at a time, behind the counting: a long one takes a "
            "minute or two before it comes. Choose a shorter stretch of time where the ledger is large.",
            class_="quiet",
        ),
        note(fault) if fault else None,
        element(
            "form",
            _options(options, tows, place, classifiers),
            element("h2", "Reports"),
            element("ul", (_offer(place, each) for each in REPORTS), class_="offers"),
            element("h2", "For archives and programs"),
            element("ul", (_offer(place, each) for each in EXPORTS), class_="offers"),
            element("h2", "Labels that people gave"),
            element("ul", (_offer(place, each) for each in LABELS), class_="offers"),
            method="get",
            action="/downloads",
        ),
    ]
    return page(request, "Downloads", *body, styles=("charts.css",))


def _options(options: Options, tows: bool, place: Place, classifiers: tuple[tuple[str, str], ...]) -> Markup:
    widths = [
        ("auto", "what fits"),
        *((text, width_words(text)) for text in WIDTHS),
        *([(TOW, "one tow")] if tows else []),
    ]
    fields = [
        _field("From (UTC)", element("input", type="datetime-local", id="from", name="from")),
        _field("To (UTC)", element("input", type="datetime-local", id="to", name="to")),
        _field("Bins of", element("select", (_option(*each, TOW if options.by_tow else "auto") for each in widths),
                                  id="bin", name="bin")),
    ]  # fmt: skip
    if len(classifiers) > 1:
        every = [("", "all, uncorrected"), *classifiers]
        fields.append(
            _field(
                "Counted by",
                element("select", (_option(*each, "") for each in every), id="classifier", name="classifier"),
            )
        )
    if place.watch is not None:
        fields.append(
            element("p", element("label", element("input", type="checkbox", name="samples", value="1", checked=True),
                                 " Sample images in the report to read"), class_="check")
        )  # fmt: skip
    described = element(
        "details",
        element("summary", "Title, authors and licence, for Darwin Core and iFDO"),
        element(
            "div",
            _field("Title", element("input", id="title", name="title", maxlength=200)),
            _field("Authors, parted by ;", element("input", id="creator", name="creator", maxlength=200)),
            _field("Licence, such as CC-BY-4.0", element("input", id="license", name="license", maxlength=200)),
            class_="row",
        ),
    )
    return element("div", element("div", fields, class_="row"), described, class_="panel asks")


def _field(words: str, control: Markup) -> Markup:
    name = control.partition('id="')[2].partition('"')[0]
    return element("p", element("label", words, for_=name), control)


def _option(value: str, words: str, chosen: str) -> Markup:
    return element("option", words, value=value, selected=value == chosen)


def _offer(place: Place, offer: Offer) -> Markup:
    lacks = _lacks(place, offer)
    action: Child = (
        element("button", "Download ", element("span", offer.title, class_="visually-hidden"), type="submit",
                formaction=f"/downloads/{offer.name}")
        if lacks is None
        else element("p", lacks, class_="warn")
    )  # fmt: skip
    return element(
        "li", joined(element("div", element("h3", offer.title), element("p", offer.words, class_="quiet"))), action
    )


def _lacks(place: Place, offer: Offer) -> Child:
    """Why it cannot be had here."""
    if offer.missing:
        return joined("Not installed on this host: ", element("code", "pip install 'planktow[export]'"))
    if "images" in offer.needs and place.watch is None:
        return "The folder of images is not known to this page: start it with --watch DIR."
    return None
