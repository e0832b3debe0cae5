"""A new bundle without a stop: whole or not at all, each image counted once, each verdict under the bundle that made it."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from bundle.folder import Bundle, open_bundle
from edge.config import format_config, read_config

from .conftest import Ship, until
from .images import TINY_BUNDLE
from .second import BOTH, assert_whole, by_bundle, put, second_bundle, tells, turn


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The symlink that the daemon is told of; it leads to tiny-3."""
    link = tmp_path / "current"
    link.symlink_to(TINY_BUNDLE)
    return link


@pytest.fixture
def second(tmp_path: Path) -> Bundle:
    return second_bundle(tmp_path / "second")


def test_a_symlink_that_is_turned_in_a_flood_is_followed_and_no_image_is_lost_or_counted_twice(ship, first, second):
    ship.start(bundle=first, workers=2, batch_images=8)
    put(ship, range(150))
    until(lambda: ship.accounting()["counted"] > 20)
    turn(first, second.path)
    put(ship, range(150, 400))
    until(tells(ship, "second"))
    put(ship, range(400, 420))
    assert_whole(ship, 420, BOTH)
    counts = by_bundle(ship)
    assert counts["tiny-3"] > 20
    assert counts["second"] >= 20
    assert ship.status()["bundle_digest"] == second.digest
    assert ship.rows("SELECT digest FROM bundle ORDER BY id")[1:] == [(second.digest,)]
    turn(first, TINY_BUNDLE)
    until(tells(ship, "tiny-3"))
    put(ship, range(420, 440))
    assert_whole(ship, 440, BOTH)
    assert by_bundle(ship)["second"] == counts["second"]
    assert ship.rows("SELECT COUNT(*) FROM bundle") == [(2,)]
    assert ship.stop() == 0


def test_a_sighup_takes_up_the_bundle_that_the_settings_name_and_tells_systemd(ship, second):
    ship.start(batch_images=4)
    put(ship, range(60))
    config = read_config(ship.config)
    ship.config.write_text(format_config(replace(config, bundle=second.path, settle_seconds=0.4, batch_images=5)))
    ship.notified.clear()
    ship.process.send_signal(signal.SIGHUP)
    until(lambda: ship.heard("RELOADING=1"))
    assert ship.heard("MONOTONIC_USEC=")
    until(lambda: ship.heard("READY=1"))
    until(tells(ship, "second"))
    put(ship, range(60, 80))
    assert_whole(ship, 80, BOTH)
    assert "changed, and not taken up before the next start: settle_seconds, batch_images" in ship.said()
    before = f"tiny-3 ({open_bundle(TINY_BUNDLE).digest[:12]})"
    assert f"bundle second ({second.digest[:12]}) counts from now on, instead of {before}" in ship.said()
    assert ship.stop() == 0


def test_a_sighup_without_anything_new_is_answered_and_changes_nothing(ship):
    ship.start()
    put(ship, range(10))
    ship.notified.clear()
    ship.process.send_signal(signal.SIGHUP)
    until(lambda: ship.heard("RELOADING=1") and ship.heard("READY=1"))
    assert_whole(ship, 10, BOTH)
    until(lambda: ship.status().get("accounting", {}).get("counted") == 10)
    assert (ship.status()["problem"], "counts from now on" in ship.said()) == (None, False)


@pytest.mark.parametrize("moment", ["edge.swap.opening", "edge.daemon.worker"])
def test_after_kill_9_in_the_middle_of_a_swap_each_image_counts_once(ship, first, second, moment):
    ship.start(bundle=first, workers=1, batch_images=4)
    put(ship, range(200))
    until(lambda: ship.accounting()["counted"] > 0)
    (worker,) = children(ship, "edge.daemon.worker")
    turn(first, second.path)
    until(lambda: set(children(ship, moment)) - {worker})
    ship.kill()
    assert ship.accounting()["seen"] == ship.accounting()["counted"] + ship.accounting()["waiting"]
    put(ship, range(200, 240))
    ship.start(bundle=first, batch_images=4)
    assert_whole(ship, 240, BOTH)
    assert by_bundle(ship)["second"] >= 40


def children(ship: Ship, what: str) -> list[int]:
    """The daemon's processes that run this module."""
    found = []
    for child in Path(f"/proc/{ship.process.pid}/task/{ship.process.pid}/children").read_text().split():
        try:
            if what.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
        except FileNotFoundError:
            continue
    return found
