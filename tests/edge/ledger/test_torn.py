"""Files that end before their image does, and what is made of them later."""

from .given import NOW, accounting, again, counted, file, rejected, torn


def test_a_torn_file_made_whole_counts_once_and_is_no_reject(ledger, rows):
    half, whole = file("a.png", 10, 5), file("a.png", 20, 6)
    ledger.record([torn(half, "half")], 1, NOW)
    assert accounting(rows) == (1, 0, 1, 0, 0)
    ledger.note([whole], NOW)
    ledger.record([counted(whole, "whole")], 1, NOW)
    assert accounting(rows) == (1, 1, 0, 0, 0)
    assert rows("SELECT path, size FROM sighting") == [("a.png", 20)]


def test_a_torn_file_made_whole_within_one_batch_counts_once_and_is_no_reject(ledger, rows):
    half, whole = file("a.png", 10, 5), file("a.png", 20, 6)
    ledger.note([half], NOW)
    ledger.record([torn(half, "half"), counted(whole, "whole")], 1, NOW)
    assert accounting(rows) == (1, 1, 0, 0, 0)
    assert rows("SELECT path, size FROM sighting") == [("a.png", 20)], "nor does the size it was noted with wait"


def test_a_torn_file_that_grew_and_is_still_torn_is_one_reject(ledger, rows):
    for size in (10, 20, 30):
        ledger.record([torn(file("a.png", size, size), f"half {size}")], 1, NOW)
    assert accounting(rows) == (1, 0, 1, 0, 0)
    assert rows("SELECT bytes FROM image") == [(30,)]


def test_a_torn_file_made_whole_as_an_image_known_before_leaves_no_reject(ledger, rows):
    ledger.record([counted(file("a.png"), "A"), torn(file("b.png", 5, 5), "half of A")], 1, NOW)
    ledger.record([again(file("b.png", 10, 6), "A")], 1, NOW)
    assert accounting(rows) == (1, 1, 0, 0, 1)


def test_a_fragment_that_another_file_has_too_stays_in_the_accounts(ledger, rows):
    empty = rejected(file("a.png", 0, 5), "", "empty", "the file has no bytes")
    ledger.record([empty, again(file("b.png", 0, 5), "")], 1, NOW)
    assert accounting(rows) == (1, 0, 1, 0, 1)
    ledger.record([counted(file("a.png", 10, 6), "A")], 1, NOW)
    assert accounting(rows) == (2, 1, 1, 0, 0)


def test_a_reject_that_was_not_torn_stays_when_its_name_is_used_again(ledger, rows):
    foreign = rejected(file("a.png", 4, 5), "text", "not an image", "not a JPEG")
    ledger.record([foreign], 1, NOW)
    ledger.record([counted(file("a.png", 10, 6), "A")], 1, NOW)
    assert accounting(rows) == (2, 1, 1, 0, 0)


def test_a_copy_of_a_fragment_superseded_in_its_own_batch_goes_on_waiting(ledger, rows):
    ledger.record([torn(file("a.png", 5, 5), "half")], 1, NOW)
    ledger.note([file("a.png", 10, 6), file("b.png", 5, 5)], NOW)
    ledger.record([counted(file("a.png", 10, 6), "A"), again(file("b.png", 5, 5), "half")], 1, NOW)
    assert accounting(rows) == (2, 1, 0, 1, 0)
    assert ledger.note([file("b.png", 5, 5)], NOW) == [file("b.png", 5, 5)]
