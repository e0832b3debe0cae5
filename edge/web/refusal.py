"""What a page says when it cannot show what was asked, and what a reader must know before using what it shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bundle.errors import BadBundle, BadConfig
from edge.htmlreport.markup import Child, Markup, element
from edge.htmlreport.parts import note
from edge.htmlreport.spell import whole
from edge.web.layout import page
from edge.web.place import Place
from edge.web.reading import Read, without_folders
from edge.web.turns import Busy

Handler = Callable[[Request], Awaitable[Response]]


def refused(
    request: Request, place: Place, title: str, fault: Exception, back: str | None = None, as_json: bool = False
) -> Response:
    """400, with the reason and what would do."""
    words = _sentence(without_folders(place, fault))
    if as_json:
        return JSONResponse({"fault": words}, 400)
    link = element("p", element("a", "Begin anew", href=back)) if back else None
    return page(request, title, note(words), link, status=400, styles=("charts.css",))


def busy(request: Request, title: str, fault: Busy, words: str | None = None, as_json: bool = False) -> Response:
    """503, and when to ask again."""
    words = words or (
        f"Many readers ask for long computations now, and the counting goes first. Ask again in {fault.seconds} s: "
        "load the page anew."
    )
    answer = (
        JSONResponse({"fault": words}, 503)
        if as_json
        else page(request, title, note(words), status=503, refresh_seconds=fault.seconds)
    )
    answer.headers["Retry-After"] = str(fault.seconds)
    return answer


def or_refused(handler: Handler, place: Place, title: str, back: str | None = None, as_json: bool = False) -> Handler:
    """The handler; where what was asked cannot be shown, or not now, that is its answer."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except (BadConfig, BadBundle) as fault:
            return refused(request, place, title, fault, back, as_json)
        except Busy as fault:
            return busy(request, title, fault, as_json=as_json)

    return answered


def notes(found: Read, missing: Sequence[str] = ()) -> list[Child]:
    """Why something is not there."""
    reported = found.reported
    told: list[str] = []
    if found.plan.shortened:
        told.append(
            f"Of the newest {whole(found.plan.images)} images: more are not looked at one by one at once. Choose another stretch "
            "to see the rest."
        )
    if reported.note:
        told.append(reported.note)
    if found.survey_fault:
        told.append(found.survey_fault)
    told += [_sentence(each) for each in reported.survey_notes]
    if missing:
        told.append(f"Not found in this stretch: {', '.join(sorted(missing))}.")
    return [note(words) for words in told]


def paragraph(words: str) -> Markup:
    """Quiet text."""
    return element("p", words, class_="quiet")


def _sentence(words: str) -> str:
    if ":" not in words.split(" ")[0]:  # else it begins with the name of a file
        words = words[:1].upper() + words[1:]
    return words if words.endswith((".", "!", "?")) else words + "."
