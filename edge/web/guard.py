"""What every request passes first, and what every answer bears: the outermost layer of the application."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.web.form import MOST_BYTES
from edge.web.hosts import host_passes, origin_passes, own_names
from edge.web.limits import Kind, Limits

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with that, browsers call the origin of our own forms "null", and it could not be checked.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), serial=()",
}
METHODS = ("GET", "HEAD", "POST")
_LIGHT = ("/static/", "/thumb/", "/image/", "/events", "/healthz", "/metrics", "/theme")
_HEAVY = ("/downloads/",)


@dataclass(frozen=True)
class Rules:
    """What the guard knows."""

    names: frozenset[str] = field(default_factory=own_names)  # under which the page may be asked for
    limits: Limits | None = None  # None: nobody is counted


class Guard:
    """The ASGI application `app`, guarded."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return None  # no WebSocket is served here; the server closes it
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            return await refusal(scope, receive, _dressed(send))
        address = _address(scope)
        told_token = (scope["method"] == "POST" and scope["path"] == "/login") or "authorization" in headers

        async def watched(message: Message) -> None:
            wrong = message["type"] == "http.response.start" and message["status"] == HTTPStatus.FORBIDDEN
            if wrong and told_token and self._rules.limits is not None:
                self._rules.limits.take("failure", address)
            await send(message)

        return await self._app(scope, receive, _dressed(watched if told_token else send))

    def _refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        """The answer to a request that is not let in."""
        if len(headers.getlist("host")) != 1 or not host_passes(headers["host"], self._rules.names):
            return _plain(421, "this page is not served under that name; start it with --allow-host NAME to allow it")
        method = scope["method"]
        if method not in METHODS:
            answer = _plain(405, "GET, HEAD and POST only")
            answer.headers["Allow"] = ", ".join(METHODS)
            return answer
        if method == "POST":
            origin, site = headers.get("origin"), headers.get("sec-fetch-site")
            if not origin_passes(origin, site, headers["host"], "cookie" in headers):
                return _plain(403, "this did not come from a page of ours")
            if (
                not headers.get("content-length", "0").isdecimal()
                or int(headers.get("content-length", "0")) > MOST_BYTES
            ):
                return _plain(413, f"at most {MOST_BYTES} bytes")
        return self._too_often(scope, headers)

    def _too_often(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        limits, address = self._rules.limits, _address(scope)
        if limits is None:
            return None
        kind = kind_of(scope["method"], scope["path"])
        wait = limits.wait_seconds(kind, address)
        if kind == "write" or "authorization" in headers:
            wait = max(wait, limits.wait_seconds("failure", address))
        if wait:
            answer = _plain(429, "too often; wait a little")
            answer.headers["Retry-After"] = str(math.ceil(wait))
            return answer
        limits.take(kind, address)
        return None


def kind_of(method: str, path: str) -> Kind:
    """Which bucket a request is taken from."""
    if method == "POST":
        return "write"
    if path.startswith(_LIGHT):
        return "light"
    return "heavy" if path.startswith(_HEAVY) else "page"


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _plain(status: int, words: str) -> PlainTextResponse:
    return PlainTextResponse(words + "\n", status)


def _dressed(send: Send) -> Send:
    """Adds the headers that every answer bears; an answer with a policy of its own keeps that."""

    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=_listed(message))
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
            message = {**message, "headers": headers.raw}
        await send(message)

    return dressed


def _listed(message: Message) -> list[tuple[bytes, bytes]]:
    headers: Any = message.get("headers", ())
    return [(bytes(name), bytes(value)) for name, value in headers]
