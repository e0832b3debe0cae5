"""What a browser is remembered by: its colours, and that it may write. Both are cookies; no token stands in an address."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from edge.htmlreport.markup import Child, element
from edge.web.form import read_form
from edge.web.layout import THEME_COOKIE, THEMES, page
from edge.web.place import Place
from edge.web.security import (
    SECOND_NS,
    SESSION_COOKIE,
    SESSION_SECONDS,
    may_write,
    place_of,
    session_value,
    token_matches,
    writing_possible,
)

_YEAR_SECONDS = 31_536_000
_OWN = re.compile(r"/(?![/\\])[A-Za-z0-9_./~%-]{0,200}")  # a path of this page, and no other host's


def routes(_place: Place) -> list[Route]:
    return [
        Route("/theme", _theme),
        Route("/login", _login_page),
        Route("/login", _login, methods=["POST"]),
        Route("/logout", _logout, methods=["POST"]),
    ]


def back_to(path: str) -> str:
    """The path if it is one of this page's, else the first page: nobody is sent elsewhere from here."""
    return path if _OWN.fullmatch(path) else "/"


async def _theme(request: Request) -> Response:
    answer = RedirectResponse(back_to(request.query_params.get("back", "/")), status_code=303)
    chosen = request.query_params.get("to", "")
    if chosen in dict(THEMES):
        answer.set_cookie(THEME_COOKIE, chosen, max_age=_YEAR_SECONDS, samesite="strict")
    return answer


async def _login_page(request: Request) -> Response:
    return _shown(request, request.query_params.get("back", "/"))


async def _login(request: Request) -> Response:
    place = place_of(request)
    fields = await read_form(request)
    if place.token is None or not token_matches(fields.get("token", "").strip(), place.token):
        return _shown(request, fields.get("back", "/"), "That is not the token.", status=403)
    until_ns = place.now_ns() + SESSION_SECONDS * SECOND_NS
    answer = RedirectResponse(back_to(fields.get("back", "/")), status_code=303)
    answer.set_cookie(
        SESSION_COOKIE,
        session_value(place.token, until_ns),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


async def _logout(_request: Request) -> Response:
    answer = RedirectResponse("/", status_code=303)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return answer


def _shown(request: Request, back: str, fault: str | None = None, status: int = 200) -> Response:
    content = element("div", _content(request, fault, back_to(back)), class_="panel")
    return page(request, "Sign in to write", content, status=status)


def _content(request: Request, fault: str | None, back: str) -> Child:
    if not writing_possible(request):
        return element("p", "This page was started without a token: nobody can write from here.")
    if may_write(request):
        return (
            element("p", "This browser may write until twelve hours after it signed in."),
            element("form", element("button", "Sign out", type="submit"), method="post", action="/logout"),
        )
    return (
        element("p", fault, class_="bad", role="alert") if fault else None,
        element("p", "Whoever looks needs no token. Writing, such as correcting a label, needs the one that the server "
                "printed when it first started, or keeps in its token file."),
        element(
            "form",
            element("p", element("label", "Token", for_="token"), " ",
                    element("input", type="hidden", name="back", value=back),
                    element("input", type="password", id="token", name="token", autocomplete="current-password",
                            required=True, maxlength="200")),
            element("p", element("button", "Sign in", type="submit", class_="primary")),
            method="post",
            action="/login",
        ),
    )  # fmt: skip
