"""A ship in small: a capture folder, a ledger, and the real daemon as a process that can be stopped or killed."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bundle.folder import Bundle, open_bundle
from edge.config import EdgeConfig, format_config
from edge.ledger.ledgerfile import open_ledger_readonly

from .images import KINDS, TINY_BUNDLE


def until(condition: Callable[[], object], what: str = "", seconds: float = 60) -> None:
    """Waits until `condition()` is true; a test never waits for a time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        time.sleep(0.02)


class Ship:
    """One capture folder and one ledger, and the daemons that run on them, one after another."""

    def __init__(self, base: Path) -> None:
        self.watch, self.ledger, self.out = base / "capture", base / "ledger.sqlite", base / "counts"
        self.config, self.log = base / "edge.toml", base / "log"
        self.watch.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self.notified: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket_path = base / "notify"
        self._socket.bind(str(self._socket_path))
        self._socket.setblocking(False)

    def start(self, bundle: Path = TINY_BUNDLE, ready: bool = True, **settings: object) -> None:
        """Starts the daemon, by default with short times, and waits until it says READY."""
        quick = {"settle_seconds": 0.3, "rescan_seconds": 0.5, "publish_seconds": 0.2, "workers": 1}
        self.config.write_text(
            format_config(EdgeConfig(self.watch, bundle, self.ledger, self.out, **{**quick, **settings}))
        )
        self.notified.clear()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge", "run", "--config", str(self.config)],
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(self._socket_path)},
            )
        if ready:
            until(lambda: self.heard("READY=1") or self.process.poll() is not None, "ready")
            assert self.process.poll() is None, self.said()

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Stops the daemon and returns its exit code (negative: the signal that ended it)."""
        process, self.process = self.process, None
        process.send_signal(with_signal)
        return process.wait(60)

    def kill(self) -> None:
        assert self.stop(signal.SIGKILL) == -signal.SIGKILL

    def exit_code(self) -> int:
        process, self.process = self.process, None
        return process.wait(60)

    def heard(self, line: str) -> bool:
        """Whether the daemon has sent this line, or a line that begins with it, to systemd."""
        while True:
            try:
                self.notified += self._socket.recv(65536).decode().splitlines()
            except BlockingIOError:
                return any(sent.startswith(line) for sent in self.notified)

    def said(self) -> str:
        """The log so far."""
        return self.log.read_text()

    def status(self) -> dict:
        try:
            return json.loads((self.out / "status.json").read_bytes())
        except FileNotFoundError:
            return {}

    def rows(self, query: str, *arguments: object) -> list[tuple]:
        with closing(open_ledger_readonly(self.ledger)) as connection:
            return connection.execute(query, arguments).fetchall()

    def accounting(self) -> dict[str, int]:
        names = ("seen", "counted", "rejected", "waiting", "dropped", "duplicates")
        return dict(zip(names, self.rows(f"SELECT {', '.join(names)} FROM accounting")[0], strict=True))

    def await_accounting(self, counted: int, rejected: int = 0, duplicates: int = 0) -> None:
        """Waits until nothing waits any more and exactly this is in the ledger."""
        wanted = {
            "seen": counted + rejected,
            "counted": counted,
            "rejected": rejected,
            "waiting": 0,
            "dropped": 0,
            "duplicates": duplicates,
        }
        try:
            until(lambda: self.accounting() == wanted)
        except AssertionError:
            assert self.accounting() == wanted, self.said()

    def verdicts(self) -> dict[str, str]:
        """Path -> label, of every counted file."""
        query = "SELECT path, label FROM sighting JOIN verdict USING (image_id)"  # label is an index
        return {path: KINDS[label] if label >= 0 else "unclassified" for path, label in self.rows(query)}

    def rejects(self) -> dict[str, str]:
        """Path -> reason, of every rejected file."""
        query = (
            "SELECT path, COALESCE(sighting.reason, image.reason) AS why"
            " FROM sighting LEFT JOIN image ON image.id = image_id WHERE why IS NOT NULL"
        )
        return dict(self.rows(query))

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self._socket.close()


@pytest.fixture
def ship(tmp_path: Path) -> Iterator[Ship]:
    with closing(Ship(tmp_path)) as aboard:
        yield aboard


@pytest.fixture(scope="session")
def tiny() -> Bundle:
    return open_bundle(TINY_BUNDLE)


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., list[tuple]]:
    """Runs a query on the ledger `tmp_path/ledger.sqlite` beside its writer."""

    def query(text: str, *arguments: object) -> list[tuple]:
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
            return connection.execute(text, arguments).fetchall()

    return query
