"""Requests to take up dropped images, as files beside the ledger."""

import os
import time

import pytest

from bundle.errors import BadConfig
from edge.intake.catchup import Request, ask, requests
from edge.intake.overload import OverloadSettings

from .conftest import Ship, until
from .test_overload import dated, settled_at


def test_requests_are_read_back_the_oldest_first(tmp_path):
    ledger = tmp_path / "ledger.sqlite"
    later = ask(ledger, Request(from_ns=5), 2_000_000_000_000_000_000)
    first = ask(ledger, Request(-5, 7), 1_900_000_000_000_000_000)
    ask(tmp_path / "other.sqlite", Request(), 1)
    assert requests(ledger) == [(first, Request(-5, 7)), (later, Request(5, None))]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"from_ns": 1}',
        b'{"from_ns": 9, "to_ns": 3}',
        b'{"from_ns": "a", "to_ns": 1}',
        b"\xff",
    ],
)
def test_a_file_that_is_no_request_is_passed_by(tmp_path, content: bytes):
    ledger = tmp_path / "ledger.sqlite"
    (tmp_path / "ledger.sqlite.catch-up-1").write_bytes(content)
    good = ask(ledger, Request(), 2)
    assert requests(ledger) == [(good, Request())]


def test_a_request_for_no_time_is_refused():
    with pytest.raises(BadConfig, match="--from must be before --to"):
        Request(5, 5)


def test_a_request_that_cannot_be_written_says_what_to_do(tmp_path):
    with pytest.raises(BadConfig, match=r"cannot be written .*; run this as the user of the daemon"):
        ask(tmp_path / "none" / "ledger.sqlite", Request(), 1)


def test_only_what_was_asked_for_is_taken_up_and_a_request_outlives_a_kill(ship: Ship):
    dated(ship, range(200))
    ship.start(overload=OverloadSettings("newest", max_images=50, max_minutes=0), batch_images=8)
    dropped = settled_at(ship, 200)["dropped"]
    assert dropped > 80
    ship.kill()
    second = 1_000_000_000
    ask(ship.ledger, Request(to_ns=(1_700_000_000 + 40) * second), time.time_ns())
    ship.start(batch_images=8)
    until(lambda: ship.accounting()["dropped"] < dropped)
    ship.kill()
    ship.start()
    until(lambda: ship.accounting()["dropped"] == dropped - 40 and ship.accounting()["waiting"] == 0)
    assert ship.accounting()["counted"] == 200 - dropped + 40
    assert ship.rows("SELECT MIN(path) FROM sighting WHERE dropped IS NOT NULL") == [("0040.png",)]


def test_of_what_is_taken_up_a_deleted_file_ends_as_vanished(ship: Ship):
    dated(ship, range(120))
    ship.start(overload=OverloadSettings("newest", max_images=50, max_minutes=0), batch_images=8)
    dropped = settled_at(ship, 120)["dropped"]
    (ship.watch / "0000.png").unlink()
    os.rename(ship.watch / "0001.png", ship.watch / "renamed.png")  # noqa: PTH104
    assert ship.stop() == 0
    ask(ship.ledger, Request(), time.time_ns())
    ship.start()
    ship.await_accounting(counted=119, rejected=1)
    assert ship.rejects() == {"0000.png": "vanished"}
    assert dropped > 2
