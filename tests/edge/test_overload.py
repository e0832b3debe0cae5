"""More images than can be classified: the bounds, the draw, and the real daemon that drops by each policy."""

import csv
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.errors import BadConfig
from edge.config import read_config
from edge.intake.catchup import Request, ask
from edge.intake.files import Found
from edge.intake.overload import Backlog, OverloadSettings, bound_images, drop, excess, lot, take_up, waiting_bytes
from edge.ledger.ledger import open_ledger

from .conftest import Ship, until
from .images import image_bytes, kind_of

SECOND = 1_000_000_000
BOUND = 50


@pytest.mark.parametrize(
    ("settings", "backlog", "bound"),
    [
        ({"max_images": 50, "max_minutes": 0}, Backlog(1000, 10**6, 5.0), 50),
        ({"max_megabytes": 2, "max_minutes": 0}, Backlog(1000, 4_000_000, None), 500),
        ({"max_minutes": 2}, Backlog(1000, 0, 10.0), 1200),
        ({"max_minutes": 2}, Backlog(1000, 0, None), None),
        ({"max_minutes": 0}, Backlog(1000, 0, 10.0), None),
        ({"max_images": 700, "max_megabytes": 2, "max_minutes": 1}, Backlog(1000, 4_000_000, 10.0), 500),
        ({"max_minutes": 0.001}, Backlog(1000, 0, 0.1), 1),
        ({"max_megabytes": 1, "max_minutes": 0}, Backlog(10, 0, None), 1_000_000),
        ({"max_megabytes": 1, "max_minutes": 0}, Backlog(0, 0, None), None),
    ],
)
def test_the_tightest_bound_is_the_one_that_holds(settings, backlog: Backlog, bound: int | None):
    assert bound_images(OverloadSettings("sample", **settings), backlog) == bound


@given(bound=st.integers(1, 10**6), images=st.integers(0, 10**7))
def test_what_is_left_out_brings_the_backlog_below_the_bound_and_nothing_is_left_out_before(bound: int, images: int):
    out = excess(OverloadSettings("newest", max_images=bound, max_minutes=0), Backlog(images, 0, None))
    assert 0 <= out <= images
    assert (out > 0) == (images > bound)
    assert images - out <= bound


def test_with_the_policy_keep_nothing_is_left_out():
    assert excess(OverloadSettings(max_images=1), Backlog(10**6, 10**12, 1.0)) == 0


def test_an_unknown_policy_is_refused(tmp_path):
    (tmp_path / "edge.toml").write_text('[overload]\npolicy = "random"\n')
    with pytest.raises(BadConfig, match="policy"):
        read_config(tmp_path / "edge.toml")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """100 waiting files, found in another order than that of their mtime."""
    with open_ledger(tmp_path / "ledger.sqlite") as opened:
        opened.note([Found(f"{number * 37 % 100:03d}.png", 10, number * 37 % 100 * SECOND) for number in range(100)], 0)
        yield opened.connection


def left_out(connection: sqlite3.Connection) -> set[str]:
    return {path for (path,) in connection.execute("SELECT path FROM sighting WHERE dropped IS NOT NULL")}


@pytest.mark.parametrize(("policy", "expected"), [("oldest", range(70, 100)), ("newest", range(30))])
def test_by_age_what_is_kept_is_the_oldest_or_the_newest_whatever_the_order_of_finding(ledger, policy, expected):
    dropped = drop(ledger, policy, 30, lambda found: found.mtime_ns + 1, b"salt")
    assert set(dropped) == left_out(ledger) == {f"{number:03d}.png" for number in expected}
    rows = ledger.execute("SELECT path, dropped, capture_ns FROM sighting WHERE dropped IS NOT NULL ORDER BY path")
    assert rows.fetchall() == [(f"{number:03d}.png", policy, number * SECOND + 1) for number in expected]
    assert waiting_bytes(ledger) == 700


def test_a_draw_in_parts_leaves_out_the_same_as_one_draw(ledger):
    for count in (10, 1, 19):
        drop(ledger, "sample", count, lambda _found: 0, b"salt")
    names = sorted((f"{number:03d}.png" for number in range(100)), key=lambda name: lot(name, b"salt"))
    assert left_out(ledger) == set(names[70:])


def test_another_salt_is_another_draw_and_each_is_blind_to_the_name():
    names = [f"{number:04d}.png" for number in range(4000)]
    first = {name for name in names if lot(name, b"a") < 2**63}
    second = {name for name in names if lot(name, b"b") < 2**63}
    # Of 4000 fair coins 2000 +- 190 are heads (six standard deviations), and 1000 +- 165 in both of two.
    assert abs(len(first) - 2000) < 190
    assert abs(len(first & second) - 1000) < 165
    halves = [sum(name in first for name in part) for part in (names[:2000], names[2000:])]
    assert abs(halves[0] - halves[1]) < 190


def test_what_is_taken_up_again_waits_the_oldest_first_and_within_the_times_asked_for(ledger):
    drop(ledger, "newest", 30, lambda found: found.mtime_ns, b"")
    assert take_up(ledger, 5, 10 * SECOND, 20 * SECOND) == 5
    assert take_up(ledger, 100, 10 * SECOND, 20 * SECOND) == 5
    assert take_up(ledger, 100, 10 * SECOND, 20 * SECOND) == 0
    assert left_out(ledger) == {f"{number:03d}.png" for number in range(30) if not 10 <= number < 20}
    assert take_up(ledger, 100) == 20
    assert ledger.execute("SELECT waiting, dropped FROM account").fetchone() == (100, 0)


