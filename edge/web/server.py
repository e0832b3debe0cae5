"""The server under the page: its socket, its limits, its priority, and its clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from bundle.errors import BadConfig
from edge.daemon.notify import Notifier
from edge.web.connection import Connection
from edge.web.live import LISTENERS_MOST, Live

CONNECTIONS_MOST = LISTENERS_MOST + 2500  # a browser opens up to six at once, for a moment
HEADER_BYTES = 16 * 1024  # a request's line and headers
NICE = 10  # the counting goes first; at 19 the page would be starved by a flood that fills both cores
STOP_SECONDS = 5
_KEEP_ALIVE_SECONDS = 15
_BACKLOG = 1024
_OTHER_FILES = 200
_STUCK_MILLISECONDS = 30_000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listening:
    """An open socket and the address to type."""

    sock: socket.socket
    address: str


def listen(host: str, port: int) -> Listening:
    """Opens the socket; port 0: any free one. Raises BadConfig where that cannot be."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise BadConfig(f"--host {host}: no such address ({error.strerror}); give one of this host") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Of a connection that is closed with something left to send the system would else keep it for long. Inherited.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STUCK_MILLISECONDS)
        sock.bind(place)
        sock.listen(_BACKLOG)  # who comes before we serve waits a moment
    except OSError as error:
        sock.close()
        raise BadConfig(
            f"{host}, port {port}: cannot be listened on ({error.strerror}); give another with --host and --port"
        ) from None
    shown = f"[{host}]" if ":" in host else host
    return Listening(sock, f"http://{shown}:{sock.getsockname()[1]}/")


def serve(app: Starlette, listening: Listening, notifier: Notifier) -> None:
    """Serves until SIGTERM or SIGINT. READY is told when requests are taken."""
    step_back()
    files = more_files(CONNECTIONS_MOST + _OTHER_FILES)
    for name in ("uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.ERROR)  # what a client does wrong is no news
    server = server_of(app, listening, notifier, connections=min(CONNECTIONS_MOST, files - _OTHER_FILES))
    asyncio.run(server.serve([listening.sock]))


def server_of(
    app: Starlette,
    listening: Listening,
    notifier: Notifier,
    connection: type[Connection] = Connection,
    connections: int = CONNECTIONS_MOST,
) -> uvicorn.Server:
    """The server, with all its limits; `connections` at most are answered at one time."""
    config = uvicorn.Config(
        app,
        http=connection,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,  # no address of a reader is kept
        server_header=False,
        proxy_headers=False,  # nobody is believed to be somebody else
        limit_concurrency=connections,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=_BACKLOG,
    )
    live = app.state.live
    assert isinstance(live, Live)
    return _Server(config, live, notifier, listening.address)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, live: Live, notifier: Notifier, address: str) -> None:
        super().__init__(config)
        self._live, self._notifier, self._address = live, notifier, address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._notifier.send(patience_seconds=30.0, READY="1", STATUS=f"serving {self._address}")
        log.info("serving %s", self._address)

    async def on_tick(self, counter: int) -> bool:
        self._notifier.alive(asyncio.get_running_loop().time())  # a loop that hangs is restarted
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._live.close()  # streams that never end by themselves
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._notifier.send(STOPPING="1")
        await super().shutdown(sockets)
        log.info("stopped")


def step_back() -> None:
    """Lets the counting go first; a unit may have set as much or more already."""
    with contextlib.suppress(OSError):
        os.nice(max(0, NICE - os.nice(0)))


def more_files(wanted: int) -> int:
    """So many files, or as many as the system lets us, may be open from now on. Returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return wanted if soft == resource.RLIM_INFINITY else soft
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return soft
