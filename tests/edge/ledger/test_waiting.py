"""What waits: found, grown, renamed, gone, dropped, taken up."""

from edge.daemon.outcome import Unread
from edge.intake.overload import drop, take_up
from edge.ledger.ledger import open_ledger

from .given import NOW, accounting, counted, file, sha, waiting_paths


def test_a_found_file_waits(ledger, rows):
    assert ledger.note([file("a.png"), file("b/c.png")], NOW) == [file("a.png"), file("b/c.png")]
    assert waiting_paths(ledger) == ["a.png", "b/c.png"]
    assert accounting(rows) == (2, 0, 0, 2, 0)
    assert rows("SELECT path, size, mtime_ns, found_ns FROM sighting") == [
        ("a.png", 10, 5, NOW),
        ("b/c.png", 10, 5, NOW),
    ]


def test_a_file_that_grows_while_it_waits_is_one_waiting_file(ledger, rows):
    for size in (0, 100, 200):
        assert ledger.note([file("a.png", size, size)], NOW + size) == [file("a.png", size, size)]
    assert rows("SELECT path, size, mtime_ns, found_ns FROM sighting") == [("a.png", 200, 200, NOW)]


def test_a_file_renamed_while_it_waits_is_one_waiting_file_whatever_its_size(ledger, rows):
    ledger.note([file("a.png", size=0)], NOW)
    ledger.rename([("a.png", "b.png"), ("b.png", "c.png")])
    assert waiting_paths(ledger) == ["c.png"]
    ledger.note([file("c.png", size=20, mtime_ns=9)], NOW)
    assert rows("SELECT path, size, mtime_ns FROM sighting") == [("c.png", 20, 9)]
    assert accounting(rows) == (1, 0, 0, 1, 0)


def test_a_renamed_folder_takes_its_waiting_files_along(ledger):
    ledger.note([file("a/1.png"), file("a/b/2.png"), file("ab/3.png")], NOW)
    assert ledger.rename([("a/", "c/")]) == ["a/1.png", "a/b/2.png"]
    assert sorted(waiting_paths(ledger)) == ["ab/3.png", "c/1.png", "c/b/2.png"]


def test_a_rename_onto_a_waiting_file_leaves_one_waiting(ledger, rows):
    ledger.note([file("a.png", size=1), file("b.png", size=2)], NOW)
    ledger.rename([("a.png", "b.png")])
    assert rows("SELECT path, size FROM sighting") == [("b.png", 2)]


def test_a_rename_of_what_was_decided_or_never_seen_changes_nothing(ledger, rows):
    ledger.note([file("a.png")], NOW)
    ledger.record([counted(file("a.png"), "a")], 1, NOW)
    before = rows("SELECT * FROM sighting")
    ledger.rename([("a.png", "b.png"), ("never.png", "seen.png")])
    assert rows("SELECT * FROM sighting") == before
    assert accounting(rows) == (1, 1, 0, 0, 0)


def test_a_file_done_with_is_known_without_reading_it(ledger):
    done = file("a.png")
    ledger.note([done], NOW)
    ledger.record([counted(done, "A")], 1, NOW)
    assert ledger.note([done], NOW) == []


def test_a_restart_knows_what_the_last_run_knew(ledger, tmp_path, tiny):
    ledger.note([file("a.png"), file("b.png")], NOW)
    ledger.record([counted(file("a.png"), "A")], 1, NOW)
    ledger.close()
    with open_ledger(tmp_path / "ledger.sqlite") as again:
        assert again.bundle_id(tiny, NOW + 1) == 1
        assert again.note([file("a.png"), file("b.png")], NOW + 1) == [file("b.png")]
        assert again.knows(sha("A"))


def test_waiting_files_are_told_page_by_page_from_either_end(ledger):
    files = [file(f"{number}.png", size=number) for number in range(5)]
    ledger.note(files, NOW)
    ledger.record([counted(files[2], "2")], 1, NOW)
    left = [files[0], files[1], files[3], files[4]]
    for newest_first, wanted in ((False, left), (True, left[::-1])):
        first = ledger.waiting(3, newest_first=newest_first)
        assert [found for _, found in first] == wanted[:3]
        second = ledger.waiting(3, beyond=first[-1][0], newest_first=newest_first)
        assert [found for _, found in second] == wanted[3:]
        assert ledger.waiting(3, beyond=second[-1][0], newest_first=newest_first) == []
    assert ledger.waiting_count() == 4


def test_a_dropped_file_is_passed_by_until_it_is_taken_up_and_then_it_waits(ledger, rows):
    ledger.note([file("a.png"), file("b.png")], NOW)
    assert drop(ledger.connection, "newest", 1, lambda found: found.mtime_ns + 1, b"") == ["a.png"]
    assert ledger.note([file("a.png"), file("b.png")], NOW) == [file("b.png")]
    assert waiting_paths(ledger) == ["b.png"]
    assert rows("SELECT path, dropped, capture_ns FROM sighting") == [("a.png", "newest", 6), ("b.png", None, None)]
    assert take_up(ledger.connection, 10) == 1
    assert ledger.note([file("a.png")], NOW) == [file("a.png")]
    assert accounting(rows) == (2, 0, 0, 2, 0)


def test_a_dropped_file_that_was_written_anew_and_taken_up_is_one_waiting_file_when_it_changes_again(ledger, rows):
    ledger.note([file("a.png", 1, 1)], NOW)
    drop(ledger.connection, "newest", 1, lambda found: found.mtime_ns, b"")
    ledger.note([file("a.png", 2, 2)], NOW)
    take_up(ledger.connection, 10)
    assert ledger.note([file("a.png", 3, 3)], NOW) == [file("a.png", 3, 3)]
    assert accounting(rows) == (1, 0, 0, 1, 0)
    assert rows("SELECT path, size FROM sighting") == [("a.png", 3)]


def test_a_vanished_file_that_is_back_beside_its_successor_is_one_waiting_file_when_it_changes_again(ledger, rows):
    ledger.note([file("a.png", 1, 1)], NOW)
    ledger.vanish(["a.png"])
    for size in (2, 1, 3):
        assert ledger.note([file("a.png", size, size)], NOW) == [file("a.png", size, size)]
    assert accounting(rows) == (1, 0, 0, 1, 0)


def test_a_dropped_file_that_was_in_hand_already_counts_and_is_dropped_no_more(ledger, rows):
    ledger.note([file("a.png"), file("b.png")], NOW)
    drop(ledger.connection, "newest", 2, lambda found: found.mtime_ns, b"")
    ledger.record([counted(file("a.png"), "A"), Unread(file("b.png"), "unreadable", "I/O error")], 1, NOW)
    assert accounting(rows) == (2, 1, 1, 0, 0)
    assert rows("SELECT path, dropped FROM sighting ORDER BY path") == [("a.png", None), ("b.png", None)]


def test_only_waiting_files_are_renamed_or_vanish_dropped_ones_stay(ledger, rows):
    ledger.note([file("a.png")], NOW)
    drop(ledger.connection, "newest", 1, lambda found: found.mtime_ns, b"")
    assert ledger.rename([("a.png", "b.png")]) == []
    assert ledger.vanish(["a.png"]) == 0
    assert rows("SELECT path, dropped FROM sighting") == [("a.png", "newest")]
