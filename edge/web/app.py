"""The application: every page module's routes, behind the guard."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from edge.htmlreport.markup import element
from edge.web import (
    assets,
    compare,
    downloads,
    drift,
    health,
    images,
    look,
    metrics,
    now,
    overtime,
    places,
    session,
    shadow,
    species,
)
from edge.web.guard import HEADERS, Guard, Rules
from edge.web.layout import page
from edge.web.now import open_live
from edge.web.place import Place

# One line a page module; each has routes(place).
PAGES = (
    assets.routes,
    now.routes,
    health.routes,
    session.routes,
    images.routes,
    overtime.routes,
    places.routes,
    compare.routes,
    species.routes,
    downloads.routes,
    look.routes,
    shadow.routes,
    drift.routes,
    metrics.routes,
)  # fmt: skip


def create_app(place: Place, rules: Rules = Rules()) -> Starlette:
    """The page of this place, as an ASGI application behind its guard."""
    routes: list[BaseRoute] = [route for pages in PAGES for route in pages(place)]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, rules)],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    app.state.place = place
    app.state.live = open_live(place)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = page(request, "Not here" if error.status_code == 404 else "Not done",
                  element("p", error.detail), status=error.status_code)  # fmt: skip
    answer.headers.update(error.headers or {})
    return answer


async def _failed(request: Request, _error: Exception) -> Response:
    """A fault of ours; it is logged. This answer does not pass the guard, so that it is given the headers here."""
    answer = page(
        request, "A fault", element("p", "This page has a fault; the log of the server says more."), status=500
    )
    answer.headers.update(HEADERS)
    return answer