# The real daemon


def dated(ship: Ship, numbers: range) -> None:
    """Images whose mtime grows with their number, put there in another order."""
    for number in sorted(numbers, key=lambda number: number * 37 % 101):
        file = ship.watch / f"{number:04d}.png"
        file.with_suffix(".part").write_bytes(image_bytes(kind_of(number), number))
        os.utime(file.with_suffix(".part"), (1_700_000_000 + number, 1_700_000_000 + number))
        file.with_suffix(".part").rename(file)


def adds_up(ship: Ship) -> dict[str, int]:
    found = ship.accounting()
    assert found["seen"] == found["counted"] + found["rejected"] + found["waiting"] + found["dropped"], found
    return found


def settled_at(ship: Ship, seen: int) -> dict[str, int]:
    """The accounts once nothing waits; they add up at each look before."""

    def done() -> bool:
        found = adds_up(ship)
        return found["seen"] == seen and found["waiting"] == 0

    until(done)
    return adds_up(ship)


def numbers(ship: Ship, where: str) -> list[int]:
    query = f"SELECT path FROM sighting WHERE {where} ORDER BY image_id, path"
    return [int(Path(path).stem) for (path,) in ship.rows(query)]


def raised(ship: Ship) -> float:
    """The sum of the raised counts in the report."""
    command = [sys.executable, "-m", "edge", "report", "--ledger", str(ship.ledger), "--bin", "1d", "--format", "csv"]
    table = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    rows = csv.DictReader(line for line in table.splitlines() if not line.startswith("#"))
    return sum(float(row["raised_count"]) for row in rows)


@pytest.mark.parametrize("policy", ["oldest", "newest", "sample"])
def test_what_is_dropped_is_recorded_with_policy_and_capture_time_and_all_is_taken_up_later(ship: Ship, policy: str):
    images = 300
    dated(ship, range(images))
    settings = OverloadSettings(policy, max_images=BOUND, max_minutes=0)
    ship.start(overload=settings, batch_images=8)
    accounts = settled_at(ship, images)
    assert accounts["dropped"] >= images - BOUND - 5 * 8, accounts
    dropped, counted = numbers(ship, "dropped IS NOT NULL"), numbers(ship, "image_id IS NOT NULL")
    assert sorted(dropped + counted) == list(range(images))
    assert ship.rows("SELECT DISTINCT dropped, capture_ns = mtime_ns FROM sighting WHERE dropped IS NOT NULL") == [
        (policy, 1)
    ]
    assert f"were left out (policy {policy}); planktow-edge catch-up takes them up later" in ship.said()
    assert raised(ship) == pytest.approx(images, abs=0.01)  # decimals of the table
    late = counted[8:]  # the first batch was taken before there was any bound
    if policy == "newest":
        assert counted[0] == images - 1
        assert counted == sorted(counted, reverse=True)
        assert min(counted) > max(dropped)
    elif policy == "oldest":
        assert len([number for number in late if number > min(dropped)]) <= 5 * 8
    else:
        salt = ship.rows("SELECT value FROM note WHERE name = 'lottery'")[0][0].to_bytes(8, signed=True)
        lots = {number: lot(f"{number:04d}.png", salt) for number in range(images)}
        assert len([number for number in late if lots[number] > min(lots[each] for each in dropped)]) <= 5 * 8
    assert ship.stop() == 0

    # Later, with live images that wait as well: these go first.
    dated(ship, range(images, images + 60))
    ask(ship.ledger, Request(), time.time_ns())
    ship.start(batch_images=8)
    ship.await_accounting(counted=images + 60)
    with closing(sqlite3.connect(ship.ledger)) as connection:
        last_live, first_taken_up = connection.execute(
            "SELECT MAX(CASE WHEN path >= '0300' THEN image_id END),"
            " MIN(CASE WHEN dropped_once THEN image_id END) FROM (SELECT path, image_id,"
            " capture_ns IS NOT NULL AS dropped_once FROM sighting)"
        ).fetchone()
    assert last_live < first_taken_up
    until(lambda: not list(ship.ledger.parent.glob("*.catch-up-*")))
    assert ship.rows("SELECT * FROM accounting") == ship.rows("SELECT * FROM audit")


def test_the_draw_is_the_same_after_a_restart(ship: Ship):
    settings = OverloadSettings("sample", max_images=BOUND, max_minutes=0)
    salts = []
    for batch in range(2):
        dated(ship, range(batch * 200, batch * 200 + 200))
        ship.start(overload=settings, batch_images=8)
        settled_at(ship, 200 * (batch + 1))
        salts += ship.rows("SELECT value FROM note WHERE name = 'lottery'")
        assert ship.stop() == 0
    assert salts[0] == salts[1]
    salt = salts[0][0].to_bytes(8, signed=True)
    for batch in range(2):
        span = f"path >= '{batch * 200:04d}' AND path < '{batch * 200 + 200:04d}'"
        dropped = numbers(ship, f"dropped IS NOT NULL AND {span}")
        kept = numbers(ship, f"image_id IS NOT NULL AND {span}")
        least = min(lot(f"{number:04d}.png", salt) for number in dropped)
        assert len([number for number in kept if lot(f"{number:04d}.png", salt) > least]) <= 5 * 8
