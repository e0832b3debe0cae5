"""Who may do what: the token for writing, where requests may come from, and the headers that every answer bears."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from edge.web.place import Place

SESSION_COOKIE = "planktow_session"
SESSION_SECONDS = 12 * 3600  # a watch and a half
SECOND_NS = 1_000_000_000

Handler = Callable[[Request], Awaitable[Response]]


def place_of(request: Request) -> Place:
    """The place that this application serves."""
    place = request.app.state.place
    assert isinstance(place, Place)
    return place


def writing_possible(request: Request) -> bool:
    """Whether anybody may write: the server has a token."""
    return place_of(request).token is not None


def may_write(request: Request) -> bool:
    """Whether this request bears the token, or the cookie that was given for it."""
    place = place_of(request)
    if place.token is None:
        return False
    kind, _, told = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token_matches(told.strip(), place.token):
        return True
    return session_holds(request.cookies.get(SESSION_COOKIE, ""), place.token, place.now_ns())


def writers_only(handler: Handler) -> Handler:
    """For a handler that writes: 403 for whoever may not."""

    @wraps(handler)
    async def guarded(request: Request) -> Response:
        if not may_write(request):
            raise HTTPException(403, "sign in first, with the token that the server printed or keeps in its token file")
        return await handler(request)

    return guarded


def token_matches(told: str, token: str) -> bool:
    """Takes the same time whatever was told."""
    return hmac.compare_digest(told.encode(errors="surrogateescape"), token.encode())


def session_value(token: str, until_ns: int) -> str:
    """The cookie of a browser that has told the token: it says until when, and does not hold the token."""
    return f"{until_ns}.{_mark(token, until_ns)}"


def session_holds(cookie: str, token: str, now_ns: int) -> bool:
    """Whether the cookie was made with this token and is not over."""
    until, _, mark = cookie.partition(".")
    if not (until.isascii() and until.isdecimal() and len(until) < 20):
        return False
    right = hmac.compare_digest(mark.encode(errors="surrogateescape"), _mark(token, int(until)).encode())
    return right and now_ns < int(until)


def _mark(token: str, until_ns: int) -> str:
    return hmac.new(token.encode(), f"planktow session {until_ns}".encode(), "sha256").hexdigest()
