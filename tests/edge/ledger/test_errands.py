"""Errands, notes, and what retention took."""

import pytest

from edge.daemon.outcome import Outcome, Unread
from edge.ledger.ledger import open_ledger

from .given import NOW, accounting, again, counted, file, sha, torn


@pytest.fixture
def fetching(tmp_path, tiny):
    with open_ledger(tmp_path / "ledger.sqlite", errands=True) as opened:
        opened.bundle_id(tiny, NOW)
        yield opened


def test_each_rejected_file_is_an_errand_until_it_is_done_and_no_other_is(fetching):
    giant = Unread(file("giant.png", 10**12), "too large", "10^12 bytes")
    outcomes: list[Outcome] = [
        counted(file("good.png"), "good"),
        torn(file("torn.png", mtime_ns=7), "half"),
        again(file("good copy.png"), "good"),
        again(file("torn copy.png"), "half"),
        giant,
        counted(file("blurred.png"), "blurred", aside="blurred"),
    ]
    fetching.record(outcomes, 1, NOW)
    detail = "the PNG file ends before its image does"
    errands = fetching.errands(10)
    assert [errand[1:] for errand in errands] == [
        (file("torn.png", mtime_ns=7), "truncated", detail, sha("half")),
        (file("torn copy.png"), "truncated", detail, sha("half")),
        (giant.found, "too large", "10^12 bytes", None),
    ]
    assert fetching.errands(1) == errands[:1]
    fetching.errands_done([errands[0][0], errands[2][0]])
    assert fetching.errands(10) == errands[1:2]


def test_an_errand_outlives_a_restart_and_is_not_given_twice(fetching, tmp_path):
    fetching.record([torn(file("a.png"), "half")], 1, NOW)
    errands = fetching.errands(10)
    fetching.close()
    with open_ledger(tmp_path / "ledger.sqlite", errands=True) as after:
        after.record([again(file("a.png"), "half")], 1, NOW)
        assert after.errands(10) == errands


def test_an_errand_falls_away_with_a_fragment_that_was_made_whole(fetching):
    fetching.record([torn(file("a.png", 5, 5), "half")], 1, NOW)
    fetching.record([counted(file("a.png", 10, 6), "whole")], 1, NOW)
    assert fetching.errands(10) == []


def test_an_unreadable_file_is_no_errand_before_and_after_it_counts(fetching):
    fetching.record([Unread(file("a.png"), "unreadable", "I/O error")], 1, NOW)
    assert fetching.errands(10) == []
    fetching.record([counted(file("a.png"), "A")], 1, NOW)
    assert fetching.errands(10) == []


def test_a_rejected_file_that_counts_after_all_is_an_errand_no_more(fetching):
    fetching.record([Unread(file("a.png"), "too large", "11 bytes, the limit is 10")], 1, NOW)
    fetching.record([counted(file("a.png"), "A")], 1, NOW)
    assert fetching.errands(10) == []


def test_without_errands_none_are_noted(ledger):
    ledger.record([torn(file("a.png"), "half")], 1, NOW)
    assert ledger.errands(10) == []


def test_a_note_is_the_last_that_was_written_under_its_name(ledger, tmp_path):
    assert ledger.read_note("backup_ns") is None
    ledger.write_note("backup_ns", NOW)
    ledger.write_note("backup_ns", -5)
    ledger.write_note("exported_ns", 2**63 - 1)
    ledger.close()
    with open_ledger(tmp_path / "ledger.sqlite") as after:
        assert (after.read_note("backup_ns"), after.read_note("exported_ns")) == (-5, 2**63 - 1)


def test_a_file_that_retention_deleted_is_so_noted_and_stays_counted(ledger, rows):
    ledger.record([counted(file("a.png"), "A"), counted(file("b.png"), "B")], 1, NOW)
    ledger.record_gone([2], NOW + 5)
    assert rows("SELECT path, gone_ns FROM sighting") == [("a.png", None), ("b.png", NOW + 5)]
    assert accounting(rows) == (2, 2, 0, 0, 0)
