"""Many readers of the live page, in one process that takes little: each holds the stream open and fetches what a browser would.

    python -m benchmarks.readers PORT READERS SECONDS-BETWEEN-PAGES

A reader has an address of its own (127.1.x.y, which Linux answers to), so that the page's limits for each address hold as on a
ship's network. It loads the page, then the stream; whenever the stream brings new pictures, it fetches them within the time
that the server says, as now.js does; and now and then it loads the page anew. Writes one JSON line on what it has seen each
time a line comes in on standard input, and ends with it.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import resource
import selectors
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from heapq import heappop, heappush

CONNECTS_PER_SECOND = 200  # at the beginning: a crew does not come all at once
_PAGE = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n"
_THUMB = re.compile(rb"/thumb/(\d+)")
_SPREAD = re.compile(rb'"spread":(\d+)')


@dataclass
class Seen:
    """What all readers together have seen since they were last asked."""

    streams: int = 0  # open now
    events: int = 0
    bytes: int = 0
    pages: int = 0
    pictures: int = 0
    refused: int = 0  # answers other than 200, connections that failed, streams that were cut
    longest_silence: float = 0.0  # seconds between two pieces of one stream
    processor_seconds: float = 0.0  # of this process, since it began


@dataclass(eq=False)
class Wire:
    """One connection: a stream, or the fetching of some pages one after another."""

    sock: socket.socket
    stream: bool
    request: bytes
    reader: int
    answers: int  # that are still to come; of a stream none
    heard: bytes = b""  # the end of what came, where a word may be cut in two; of a stream only that something did
    last: float = field(default_factory=time.monotonic)


class Readers:
    """All of them, in one loop."""

    def __init__(self, port: int, readers: int, every: float) -> None:
        self.seen = Seen()
        self._port, self._every = port, every
        self._selector = selectors.DefaultSelector()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        now = time.monotonic()
        for reader in range(readers):
            self._at(now + reader / CONNECTS_PER_SECOND, lambda reader=reader: self._arrive(reader))

    def run(self) -> None:
        """Until standard input ends."""
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            for key, mask in self._selector.select(wait):
                if key.data is None:
                    if not sys.stdin.readline():
                        return
                    self._tell()
                else:
                    self._serve(key.data, mask)
            while self._due and self._due[0][0] <= time.monotonic():
                heappop(self._due)[2]()

    def _tell(self) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.seen.processor_seconds = usage.ru_utime + usage.ru_stime
        print(json.dumps(asdict(self.seen)), flush=True)
        self.seen = Seen(streams=self.seen.streams)

    def _at(self, when: float, what: Callable[[], None]) -> None:
        self._number += 1
        heappush(self._due, (when, self._number, what))

    def _arrive(self, reader: int) -> None:
        self._fetch(reader, [b"/"])
        self._open(reader, True, _PAGE % (b"/events", b""), 0)
        self._at(time.monotonic() + self._every * random.uniform(0.5, 1.5), lambda: self._load_again(reader))

    def _load_again(self, reader: int) -> None:
        self._fetch(reader, [b"/"])
        self._at(time.monotonic() + self._every, lambda: self._load_again(reader))

    def _fetch(self, reader: int, paths: list[bytes]) -> None:
        requests = [_PAGE % (path, b"") for path in paths[:-1]] + [_PAGE % (paths[-1], b"Connection: close\r\n")]
        self._open(reader, False, b"".join(requests), len(paths))

    def _open(self, reader: int, stream: bool, request: bytes, answers: int) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        try:
            sock.bind((f"127.1.{reader // 250}.{reader % 250 + 1}", 0))
            with contextlib.suppress(BlockingIOError):
                sock.connect(("127.0.0.1", self._port))
        except OSError:
            sock.close()
            self.seen.refused += 1
            return
        self._selector.register(sock, selectors.EVENT_WRITE, Wire(sock, stream, request, reader, answers))

    def _serve(self, wire: Wire, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                wire.sock.sendall(wire.request)
                self._selector.modify(wire.sock, selectors.EVENT_READ, wire)
                self.seen.streams += wire.stream
                wire.request = b""
                return
            data = wire.sock.recv(262144)
        except OSError:
            data = b""
        if not data:
            self._close(wire)
            return
        self.seen.bytes += len(data)
        if wire.stream and not wire.heard and not data.startswith(b"HTTP/1.1 200"):
            self._close(wire)
        elif wire.stream:
            self._hear(wire, data)
        else:
            done = (wire.heard + data).count(b"HTTP/1.1 200")
            wire.answers -= done
            if b"text/html" in data:
                self.seen.pages += 1
            else:
                self.seen.pictures += done
            wire.heard = data[-11:]

    def _hear(self, wire: Wire, data: bytes) -> None:
        now = time.monotonic()
        self.seen.longest_silence = max(self.seen.longest_silence, now - wire.last)
        wire.last = now
        wire.heard = b"..."
        self.seen.events += data.count(b"event: now")
        if b'"latest"' in data and (thumbs := _THUMB.findall(data)):
            spread = _SPREAD.search(data)
            paths = [b"/thumb/" + number for number in dict.fromkeys(thumbs)]
            wait = random.random() * int(spread[1]) if spread else 0.0
            self._at(now + wait, lambda: self._fetch(wire.reader, paths))

    def _close(self, wire: Wire) -> None:
        self._selector.unregister(wire.sock)
        wire.sock.close()
        if wire.stream and not wire.request:
            self.seen.streams -= 1
        self.seen.refused += wire.stream or wire.answers > 0
        if wire.stream:  # as browsers do
            self._at(time.monotonic() + 2, lambda: self._open(wire.reader, True, _PAGE % (b"/events", b""), 0))


if __name__ == "__main__":
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(files[1], 65536), files[1]))
    with contextlib.suppress(KeyboardInterrupt):
        Readers(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])).run()
