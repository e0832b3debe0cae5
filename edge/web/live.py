"""One look a second for all readers, or in two for very many: what changed is written once, and all are sent the same bytes.

Nothing is kept for a listener. One that is slow finds the newest state when it is ready for it, whole, and what it missed
is not made up for. While nobody listens, nobody looks.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from edge.htmlreport.markup import Markup
from edge.web.moment import Lookout, Moment
from edge.web.place import Place

LOOK_SECONDS = 1.0
LOOK_SECONDS_MORE = 0.001  # for each listener: a thousand are told every two seconds, for half the processor time
FRESH_SECONDS = 1.5  # a page shows a look that is no older
HEARTBEAT_LOOKS = 15  # so often at least a listener is sent something, or it would not know that the line is dead
LISTENERS_MOST = 1500
PICTURES_PER_SECOND = 200  # over all listeners: with many, the latest images come seldom and the numbers all the same
PICTURES = "latest"  # the section whose content makes every browser ask for pictures

Write = Callable[[Moment], Mapping[str, Markup]]


class Live:
    """The looks at one place, and those who listen. Use it in the event loop."""

    def __init__(self, place: Place, write: Write, seconds: Callable[[], float] = time.monotonic) -> None:
        """write: the sections of the page, by their id. seconds: a steady clock."""
        self._lookout, self._write, self._seconds = Lookout(place), write, seconds
        self._lock = asyncio.Lock()  # one look at a time
        self._limiter: CapacityLimiter | None = None
        self._moment: Moment | None = None
        self._written: tuple[Moment, Mapping[str, Markup]] | None = None
        self._looked_at = float("-inf")
        self._sections: dict[str, Markup] = {}
        self._pictures_at = float("-inf")
        self._spread = 0  # seconds over which the browsers show new pictures, each at a moment of its own
        self._number = 0  # of the last event
        self._event = b""  # the change that it tells
        self._full = b""  # the whole state at it
        self._looks = 0
        self._listeners = set[Listener]()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def moment(self) -> Moment:
        """The state of now, looked at by whoever comes first."""
        if self._moment is None or self._seconds() - self._looked_at > FRESH_SECONDS:
            await self._look()
        assert self._moment is not None
        return self._moment

    def parts(self, moment: Moment) -> Mapping[str, Markup]:
        """The sections as they are at this moment; written once for all who ask."""
        if self._written is None or self._written[0] is not moment:
            self._written = moment, self._write(moment)
        return self._written[1]

    def listen(self) -> Listener | None:
        """A new listener, to be left by `leave`; None where there are too many, or all ends."""
        if self._closed or len(self._listeners) >= LISTENERS_MOST:
            return None
        listener = Listener()
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._sections = {}  # what was last told may be of yesterday
            self._task = asyncio.get_running_loop().create_task(self._look_on())
        return listener

    def leave(self, listener: Listener) -> None:
        """This one listens no more."""
        self._listeners.discard(listener)

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @property
    def closed(self) -> bool:
        """Whether the server is about to stop."""
        return self._closed

    def close(self) -> None:
        """Ends all streams: an open one must not hold up the stop of the server."""
        self._closed = True
        for listener in self._listeners:
            listener.news.set()

    def news_for(self, listener: Listener) -> bytes:
        """What to send this listener now; nothing where it has it all, or where nobody has looked yet."""
        if not self._sections:
            return b""
        missed, listener.number = self._number - listener.number, self._number
        return b"" if not missed else self._event if missed == 1 else self._whole()

    async def _look_on(self) -> None:
        while self._listeners and not self._closed:
            began = self._seconds()
            await self._look(began)
            self._tell()
            await asyncio.sleep(max(0.01, self._pause() - (self._seconds() - began)))

    def _pause(self) -> float:
        return LOOK_SECONDS + LOOK_SECONDS_MORE * len(self._listeners)

    async def _look(self, now: float | None = None) -> None:
        began = self._seconds() if now is None else now
        async with self._lock:
            if self._looked_at >= began:  # somebody did while we waited
                return
            if self._limiter is None:
                self._limiter = CapacityLimiter(1)  # a thread of its own: other pages may have all of the common ones
            moment = await to_thread.run_sync(self._lookout.look, limiter=self._limiter)
            self._moment, self._looked_at = moment, self._seconds()

    def _tell(self) -> None:
        assert self._moment is not None
        sections = dict(self.parts(self._moment))
        changed = {name: text for name, text in sections.items() if self._sections.get(name) != text}
        pause = self._pictures_pause(sections[PICTURES]) if PICTURES in changed else 0.0
        if PICTURES in changed and self._seconds() - self._pictures_at < pause:
            sections[PICTURES] = self._sections[PICTURES]
            del changed[PICTURES]
        if PICTURES in changed:
            self._pictures_at, self._spread = self._seconds(), round(pause)
        self._sections = sections
        self._looks += 1
        if changed:
            self._number += 1
            self._event, self._full = _event(self._number, changed, self._spread), b""
        if changed or self._looks % HEARTBEAT_LOOKS == 0:
            for listener in self._listeners:
                listener.news.set()

    def _pictures_pause(self, section: Markup) -> float:
        """Seconds between two changes of the latest images, so that all browsers together ask for no more than we can give."""
        before = self._sections.get(PICTURES)
        if before is None:
            return 0.0
        new = sum(1 for each in _addresses(section) if each not in before)
        return len(self._listeners) * new / PICTURES_PER_SECOND

    def _whole(self) -> bytes:
        if not self._full:
            self._full = _event(self._number, self._sections, self._spread)
        return self._full


class Listener:
    """One open stream."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.number = -1  # of the last event that it was sent; before the first it is sent all
        self.gone = False


def live_of(request: Request) -> Live:
    """The one of this application."""
    live = request.app.state.live
    assert isinstance(live, Live)
    return live


class EventStream(Response):
    """Server-sent events, until the browser goes, or the server."""

    def __init__(self, live: Live) -> None:
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        listener = None if scope["method"] == "HEAD" else self._live.listen()
        if listener is None:
            answer = PlainTextResponse("too many readers\n", 503, headers={"Retry-After": "10"})
            await answer(scope, receive, send)
            return
        waiting = asyncio.ensure_future(_until_gone(receive, listener))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send(_body(b"retry: 2000\n\n"))
            while not (listener.gone or self._live.closed):
                await send(_body(self._live.news_for(listener) or b": still here\n\n"))
                await listener.news.wait()
                listener.news.clear()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._live.leave(listener)
            waiting.cancel()


_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # for a proxy in between
]


async def _until_gone(receive: Receive, listener: Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.gone = True
    listener.news.set()


def _body(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}


def _event(number: int, parts: Mapping[str, str], spread_seconds: int) -> bytes:
    told = {"spread": spread_seconds, "parts": parts}
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))  # no line breaks are left in it
    return f"id: {number}\nevent: now\ndata: {text}\n\n".encode()


def _addresses(section: str) -> list[str]:
    return [part.partition('"')[0] + '"' for part in section.split('src="')[1:]]
