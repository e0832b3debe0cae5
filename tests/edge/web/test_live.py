"""What listeners are sent: one look for all, only what changed, all of it to whoever comes or was slow, and nothing kept."""

import asyncio
import json
from collections.abc import Mapping

import pytest

from edge.htmlreport.markup import Markup
from edge.web.live import Live
from edge.web.moment import Moment
from edge.web.place import Place

from .aboard import SECOND


class Script:
    """Writes sections that a test sets."""

    def __init__(self) -> None:
        self.sections: dict[str, str] = {"a": "1", "b": "1"}
        self.looks = 0

    def __call__(self, _moment: Moment) -> Mapping[str, Markup]:
        self.looks += 1
        return {name: Markup(text) for name, text in self.sections.items()}


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def live(place: Place, script: Script, monkeypatch: pytest.MonkeyPatch) -> Live:
    monkeypatch.setattr("edge.web.live.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("edge.web.live.LOOK_SECONDS_MORE", 0.0)
    return Live(place, script)


def sent(data: bytes) -> dict[str, str]:
    return json.loads(data.decode().partition("data: ")[2])["parts"]


async def next_look(script: Script) -> None:
    """Until a look that began after now has been told."""
    at = script.looks
    while script.looks < at + 2:
        await asyncio.sleep(0.005)


def test_a_listener_is_sent_all_and_then_what_changed(live: Live, script: Script) -> None:
    async def listen() -> None:
        listener = live.listen()
        await listener.news.wait()
        assert sent(live.news_for(listener)) == {"a": "1", "b": "1"}
        assert live.news_for(listener) == b""
        script.sections["b"] = "2"
        await next_look(script)
        assert sent(live.news_for(listener)) == {"b": "2"}
        live.leave(listener)

    asyncio.run(listen())


def test_all_listeners_share_the_same_bytes_and_the_same_looks(live: Live, script: Script) -> None:
    async def listen() -> None:
        listeners = [live.listen() for _ in range(50)]
        await listeners[0].news.wait()
        assert len({id(live.news_for(listener)) for listener in listeners}) == 1
        at = script.looks
        await next_look(script)
        assert script.looks <= at + 3, "not one look for each"
        for listener in listeners:
            live.leave(listener)

    asyncio.run(listen())


def test_who_missed_something_is_sent_all(live: Live, script: Script) -> None:
    async def listen() -> None:
        slow = live.listen()
        await slow.news.wait()
        live.news_for(slow)
        for number in "23":
            script.sections["b"] = number
            await next_look(script)
        assert sent(live.news_for(slow)) == {"a": "1", "b": "3"}
        live.leave(slow)

    asyncio.run(listen())


def test_while_nobody_listens_nobody_looks(live: Live, script: Script) -> None:
    async def listen() -> None:
        listener = live.listen()
        await listener.news.wait()
        live.leave(listener)
        await asyncio.sleep(0.2)  # the look in hand ends
        at = script.looks
        await asyncio.sleep(0.2)
        assert script.looks == at
        again = live.listen()
        assert live.news_for(again) == b"", "what was last told is old"
        await again.news.wait()
        assert sent(live.news_for(again)) == {"a": "1", "b": "1"}
        live.leave(again)

    asyncio.run(listen())


def test_beyond_a_number_of_listeners_nobody_is_let_in(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.web.live.LISTENERS_MOST", 2)

    async def listen() -> None:
        first = live.listen()
        assert live.listen() is not None
        assert live.listen() is None
        live.leave(first)
        assert live.listen() is not None
        live.close()
        assert live.listen() is None

    asyncio.run(listen())


def test_with_many_listeners_pictures_come_seldom_and_numbers_all_the_same(live: Live, script: Script) -> None:
    async def listen() -> None:
        script.sections = {"latest": '<img src="/thumb/1">', "tiles": "1"}
        listeners = [live.listen() for _ in range(1000)]
        await listeners[0].news.wait()
        live.news_for(listeners[0])
        script.sections = {"latest": '<img src="/thumb/2">', "tiles": "2"}
        await next_look(script)
        assert sent(live.news_for(listeners[0])) == {"tiles": "2"}
        for listener in listeners[1:]:
            live.leave(listener)
        await next_look(script)
        assert sent(live.news_for(listeners[0])) == {"latest": '<img src="/thumb/2">'}
        live.leave(listeners[0])

    asyncio.run(listen())


def test_many_pages_at_once_are_one_look(place: Place, script: Script) -> None:
    looks = []
    counting = Place(place.ledger, now_ns=lambda: looks.append(1) or 10 * SECOND)

    async def ask() -> None:
        live = Live(counting, script)
        moments = await asyncio.gather(*(live.moment() for _ in range(100)))
        assert len({id(moment) for moment in moments}) == 1

    asyncio.run(ask())
    assert len(looks) == 1
