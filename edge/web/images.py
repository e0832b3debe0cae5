"""/image/17 and /thumb/17: images by their number in the ledger, which alone says what file that is.

One thread reads and decodes, behind the daemon; what it made is kept for the next reader, and a thousand readers who ask
for one picture wait for the same one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.htmlreport.markup import element
from edge.shards.shards import Shards
from edge.web.picture import UNKNOWN, Gone, Picture, content_of, thumb, whole
from edge.web.place import Place
from edge.web.turns import Busy, Turns

WAITING_MOST = 256  # pictures
KEPT_BYTES = 16_000_000  # of pictures in memory
PATIENCE_SECONDS = 15.0  # a network folder may hang
KEEP_SECONDS = 300  # a number stands for one content, unless a repair takes the ledger back to a backup
_NUMBERS = range(1, 2**63)

Make = Callable[[bytes], Picture | Gone]
_Key = tuple[str, int, int]  # kind, number, which ledger: a repair puts another file in its place


def routes(place: Place) -> list[Route]:
    studio = Studio(place)

    def answering(kind: str, make: Make) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return await _answer(studio, kind, make, request.path_params["image_id"])

        return answer

    return [
        Route("/thumb/{image_id:int}", answering("thumb", thumb)),
        Route("/image/{image_id:int}", answering("image", whole)),
    ]


class Studio:
    """Makes pictures, one at a time, and keeps the latest."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._turns = Turns("pictures", WAITING_MOST)
        self._shards = None if place.watch is None else Shards(place.watch)  # used in the one thread only
        self._kept = OrderedDict[_Key, Picture]()
        self._kept_bytes = 0
        self._coming = dict[_Key, Future[Picture | Gone]]()

    async def picture(self, kind: str, image_id: int, make: Make) -> Picture | Gone:
        """Call it in the event loop. Raises Busy and TimeoutError."""
        key = kind, image_id, self._ledger_file()
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        coming = self._coming.get(key)
        if coming is None:
            coming = self._coming[key] = self._turns.begin(lambda: self._make(image_id, make))
        try:
            # Shielded: a reader who goes away must not take the picture from the others.
            made = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(coming)), PATIENCE_SECONDS)
        finally:
            if coming.done():
                self._coming.pop(key, None)
        if isinstance(made, Picture) and key not in self._kept:
            self._keep(key, made)
        return made

    def _ledger_file(self) -> int:
        try:
            return self._place.ledger.stat().st_ino
        except OSError:
            return 0

    def _make(self, image_id: int, make: Make) -> Picture | Gone:
        with self._place.reader() as connection:
            data = content_of(connection, image_id, self._place.watch, self._shards)
        if self._shards is not None:
            self._shards.close_idle()  # or a disk could not be unmounted
        return data if isinstance(data, Gone) else make(data)

    def _keep(self, key: _Key, made: Picture) -> None:
        if len(made.data) > KEPT_BYTES // 16:
            return
        self._kept[key] = made
        self._kept_bytes += len(made.data)
        while self._kept_bytes > KEPT_BYTES:
            _, old = self._kept.popitem(last=False)
            self._kept_bytes -= len(old.data)


async def _answer(studio: Studio, kind: str, make: Make, image_id: int) -> Response:
    if image_id not in _NUMBERS:
        return _stand_in(UNKNOWN, 404)
    try:
        made = await studio.picture(kind, image_id, make)
    except (Busy, TimeoutError):
        answer = _stand_in(Gone("busy, try again"), 503)
        answer.headers["Retry-After"] = "2"
        return answer
    if isinstance(made, Gone):
        return _stand_in(made, 404)
    return Response(made.data, media_type=made.kind, headers={"Cache-Control": f"private, max-age={KEEP_SECONDS}"})


def _stand_in(gone: Gone, status: int) -> Response:
    """A picture that says why there is none; browsers show it in the image's place, whatever the status."""
    drawn = element(
        "svg",
        element("rect", width="100%", height="100%", fill="none", stroke="#808080", stroke_dasharray="4 4"),
        element("text", gone.why, x="50%", y="50%", text_anchor="middle", dominant_baseline="middle", fill="#808080",
                font_family="sans-serif", font_size="11"),
        xmlns="http://www.w3.org/2000/svg",
        width=160,
        height=80,
    )  # fmt: skip
    return Response(drawn, status, media_type="image/svg+xml", headers={"Cache-Control": "no-store"})
