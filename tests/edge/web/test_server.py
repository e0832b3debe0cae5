"""The server as a process, and its connections: slow clients, clients that never read, and a stop with streams open."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from typer.testing import CliRunner

from edge.cli import app as cli
from edge.daemon.notify import Notifier
from edge.web import connection as connections
from edge.web.app import create_app
from edge.web.connection import Connection
from edge.web.place import Place
from edge.web.server import listen, server_of

from ..conftest import until
from ..images import TINY_BUNDLE, image_bytes
from .aboard import count, write

HASTE = 0.6  # seconds that a client of these tests is given


class Hasty(Connection):
    request_seconds = HASTE
    stuck_seconds = HASTE
    per_address_most = 20


async def _endless(_request: Request) -> Response:
    return Response(b"x" * 50_000_000)


@pytest.fixture
def port(place: Place) -> Iterator[int]:
    """The port of a server, in a thread of this process, that has little patience."""
    app = create_app(place)
    app.router.routes.append(Route("/large", _endless))
    listening = listen("127.0.0.1", 0)
    server = server_of(app, listening, Notifier(None), Hasty)
    number = listening.sock.getsockname()[1]
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening.sock])))
    thread.start()
    until(lambda: server.started, "started")
    yield number
    server.handle_exit(signal.SIGTERM, None)
    thread.join(30)
    assert not thread.is_alive()


@contextmanager
def opened(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        yield client


def ask(path: str = "/healthz", more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode()


def closed(client: socket.socket) -> bool:
    """Whether the other side has closed; waits for it."""
    try:
        while client.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def test_who_says_nothing_is_cut_off(port: int) -> None:
    with opened(port) as client:
        assert closed(client)


def test_who_sends_a_header_letter_by_letter_is_cut_off(port: int) -> None:
    """Slowloris: each letter comes in time, the request never does."""
    with opened(port) as client:
        begun = time.monotonic()
        client.settimeout(0.05)
        for letter in ask("/" + "a" * 5000).decode():
            try:
                client.send(letter.encode())
                if client.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("it was never cut off")
        assert time.monotonic() - begun >= HASTE / 2, "not at once"


def test_who_sends_a_body_slowly_is_cut_off(port: int) -> None:
    head = (
        "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: 1000\r\n\r\n"
    )
    with opened(port) as client:
        client.send(head.encode() + b"token=")
        assert closed(client)


def test_who_never_reads_is_cut_off(port: int) -> None:
    with opened(port) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(ask("/large"))
        until(lambda: _state_of(client) != _ESTABLISHED, "reset by the server")


_ESTABLISHED = 1


def _state_of(client: socket.socket) -> int:
    """The TCP state of our end, as the kernel has it: the first byte of tcp_info."""
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def test_who_asks_in_time_is_answered_and_may_ask_again(port: int) -> None:
    with opened(port) as client:
        for _ in range(3):
            assert _answer(client).startswith(b"HTTP/1.1 503"), "no daemon runs here"
            time.sleep(HASTE / 3)
        time.sleep(1.2 * HASTE)  # between two requests a connection may rest longer than a request may take
        assert _answer(client).startswith(b"HTTP/1.1 503")


def _answer(client: socket.socket) -> bytes:
    client.send(ask())
    answer = b""
    while not answer.endswith(b"}"):
        part = client.recv(65536)
        assert part, answer
        answer += part
    return answer


def test_an_open_stream_outlives_the_time_of_a_request(port: int) -> None:
    with opened(port) as client:
        client.send(ask("/events"))
        heard = b""
        while b"event: now" not in heard:
            heard += client.recv(65536)
        time.sleep(2 * HASTE)
        client.setblocking(False)
        with pytest.raises(BlockingIOError):  # neither closed nor, since nothing changed, sent more
            client.recv(65536)
    assert b"text/event-stream" in heard


def test_one_address_has_only_so_many_connections(port: int) -> None:
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(Hasty.per_address_most + 5)]
    try:
        with socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0)) as other:
            other.send(ask())
            assert b"HTTP/1.1" in other.recv(1000), "another address is not shut out"
    finally:
        for client in clients:
            assert closed(client)
            client.close()
    until(lambda: not connections._open, "none is left in the books")


def test_a_head_that_never_ends_is_refused(port: int) -> None:
    with opened(port) as client:
        try:
            for _ in range(100):
                client.send(b"GET / HTTP/1.1\r\nX: " + b"a" * 1000)
        except ConnectionError:
            return
        assert closed(client)


# --- as a process


class Page:
    """`planktow-edge serve` on a free port."""

    def __init__(self, *arguments: str, notify: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge", "serve", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **({"NOTIFY_SOCKET": str(notify)} if notify else {})},
            text=True,
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        if "http://" not in self.said:
            raise AssertionError(self.process.communicate()[1])
        self.port = int(self.said.rstrip("/\n").rpartition(":")[2])

    def get(self, path: str) -> bytes:
        with opened(self.port) as client:
            client.send(ask(path, "Connection: close\r\n"))
            answer = b""
            while part := client.recv(65536):
                answer += part
        return answer

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        told = self.process.stdout.read() + self.process.stderr.read()  # not communicate: a line was read already
        return self.process.wait(30), told

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Page]]:
    pages: list[Page] = []

    def start(*arguments: object, notify: Path | None = None) -> Page:
        pages.append(Page(*map(str, arguments), notify=notify))
        return pages[-1]

    yield start
    for page in pages:
        page.close()


def test_it_tells_systemd_when_it_is_ready_and_stops_at_once_with_streams_open(place, serve, tmp_path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        page = serve("--ledger", place.ledger, "--watch", place.watch, notify=tmp_path / "notify")
        assert manager.recv(1000).startswith(b"READY=1\n")
        streams = [socket.create_connection(("127.0.0.1", page.port), timeout=30) for _ in range(5)]
        for stream in streams:
            stream.send(ask("/events"))
            heard = b""
            while b"event: now" not in heard:
                heard += stream.recv(65536)
        code, _ = page.stop()
        assert code in (0, -signal.SIGTERM)
        assert manager.recv(1000) == b"STOPPING=1"
        for stream in streams:
            assert closed(stream)
            stream.close()


def test_only_this_host_can_ask_and_the_token_is_told_to_no_log(place, serve) -> None:
    page = serve("--ledger", place.ledger)
    assert "http://127.0.0.1:" in page.said
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.2", page.port))  # free: the page has 127.0.0.1 alone
    file = place.ledger.with_name("page.token")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    page.get("/login?token=" + file.read_text().strip())
    _, said = page.stop()
    assert file.read_text().strip() not in said
    assert str(file) in said


def test_a_new_image_reaches_an_open_stream(place, serve) -> None:
    """Counts come from the ledger: no status.json is written here at all."""
    page = serve("--ledger", place.ledger, "--watch", place.watch, "--bundle", TINY_BUNDLE)
    with opened(page.port) as stream:
        stream.send(ask("/events"))
        heard = b""
        while b"event: now" not in heard:
            heard += stream.recv(65536)
        write(place.watch, "new.png", image_bytes("jelly", seed=99))
        count(place.ledger, place.watch, ["new.png"], time.time_ns())
        while b'src=\\"/thumb/11\\"' not in heard:
            part = stream.recv(65536)
            assert part
            heard += part
    assert b'"/thumb/11"' in page.get("/")


@pytest.mark.usefixtures("place")
def test_it_reads_the_daemons_settings(serve, tmp_path) -> None:
    (tmp_path / "edge.toml").write_text(
        f'watch = "capture"\nledger = "ledger.sqlite"\nout = "counts"\nbundle = {json.dumps(str(TINY_BUNDLE))}\n'
    )
    page = serve("--config", tmp_path / "edge.toml")
    assert b"image/png" in page.get("/thumb/1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give --config FILE"),
        (("--ledger", "/nowhere/l.sqlite"), "no such folder"),
        (("--ledger", "LEDGER", "--host", "192.0.2.1"), "cannot be listened on"),
        (("--ledger", "LEDGER", "--host", "no such host"), "no such address"),
        (("--ledger", "LEDGER", "--survey", "/nowhere.toml"), "no such file"),
        (("--ledger", "LEDGER", "--token-file", "/proc/nowhere/token"), "cannot be"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(place, arguments, words) -> None:
    told = [str(place.ledger) if each == "LEDGER" else each for each in arguments]
    done = CliRunner().invoke(cli, ["serve", "--port", "0", *told], prog_name="planktow-edge")
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_the_extra_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None; from edge.cli import app;"
        " app(['serve', '--ledger', 'l.sqlite'], prog_name='planktow-edge')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.endswith("run: pip install 'planktow[web]'\n")
    assert done.stderr.count("\n") == 1
