"""The daily summary: what stands in it, how long it may be, and that it leaps over the millions."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bundle.folder import open_bundle
from edge.alerts.journal import Journal, journal_file
from edge.alerts.state import Event
from edge.cli import app
from edge.config import EdgeConfig, format_config
from edge.counts import Accounting
from edge.daemon.outputs import publish
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.ledger.migrations import migrate
from edge.situation import read_situation
from edge.summary.summary import DAY_NS, GAP_NS, Change, changes, day_before, gaps, read_summary
from edge.summary.summaryhtml import summary_html
from edge.summary.summarytext import MOST_BYTES, summary_text

from .drifting import count_images, drawn, mixed, with_reference
from .filled import SECOND, TEN, at, fill, other_bundle
from .images import TINY_BUNDLE
from .stocked import Stock
from .test_html_report import Page
from .test_outputs import STATUS

DAY = TEN - 10 * 3600 * SECOND  # 2026-11-25, in UTC ns
MINUTE = 60 * SECOND


@pytest.fixture
def ship(tmp_path, tiny):
    """Two days of images, some of everything, a daemon with a problem, and an alert on each of three days."""
    ledger = tmp_path / "ledger.sqlite"
    day = [(f"{hour:02}:{minute:02}:00", minute % 3) for hour in (8, 9, 12) for minute in range(0, 60, 5)]
    eve = [(f"{hour - 24}:30:00", 0) for hour in (6, 7)]
    fill(
        ledger,
        tiny,
        counted=[*day, *eve],
        rejected=["truncated", "truncated"],
        unread=["unreadable"],
        waiting=1,
        aside=[("09:00:30", 0, "blurred")],
    )
    publish(tmp_path / "out", ledger, replace(STATUS, problem="the disk is full"))
    events = [
        Event(f"e{n}", "raised", "disk", "critical", "1.5 GB free", at("09:00:00") + n * DAY_NS) for n in (-1, 0, 1)
    ]
    assert Journal(journal_file(ledger)).turn(events, 0.0) == ("e-1", "e0", "e1")
    return ledger


def summed(ledger, day_ns=DAY, now_ns=DAY + DAY_NS, bundle=TINY_BUNDLE):
    situation = read_situation(ledger, None, ledger.parent / "out", now_ns)
    with closing(open_ledger_readonly(ledger)) as connection:
        return read_summary(connection, ledger, bundle, day_ns, situation)


def test_it_is_of_the_images_captured_on_that_day(ship):
    found = summed(ship)
    assert found.counted == 36
    assert dict(found.before.totals) == {"chain": 2, "sphere": 0, "jelly": 0, "unclassified": 0}
    assert [hour for hour in enumerate(found.hourly) if hour[1]] == [(8, 12), (9, 12), (12, 12)]
    assert found.aside == {"blurred": 1}
    assert found.rejects == {"truncated": 2, "unreadable": 1}
    assert found.votes == {3: 36}
    assert [event.id for event in found.alerts] == ["e0"]
    times = [((start - DAY) // MINUTE, (end - DAY) // MINUTE) for start, end in found.gaps]
    assert times == [(0, 480), (600, 720), (775, 1440)]


def test_the_text_says_it_all_in_lines_that_fit(ship, tiny):
    text = summary_text(summed(ship))
    lines = text.splitlines()
    assert lines[0] == "Planktow, 2026-11-25 (UTC), ledger ledger.sqlite"
    assert all(len(line) <= 76 for line in lines)
    for line in (
        "Counted 36 images; the day before 2",
        "Rejected 3, set aside 1, dropped 0",
        "  rejected: truncated: 2, unreadable: 1",
        "  set aside: blurred: 1",
        "  seen 43 = counted 38 + rejected 4 + waiting 1 + dropped 0",
        "  00:00 to 08:00, 480 min",
        "  12:55 to 24:00, 665 min",
        "Alerts: 1:",
        "  09:00 raised disk: 1.5 GB free",
        "Daemon: not running, last sign of life 2026-11-25T10:01:30.500Z; problem:",
        "  the disk is full",
        f"Classifier: tiny-3 {tiny.digest[:16]}",
    ):
        assert line in lines, text
    chain = next(line.split() for line in lines if line.startswith("chain"))
    assert (chain[1], chain[-1]) == ("12", "2")


def test_a_day_that_looks_other_than_validation_is_a_warning_in_both(tmp_path):
    bundle = with_reference(tmp_path / "bundle", mixed(600))
    for light in (1.0, 0.6):
        ledger = tmp_path / f"{light}.sqlite"
        images = drawn(mixed(300), seed=7)
        count_images(
            ledger, open_bundle(bundle), images, alter=lambda grey, by=light: np.rint(grey * by).astype(np.uint8)
        )
        found = summed(ledger, bundle=bundle)
        assert [each.drift.state for each in found.drifts] == ["as validated" if light == 1 else "other looks"]
        for written in (summary_text(found), summary_html(found)):
            assert ("WARNING" in written) == (light < 1)
            assert "Drift" in written


def test_a_day_that_is_not_over_and_one_without_images(ship):
    text = summary_text(summed(ship, now_ns=at("13:30:00")))
    assert "The day is not over: written 2026-11-25T13:30:00Z" in text
    assert "  12:55 to 13:30, 35 min" in text
    empty = summary_text(summed(ship, day_ns=DAY - 5 * DAY_NS))
    assert "Nothing was counted on this day." in empty
    assert "  00:00 to 24:00, 1440 min" in empty
    assert "Classifier: none at work" in empty


def test_accounts_that_do_not_add_up_are_said_aloud(ship):
    found = summed(ship)
    counts = replace(found.reported.counts, accounting=Accounting(9, 1, 1, 1, 1, 0))
    wrong = replace(found, reported=replace(found.reported, counts=counts))
    assert "THIS DOES NOT ADD UP" in summary_text(wrong)
    assert "do not add up" in summary_html(wrong)


def test_however_much_there_is_to_say_it_goes_into_four_kilobytes(tmp_path, tiny):
    ledger = tmp_path / "l.sqlite"
    names = tuple(f"{'æ' * 40}_{number}" for number in range(121))
    clocks = [(f"{hour:02}:{minute:02}:00", (hour * 60 + minute) % 121) for hour in range(24) for minute in (0, 1, 30)]
    fill(
        ledger,
        other_bundle(tiny, names),
        counted=clocks,
        rejected=[f"reason {'ø' * 50} {number}" for number in range(60)],
    )
    fill(ledger, tiny, counted=[("10:00:00", 1)])
    text = "ß" * 500 + "\n"
    events = [Event(f"e{number}", "raised", "a" * 40, "info", text, DAY + number) for number in range(300)]
    Journal(journal_file(ledger)).turn(events, 0.0)
    said = summary_text(summed(ledger))
    assert len(said.encode()) < MOST_BYTES
    assert "Alerts: 300:" in said
    assert "seen 133 = counted 73 + rejected 60" in said
    assert "There is no corrected count: 2 classifiers gave these verdicts." in said


def test_the_page_is_small_and_whole_and_loads_nothing(ship):
    html = summary_html(summed(ship))
    page = Page(html)
    assert len(html) < 40_000
    assert not [value for _, name, value in page.attributes if name in ("src", "onload") or value.startswith("http")]
    assert ["09:00", "raised", "disk", "critical", "1.5 GB free"] in page.rows
    assert any(each[0] == "jelly" and each[1] == "12" for each in page.rows)


def test_what_strangers_wrote_is_text_in_the_page(ship):
    found = replace(summed(ship), ledger="<script>alert(1)</script>", rejects={"<b>": 1})
    html = summary_html(found)
    assert "<script>" not in html
    assert "&lt;b&gt;: 1" in html


@given(
    st.sets(st.integers(0, 300)),
    st.integers(0, 250),
    st.integers(1, 300),
    st.integers(2, 60),
)
def test_gaps_are_what_a_walk_through_all_images_finds(times, start, length, least):
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        connection.executemany(
            "INSERT INTO image (sha256, bytes, capture_ns, time_source) VALUES (?, 1, ?, 'mtime')",
            [(sha256(str(each).encode()).digest(), each) for each in times],
        )
        inside = [start, *sorted(each for each in times if start < each < start + length), start + length]
        wanted = [(a, b) for a, b in pairwise(inside) if b - a >= least]
        assert gaps(connection, start, start + length, least) == wanted


def test_gaps_take_few_searches_however_many_images_there_are(tmp_path):
    with closing(Stock(tmp_path)) as stock:
        stock.connection.execute("BEGIN")
        stock.connection.executemany(
            "INSERT INTO image (sha256, bytes, capture_ns, time_source) VALUES (?, 1, ?, 'mtime')",
            [(sha256(str(each).encode()).digest(), each * SECOND) for each in range(20_000)],
        )
        stock.connection.execute("COMMIT")
        asked: list[str] = []
        stock.connection.set_trace_callback(asked.append)
        assert gaps(stock.connection, 0, 24 * 3600 * SECOND) == [(19_999 * SECOND, 86_400 * SECOND)]
        assert len(asked) <= 2 * 20_000 * SECOND // GAP_NS + 3
        for statement in set(asked):
            for *_, plan in stock.connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
                assert plan == "SEARCH image USING COVERING INDEX image_capture (capture_ns>? AND capture_ns<?)" or (
                    plan == "SEARCH image USING COVERING INDEX image_capture (capture_ns>?)"
                ), plan


def test_a_change_is_one_of_shares_and_beyond_chance():
    assert changes({"a": 100, "b": 900}, {"a": 50, "b": 450}) == ()
    assert changes({"a": 1, "b": 9}, {"a": 3, "b": 7}) == ()
    assert changes({"a": 100, "b": 900}, {"a": 400, "b": 600}) == (
        Change("a", 100, 400, 4.0),
        Change("b", 900, 600, 0.6 / 0.9),
    )
    assert changes({"b": 1000}, {"a": 60, "b": 940}) == (Change("a", 0, 60, None),)
    assert changes({"a": 60, "b": 940}, {"b": 1000}) == (Change("a", 60, 0, 0.0),)
    assert changes({}, {"a": 1000}) == ()
    assert changes({"unclassified": 500, "b": 500}, {"unclassified": 5, "b": 505}) == (
        Change("b", 500, 505, 505 / 510 / 0.5),
    )


def test_the_day_is_yesterday_unless_told():
    assert day_before(DAY) == DAY - DAY_NS
    assert day_before(DAY - 1) == DAY - 2 * DAY_NS


@pytest.fixture
def config(ship, tmp_path):
    file = tmp_path / "edge.toml"
    (tmp_path / "images").mkdir()
    file.write_text(format_config(EdgeConfig(tmp_path / "images", TINY_BUNDLE, ship, tmp_path / "out")))
    return file


def run(*arguments):
    return CliRunner().invoke(app, ["summary", *map(str, arguments)])


def test_into_a_folder_go_both_and_elsewhere_the_one_asked_for(config, tmp_path):
    done = run("--config", config, "--day", "2026-11-25", "--out", tmp_path / "days")
    assert done.exit_code == 0, done.output
    assert sorted(file.name for file in (tmp_path / "days").iterdir()) == [
        "summary-2026-11-25.html",
        "summary-2026-11-25.txt",
    ]
    run("--config", config, "--day", "2026-11-25", "--format", "html", "--out", tmp_path / "one.html")
    assert (tmp_path / "one.html").read_text().startswith("<!DOCTYPE html>")
    shown = run("--config", config, "--day", "2026-11-25").stdout
    assert "Counted 36 images" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--day", "2026-11-25T10:00"), "not a day; give a date"),
        (("--day", "tomorrow"), "'tomorrow' is not a time"),
        (("--day", "2199-01-01"), "has not begun"),
        (("--out", "none/deeper/days"), "cannot be made"),
    ],
)
def test_what_cannot_be_meant_is_refused(config, arguments, message):
    done = run("--config", config, *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
