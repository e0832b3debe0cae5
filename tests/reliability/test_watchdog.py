"""The watchdog is fed by progress, on a real daemon with a socket in systemd's place and a patience of two seconds.

What systemd then does, test_systemd.py shows where one can be booted.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge.config import EdgeConfig, format_config

from ..edge.conftest import Ship, until
from ..edge.images import TINY_BUNDLE, image_bytes, kind_of

PATIENCE = 2.0
CODE = f"""
import os, sys
from pathlib import Path
from edge.config import read_config
from edge.daemon.daemon import run
from edge.daemon.notify import log_to_stderr, notifier_from
log_to_stderr()
run(read_config(Path(sys.argv[1])), lambda: False, notifier_from(os.environ, os.getpid()), stuck_seconds={PATIENCE})
"""


class Watched(Ship):
    """A daemon whose patience is short, and whom a watchdog of one second waits for."""

    def begin(self) -> None:
        quick = {"settle_seconds": 0.3, "rescan_seconds": 0.5, "publish_seconds": 0.2, "workers": 1}
        self.config.write_text(format_config(EdgeConfig(self.watch, TINY_BUNDLE, self.ledger, self.out, **quick)))
        environment = {**os.environ, "NOTIFY_SOCKET": str(self._socket_path), "WATCHDOG_USEC": "1000000"}
        with self.log.open("ab") as log:
            command = [sys.executable, "-c", CODE, str(self.config)]
            self.process = subprocess.Popen(command, stderr=log, env=environment)
        until(lambda: self.heard("READY=1"), "ready")

    def worker(self) -> int:
        main = self.process.pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        (worker,) = [
            int(child) for child in children if b"edge.daemon.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
        return worker

    def shoot(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            (self.watch / f"{number:04d}.png").write_bytes(image_bytes(kind_of(number), number))

    def pings(self) -> int:
        self.heard("")
        return self.notified.count("WATCHDOG=1")

    def await_pings(self, more: int) -> None:
        before = self.pings()
        until(lambda: self.pings() >= before + more, f"{more} more pings")

    def await_silence(self) -> None:
        """Until it says that it stands still; from then on it may not ping."""
        until(lambda: "nothing was done for" in self.said(), "it notices")
        before, turns = self.pings(), time.monotonic() + 2.0
        until(lambda: time.monotonic() > turns)  # twice what a watchdog of one second waits
        assert self.pings() == before


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with closing(Watched(tmp_path)) as aboard:
        aboard.begin()
        yield aboard


def test_an_idle_daemon_goes_on_pinging(watched):
    watched.shoot(0, 5)
    watched.await_accounting(counted=5)
    watched.await_pings(more=int(4 * 2 * PATIENCE))
    assert "nothing was done" not in watched.said()


def test_a_worker_that_stands_still_ends_the_pings_and_one_that_goes_on_brings_them_back(watched):
    worker = watched.worker()
    os.kill(worker, signal.SIGSTOP)
    try:
        watched.shoot(0, 40)
        watched.await_silence()
        assert watched.status()["problem"].startswith("nothing was done for")
    finally:
        os.kill(worker, signal.SIGCONT)
    watched.await_accounting(counted=40)
    watched.await_pings(more=4)
    until(lambda: watched.status()["problem"] is None)


def test_a_ledger_that_somebody_holds_for_ever_ends_the_pings(watched):
    """It is no full disk, of which a person was told; a restart may help, since the holder may be ourselves."""
    with closing(sqlite3.connect(watched.ledger, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        watched.shoot(0, 5)
        watched.await_silence()
        holder.execute("ROLLBACK")
    watched.await_accounting(counted=5)
    watched.await_pings(more=4)


def test_a_folder_that_is_away_and_files_that_grow_are_no_hang(watched):
    with (watched.watch / "grows.png").open("wb") as growing:
        for _ in range(int(4 * PATIENCE)):
            growing.write(image_bytes("chain")[:20])
            growing.flush()
            watched.await_pings(more=2)
    watched.watch.rename(watched.watch.with_name("unmounted"))
    until(lambda: watched.status().get("problem"))
    watched.await_pings(more=int(4 * 2 * PATIENCE))
    assert "nothing was done" not in watched.said()


def test_a_daemon_that_was_killed_while_it_stood_still_has_lost_nothing(watched):
    os.kill(watched.worker(), signal.SIGSTOP)
    watched.shoot(0, 40)
    watched.await_silence()
    watched.kill()  # as systemd does; the worker ends with it
    watched.notified.clear()
    watched.begin()
    watched.await_accounting(counted=40)
    assert watched.rows("SELECT * FROM accounting") == watched.rows("SELECT * FROM audit")
