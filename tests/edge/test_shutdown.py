"""The ends of the daemon: asked for once, asked for twice, and asked for before it was ready."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from .conftest import Ship, until
from .images import image_bytes, kind_of
from .test_pool import children

IMAGES = 400


def fill(ship: Ship) -> None:
    for number in range(IMAGES):
        (ship.watch / f"{number:04d}.png").write_bytes(image_bytes(kind_of(number), number))


def sound(ship: Ship) -> bool:
    return ship.rows("PRAGMA integrity_check") == [("ok",)] and ship.rows("SELECT * FROM accounting") == ship.rows(
        "SELECT * FROM audit"
    )


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_finishes_the_batch_and_a_restart_counts_the_rest(ship: Ship, how: int):
    fill(ship)
    ship.start(batch_images=8)
    until(lambda: ship.accounting()["counted"] > 0)
    assert ship.stop(how) == 0
    found = ship.accounting()
    assert 0 < found["counted"] < IMAGES
    assert (found["counted"] % 8, found["waiting"]) == (0, IMAGES - found["counted"])
    assert sound(ship)
    assert ship.status()["state"] == "stopped"
    ship.start()
    ship.await_accounting(counted=IMAGES)


def test_a_second_signal_ends_it_at_once_with_a_sound_ledger_and_a_restart_counts_the_rest(ship: Ship):
    """The worker stands still, so that the batch in hand never ends: the first signal alone would wait for it."""
    ship.start(publish_seconds=60.0)
    process = ship.process
    (worker,) = children(process.pid)
    os.kill(worker, signal.SIGSTOP)
    try:
        fill(ship)
        until(lambda: ship.accounting()["waiting"] > 0)
        process.send_signal(signal.SIGSTOP)  # both are there when it goes on, whatever it is at
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        while process.poll() is None:  # two of one kind that come together are one: again until it has heard two
            process.send_signal(signal.SIGTERM)
    finally:
        with contextlib.suppress(
            ProcessLookupError
        ):  # the system wakes it itself when its parent dies, and it may have ended
            os.kill(worker, signal.SIGCONT)
    assert ship.exit_code() == -signal.SIGTERM
    assert sound(ship)
    assert ship.accounting()["counted"] == 0, "the batch in hand was not waited for"
    ship.start()
    ship.await_accounting(counted=IMAGES)


def test_a_signal_before_it_is_ready_ends_it_with_a_sound_ledger(ship: Ship):
    fill(ship)
    ship.start(ready=False)
    until(lambda: ship.ledger.with_name("ledger.sqlite.lock").exists())
    assert ship.stop() == 0
    ship.start()
    ship.await_accounting(counted=IMAGES)
    assert sound(ship)


def test_a_signal_while_nothing_comes_in_is_obeyed_at_once(ship: Ship):
    ship.start()
    ship.process.send_signal(signal.SIGTERM)
    try:
        assert ship.process.wait(20) == 0
    except subprocess.TimeoutExpired:
        sys.exit(f"it goes on: {ship.said()}")
