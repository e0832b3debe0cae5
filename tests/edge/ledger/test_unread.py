"""Files that could not be read, that vanished, and that came back."""

from edge.daemon.outcome import Unread

from .given import NOW, accounting, counted, file, waiting_paths


def test_an_unread_file_is_rejected_with_its_sighting(ledger, rows):
    giant = Unread(file("a.png", 10**12), "too large", "1000000000000 bytes, the limit is 5")
    ledger.note([giant.found], NOW)
    assert ledger.record([giant], 1, NOW) == [giant]
    assert accounting(rows) == (1, 0, 1, 0, 0)
    assert rows("SELECT image_id, reason, detail FROM sighting") == [(None, giant.reason, giant.detail)]
    assert ledger.note([giant.found], NOW) == [], "a giant stays a giant"


def test_an_unreadable_file_is_tried_again_and_counts_when_it_can_be_read(ledger, rows):
    closed = Unread(file("a.png"), "unreadable", "Permission denied")
    ledger.note([closed.found], NOW)
    assert ledger.record([closed], 1, NOW) == [closed]
    assert ledger.note([closed.found], NOW) == [closed.found]
    assert ledger.record([closed], 1, NOW) == [], "known already: nothing to log"
    assert accounting(rows) == (1, 0, 1, 0, 0)
    ledger.record([counted(closed.found, "A")], 1, NOW)
    assert accounting(rows) == (1, 1, 0, 0, 0)


def test_a_file_that_was_read_stays_counted_when_it_is_unreadable_later(ledger, rows):
    ledger.record([counted(file("a.png"), "A")], 1, NOW)
    assert ledger.record([Unread(file("a.png"), "unreadable", "I/O error")], 1, NOW) == []
    assert accounting(rows) == (1, 1, 0, 0, 0)


def test_a_waiting_file_that_is_gone_is_rejected_as_vanished(ledger, rows):
    ledger.note([file("a.png")], NOW)
    assert ledger.vanish(["a.png"]) == 1
    assert accounting(rows) == (1, 0, 1, 0, 0)
    assert rows("SELECT reason, detail FROM sighting") == [("vanished", "the file was gone before it was read")]


def test_a_vanished_file_that_is_back_as_it_was_waits_again(ledger, rows):
    ledger.note([file("a.png")], NOW)
    ledger.vanish(["a.png"])
    assert ledger.note([file("a.png")], NOW) == [file("a.png")]
    assert accounting(rows) == (1, 0, 0, 1, 0)


def test_a_waiting_file_that_was_renamed_is_not_lost(ledger):
    ledger.note([file("a.png", 10, 5)], NOW)
    ledger.note([file("b.png", 10, 5)], NOW + 1)
    assert ledger.vanish(["a.png"]) == 0
    assert waiting_paths(ledger) == ["b.png"]


def test_a_lost_file_is_not_taken_for_one_that_was_there_before_it_with_the_same_size_and_time(ledger, rows):
    """A disk that keeps whole or even seconds, and a camera that writes bare frames: many files share both."""
    ledger.note([file("a.png", 10, 5), file("b.png", 10, 5)], NOW)
    assert ledger.vanish(["b.png"]) == 1
    assert accounting(rows) == (2, 0, 1, 1, 0)


def test_one_new_name_accounts_for_one_lost_file_and_not_for_two(ledger, rows):
    ledger.note([file("a.png", 10, 5), file("b.png", 10, 5)], NOW)
    ledger.note([file("c.png", 10, 5)], NOW + 1)
    assert ledger.vanish(["a.png", "b.png"]) == 1
    assert accounting(rows) == (2, 0, 1, 1, 0)


def test_a_file_taken_for_vanished_is_cleared_when_it_counts_under_its_new_name(ledger, rows):
    ledger.note([file("a.png", 10, 5)], NOW)
    assert ledger.vanish(["a.png"]) == 1
    ledger.note([file("b.png", 10, 5)], NOW + 1)
    ledger.record([counted(file("b.png", 10, 5), "A")], 1, NOW + 2)
    assert accounting(rows) == (1, 1, 0, 0, 0)


def test_a_lost_file_stays_lost_when_one_counts_that_was_there_before_it(ledger, rows):
    ledger.note([file("a.png", 10, 5), file("b.png", 10, 5)], NOW)
    assert ledger.vanish(["a.png"]) == 1
    ledger.record([counted(file("b.png", 10, 5), "B")], 1, NOW + 1)
    assert accounting(rows) == (2, 1, 1, 0, 0)


def test_one_file_that_counts_clears_one_lost_file_of_its_size_and_time(ledger, rows):
    ledger.note([file("a.png", 10, 5), file("b.png", 10, 5)], NOW)
    assert ledger.vanish(["a.png", "b.png"]) == 2
    ledger.note([file("c.png", 10, 5)], NOW + 1)
    ledger.record([counted(file("c.png", 10, 5), "C")], 1, NOW + 1)
    assert accounting(rows) == (2, 1, 1, 0, 0)


def test_only_waiting_files_vanish(ledger, rows):
    ledger.record([counted(file("a.png"), "A")], 1, NOW)
    assert ledger.vanish(["a.png", "unknown.png"]) == 0
    assert accounting(rows) == (1, 1, 0, 0, 0)
