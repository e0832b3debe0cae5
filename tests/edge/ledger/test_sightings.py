"""The same bytes count each time they are seen, where the settings say so."""

import pytest

from edge.daemon.outcome import Again
from edge.ledger.ledger import open_ledger

from .given import NOW, accounting, again, counted, file, rejected, torn


@pytest.fixture
def tally(tmp_path, tiny):
    """A ledger that counts sightings, and how to open it anew."""
    with open_ledger(tmp_path / "ledger.sqlite", count_sightings=True) as opened:
        assert opened.bundle_id(tiny, NOW) == 1
        yield opened


def test_each_sighting_counts_with_the_verdict_of_the_first_and_its_own_time(tally, rows):
    tally.record([counted(file("a.png", mtime_ns=5), "A", 2)], 1, NOW)
    more = [again(file("b.png", mtime_ns=6), "A"), again(file("c.png", mtime_ns=7), "A")]
    assert tally.record(more, 1, NOW + 9) == more
    assert accounting(rows) == (3, 3, 0, 0, 0)
    assert rows("SELECT copy, capture_ns, width, sharpness FROM image ORDER BY id") == [
        (0, 5, 8, 100.5),
        (1, 6, 8, 100.5),
        (2, 7, 8, 100.5),
    ]
    assert rows("SELECT label, votes, score, classified_ns FROM verdict") == [
        (2, 3, 0.75, NOW),
        (2, 3, 0.75, NOW + 9),
        (2, 3, 0.75, NOW + 9),
    ]
    assert rows("SELECT path, image_id FROM sighting") == [("a.png", 1), ("b.png", 2), ("c.png", 3)]


def test_the_same_content_twice_in_a_batch_counts_twice_where_each_sighting_counts(tally, rows):
    batch = [counted(file("a.png"), "A"), again(file("b.png"), "A"), counted(file("c.png"), "A")]
    assert tally.record(batch, 1, NOW) == batch
    assert accounting(rows) == (3, 3, 0, 0, 0)


def test_a_restart_counts_no_sighting_twice(tally, rows, tmp_path):
    batch = [
        counted(file("a.png"), "A"),
        again(file("b.png"), "A"),
        torn(file("c.png"), "C"),
        again(file("d.png"), "C"),
    ]
    tally.record(batch, 1, NOW)
    assert accounting(rows) == (4, 2, 2, 0, 0)
    tally.close()
    with open_ledger(tmp_path / "ledger.sqlite", count_sightings=True) as after:
        assert after.note([outcome.found for outcome in batch], NOW) == []
        # Killed between commit and answer, the daemon may bring the same once more: by content it is known now.
        repeated = [Again(outcome.found, outcome.sha256, outcome.capture) for outcome in batch]
        assert after.record(repeated, 1, NOW) == []
        assert after.record(batch, 1, NOW) == []
    assert accounting(rows) == (4, 2, 2, 0, 0)


def test_a_sighting_told_of_again_keeps_its_own_copy_when_sightings_no_longer_count(tally, rows, tmp_path):
    batch = [counted(file("a.png"), "A"), again(file("b.png"), "A")]
    tally.record(batch, 1, NOW)
    tally.close()
    with open_ledger(tmp_path / "ledger.sqlite") as after:
        assert after.record([*batch, again(file("c.png"), "A")], 1, NOW) == []
    assert rows("SELECT path, image_id FROM sighting") == [("a.png", 1), ("b.png", 2), ("c.png", 2)]
    assert accounting(rows) == (2, 2, 0, 0, 1), "no copy is left without a file"


def test_a_rejected_copy_is_a_reject_of_its_own_where_each_sighting_counts(tally, rows):
    batch = [
        rejected(file("a.png"), "text", "not an image", "not a JPEG"),
        again(file("b.png"), "text"),
        rejected(file("c.png"), "text", "not an image", "not a JPEG"),
    ]
    assert tally.record(batch, 1, NOW) == batch
    assert accounting(rows) == (3, 0, 3, 0, 0)
    assert rows("SELECT reason, images FROM refusal") == [("not an image", 3)]
    assert rows("SELECT COUNT(*) FROM verdict") == [(0,)]


def test_a_copy_of_an_image_set_aside_is_set_aside_too(tally, rows):
    tally.record([counted(file("a.png"), "A", aside="blurred"), again(file("b.png"), "A")], 1, NOW)
    assert accounting(rows) == (2, 0, 2, 0, 0)
    assert rows("SELECT reason, images FROM refusal") == [("blurred", 2)]


def test_a_torn_file_made_whole_leaves_no_reject_where_each_sighting_counts(tally, rows):
    tally.record([torn(file("a.png", 5, 5), "half"), again(file("b.png", 5, 5), "half")], 1, NOW)
    assert accounting(rows) == (2, 0, 2, 0, 0)
    tally.record([counted(file("a.png", 10, 6), "A")], 1, NOW)
    assert accounting(rows) == (2, 1, 1, 0, 0)
    tally.record([again(file("b.png", 10, 6), "A")], 1, NOW)
    assert accounting(rows) == (2, 2, 0, 0, 0)


def test_a_ledger_that_counted_sightings_goes_on_by_content_when_told_so(tally, rows, tmp_path):
    tally.record([counted(file("a.png"), "A"), again(file("b.png"), "A")], 1, NOW)
    tally.close()
    with open_ledger(tmp_path / "ledger.sqlite") as by_content:
        assert by_content.record([again(file("c.png"), "A")], 1, NOW) == []
    assert accounting(rows) == (2, 2, 0, 0, 1)
