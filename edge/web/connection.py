"""Connections that are given only so much time: what uvicorn leaves to a proxy, and there is none aboard.

Without this, whoever opens connections and says nothing, or a letter a minute (slowloris), or asks and never reads the
answer, holds them for ever.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 10.0  # from the first letter of a request, or the opening of the connection, to the request's end
STUCK_SECONDS = 30.0  # a reader takes some 50 kB in so long, or is dropped
PER_ADDRESS_MOST = 200  # connections

_open = Counter[str]()  # by address


class Connection(H11Protocol):
    """uvicorn's own, with a timer for what the other side sends, one for what it takes, and a limit for each address."""

    request_seconds = REQUEST_SECONDS
    stuck_seconds = STUCK_SECONDS
    per_address_most = PER_ADDRESS_MOST

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._late: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._counted: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._counted = self.client[0] if self.client else ""
        _open[self._counted] += 1
        if _open[self._counted] > self.per_address_most:
            transport.abort()
            return
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        if self._counted is not None:
            _open[self._counted] -= 1
            if _open[self._counted] <= 0:
                del _open[self._counted]
            self._counted = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._take_the_time()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._take_the_time()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(self.stuck_seconds, self._drop)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _whole(self) -> bool:
        """Whether the other side owes us nothing: its request is here to its end, or it has not begun another."""
        return self.conn.their_state is not h11.SEND_BODY and not (
            self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]
        )

    def _take_the_time(self) -> None:
        if not self._whole():
            if self._late is None:
                self._expect_request()
        elif self._late is not None:
            self._late.cancel()
            self._late = None

    def _expect_request(self) -> None:
        self._late = self.loop.call_later(self.request_seconds, self._drop)

    def _drop(self) -> None:
        """At once, and with what the system has left to send: it would go on trying for long."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _cancel(self) -> None:
        for timer in (self._late, self._stuck):
            if timer is not None:
                timer.cancel()
        self._late = self._stuck = None
