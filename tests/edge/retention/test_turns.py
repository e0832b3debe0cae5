"""Retention in the daemon, in short turns: when it looks, where it goes on, what it says."""

import logging
import os
import subprocess
from dataclasses import replace

import pytest

from edge.corrections.labelsfile import labels_file
from edge.retention.clearing import Cleared, Retention
from edge.retention.retention import GB, RetentionSettings

from ..stocked import DAY, NOW, SECOND, Stock
from .planning import BARE


class Times:
    """Both clocks: they stand still until told."""

    def __init__(self) -> None:
        self.wall_ns, self.seconds = NOW, 0.0


def retention_of(stock: Stock, times: Times, settings: RetentionSettings) -> Retention:
    return Retention(
        settings, stock.root, stock.connection, stock.record_gone, lambda: times.wall_ns, lambda: times.seconds
    )


def of_a_hundred_and_hurried(stock: Stock) -> Retention:
    """Retention with 100 images too many, by a clock on which a second is over at every look."""
    for number in range(100):
        stock.counted(f"{number}.png", age=9 * DAY)
    ticking = iter(range(10**9))
    return Retention(BARE, stock.root, stock.connection, stock.record_gone, lambda: NOW, lambda: float(next(ticking)))


def test_a_turn_ends_when_its_time_is_spent_and_the_next_goes_on(stock):
    retention = of_a_hundred_and_hurried(stock)
    turns = 1
    while retention.turn(budget_seconds=0) is None:
        turns += 1
    assert turns > 5
    assert stock.lying() == {"new.png"}


def test_it_looks_again_after_every_minutes_and_not_before(stock):
    times = Times()
    retention = retention_of(stock, times, replace(BARE, every_minutes=10))
    assert retention.turn() == Cleared()
    stock.counted("late.png", age=6 * DAY)
    times.seconds += 599
    assert retention.turn() is None
    times.seconds += 1
    times.wall_ns += DAY  # on this day it goes over all images again
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)


def test_what_a_run_kept_for_want_of_a_backup_goes_in_the_run_after_the_backup(stock):
    times = Times()
    retention = retention_of(stock, times, replace(BARE, only_backed_up=True, every_minutes=1))
    stock.note("backup_ns", 150)
    for path, age, classified in (("a.png", 9, 200), ("b.png", 8, 100), ("c.png", 7, 100)):
        stock.counted(path, age=age * DAY, classified=classified)
    assert retention.turn() == Cleared(deleted=2, freed_bytes=2000)
    times.seconds += 60
    assert retention.turn() == Cleared()
    stock.note("backup_ns", 201)
    times.seconds += 60
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)
    assert stock.lying() == {"new.png"}


def test_images_that_come_to_an_hour_already_gone_over_are_seen_in_the_next_run(stock):
    times = Times()
    full = replace(BARE, max_age_days=0, max_total_gb=1 / GB, every_minutes=1)
    retention = retention_of(stock, times, full)
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)
    (stock.root / "other.txt").touch()
    stock.counted("newer.png", age=-SECOND)
    times.seconds += 60
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)


def test_without_any_backup_it_says_that_nothing_may_go(stock, caplog):
    stock.counted("a.png")
    retention = retention_of(stock, Times(), replace(BARE, only_backed_up=True))
    assert retention.turn() == Cleared()
    assert retention.problem == (
        "retention: nothing may go, there is no backup of the ledger yet; make one, or change edge.toml"
    )
    assert caplog.messages == [retention.problem]


def test_it_says_when_more_should_go_than_may_and_when_that_is_over(stock):
    times = Times()
    stock.counted("few.png", votes=1)
    settings = replace(BARE, max_age_days=0, max_total_gb=0.5 / GB, keep_votes_up_to=2, every_minutes=1)
    retention = retention_of(stock, times, settings)
    retention.turn()
    assert "all that is left must stay" in retention.problem
    stock.connection.execute("UPDATE verdict SET votes = 3")
    times.wall_ns += DAY
    times.seconds += 60
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)
    assert retention.problem is None


def test_a_folder_that_went_away_ends_the_run_and_a_later_one_does_it(stock, tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    times = Times()
    stock.counted("a.png")
    retention = retention_of(stock, times, replace(BARE, every_minutes=1))
    stock.root.rename(tmp_path / "away")
    assert retention.turn() == Cleared()
    assert "No such file or directory" in retention.problem
    (tmp_path / "away").rename(stock.root)
    times.seconds += 60
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)
    assert retention.problem is None


def test_a_file_that_may_not_be_deleted_stays_and_is_named(stock):
    stock.counted("held/a.png")
    stock.counted("b.png")
    if os.geteuid() != 0:
        (stock.root / "held").chmod(0o500)
    elif subprocess.run(["chattr", "+i", stock.root / "held/a.png"], capture_output=True, check=False).returncode:
        pytest.skip("no file can be made immutable here")
    try:
        retention = retention_of(stock, Times(), BARE)
        cleared = retention.turn()
        assert (cleared.deleted, cleared.refused) == (1, 1)
        assert "1 files cannot be deleted, the first held/a.png: " in retention.problem
        assert stock.gone() == {"b.png"}
    finally:
        if os.geteuid() == 0:
            subprocess.run(["chattr", "-i", stock.root / "held/a.png"], check=True)
        else:
            (stock.root / "held").chmod(0o700)


def test_what_was_deleted_when_the_daemon_stops_is_recorded(stock):
    retention = of_a_hundred_and_hurried(stock)
    while len(stock.lying()) > 60:
        assert retention.turn(budget_seconds=0) is None
    retention.close()
    assert stock.gone() == {f"{number}.png" for number in range(100)} - stock.lying()
    assert len(stock.lying()) > 1


def test_nothing_goes_while_the_labels_cannot_be_read(stock):
    stock.counted("old.png")
    labels_file(stock.file).write_bytes(b"not a database at all" * 100)
    times = Times()
    retention = retention_of(stock, times, BARE)
    assert retention.turn() == Cleared()
    assert "retention: nothing may go: " in str(retention.problem)
    assert str(labels_file(stock.file)) in str(retention.problem)
    assert "old.png" in stock.lying()
    labels_file(stock.file).unlink()
    times.seconds += BARE.every_minutes * 60
    assert retention.turn() == Cleared(deleted=1, freed_bytes=1000)
    assert retention.problem is None
