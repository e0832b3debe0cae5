"""The ledger on real SQLite files: every image accounted for, each once."""

import dataclasses
import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bundle.errors import BadConfig
from bundle.measures import Measures
from edge.capture.capture import Capture
from edge.daemon.outcome import Again, Counted, Outcome, Rejected, Unread
from edge.intake.files import Found
from edge.intake.overload import drop, take_up
from edge.ledger.ledger import open_ledger, spelled, stored
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.ledger.migrations import APPLICATION_ID, MIGRATIONS

NOW = 1_790_000_000_000_000_000


def sha(content: str) -> bytes:
    return hashlib.sha256(content.encode()).digest()


def file(path: str, size: int = 10, mtime_ns: int = 5) -> Found:
    return Found(path, size, mtime_ns)


MEASURES = Measures(8, 9, sharpness=100.5, dark_share=0.25, bright_share=0.125, ink_share=0.5, mean_grey=99.5)


def taken(found: Found) -> Capture:
    return Capture(found.mtime_ns, "mtime")


def counted(found: Found, content: str, label: int = 0, aside: str | None = None) -> Counted:
    return Counted(found, sha(content), taken(found), MEASURES, label, 3, 0.75, aside)


def again(found: Found, content: str) -> Again:
    return Again(found, sha(content), taken(found))


def rejected(found: Found, content: str, reason: str, detail: str) -> Rejected:
    return Rejected(found, sha(content), taken(found), reason, detail)


def torn(found: Found, content: str) -> Rejected:
    return rejected(found, content, "truncated", "the PNG file ends before its image does")


def waiting_paths(ledger) -> list[str]:
    return [found.path for _, found in ledger.waiting(1000)]


def accounting(rows) -> tuple:
    """Seen, counted, rejected, waiting, duplicates, where nothing was dropped; as the triggers have it, and it is true."""
    columns = "seen, counted, rejected, waiting, duplicates, dropped"
    (account,) = rows(f"SELECT {columns} FROM accounting")
    assert [account] == rows(f"SELECT {columns} FROM audit")
    *numbers, dropped = account
    assert dropped == 0
    return tuple(numbers)


@pytest.fixture
def ledger(tmp_path, tiny):
    with open_ledger(tmp_path / "ledger.sqlite") as opened:
        assert opened.bundle_id(tiny, NOW) == 1
        yield opened


# Waiting


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


# Counting


def test_a_batch_is_committed_with_images_verdicts_and_sightings(ledger, rows):
    ledger.note([file("a.png"), file("b.png", 20, 6)], NOW)
    outcomes = [counted(file("a.png"), "A", 2), torn(file("b.png", 20, 6), "B")]
    assert ledger.record(outcomes, 1, NOW + 7) == outcomes
    columns = (
        "id, sha256, copy, bytes, width, height, capture_ns, time_source, sharpness, dark_share, bright_share,"
        " ink_share, mean_grey, aside, reason, detail"
    )
    assert rows(f"SELECT {columns} FROM image") == [
        (1, sha("A"), 0, 10, 8, 9, 5, "mtime", 100.5, 0.25, 0.125, 0.5, 99.5, None, None, None),
        (
            *(2, sha("B"), 0, 20, None, None, 6, "mtime", None, None, None, None, None, None),
            *("truncated", "the PNG file ends before its image does"),
        ),
    ]
    assert rows("SELECT * FROM verdict") == [(1, 1, 2, 3, 0.75, NOW + 7, None, None)]
    assert rows("SELECT path, image_id, reason FROM sighting") == [("a.png", 1, None), ("b.png", 2, None)]
    assert accounting(rows) == (2, 1, 1, 0, 0)


def test_a_batch_that_fails_half_way_leaves_nothing_of_itself(ledger, rows):
    ledger.note([file("a.png"), file("b.png")], NOW)
    bad = dataclasses.replace(counted(file("b.png"), "B"), label="not a number")  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        ledger.record([counted(file("a.png"), "A"), bad], 1, NOW)
    assert accounting(rows) == (2, 0, 0, 2, 0)
    assert not ledger.knows(sha("A"))
    ledger.record([counted(file("a.png"), "A")], 1, NOW)
    assert accounting(rows) == (2, 1, 0, 1, 0)


def test_the_same_content_under_two_names_counts_once(ledger, rows):
    first, second = file("a.png", 10, 5), file("b.png", 10, 9)
    ledger.record([counted(first, "A")], 1, NOW)
    assert ledger.record([again(second, "A")], 1, NOW) == []
    assert accounting(rows) == (1, 1, 0, 0, 1)
    assert rows("SELECT capture_ns FROM image") == [(5,)], "the first sighting dates the image"


def test_the_same_content_twice_in_a_batch_counts_once(ledger, rows):
    ledger.record([counted(file("a.png"), "A"), again(file("b.png"), "A")], 1, NOW)
    assert accounting(rows) == (1, 1, 0, 0, 1)


def test_new_content_under_an_old_name_is_a_new_image(ledger, rows):
    ledger.record([counted(file("a.png", 10, 5), "A")], 1, NOW)
    assert ledger.note([file("a.png", 11, 6)], NOW) == [file("a.png", 11, 6)]
    ledger.record([counted(file("a.png", 11, 6), "B")], 1, NOW)
    assert accounting(rows) == (2, 2, 0, 0, 0)


def test_each_verdict_bears_the_bundle_that_gave_it(ledger, rows, tiny):
    ledger.record([counted(file("a.png"), "A")], 1, NOW)
    upgraded = dataclasses.replace(tiny, digest="f" * 64)
    assert ledger.bundle_id(upgraded, NOW + 1) == 2
    assert ledger.bundle_id(tiny, NOW + 2) == 1
    ledger.record([counted(file("b.png"), "B"), again(file("c.png"), "A")], 2, NOW + 1)
    assert rows("SELECT image_id, bundle_id FROM verdict") == [(1, 1), (2, 2)]
    assert rows("SELECT digest, name, labels, opened_ns FROM bundle") == [
        (tiny.digest, "tiny-3", '["chain", "sphere", "jelly"]', NOW),
        ("f" * 64, "tiny-3", '["chain", "sphere", "jelly"]', NOW + 1),
    ]


def test_a_name_that_is_not_utf8_is_kept(ledger, rows):
    odd = file("caf\udce9.png")
    assert ledger.note([odd], NOW) == [odd]
    ledger.record([counted(odd, "A")], 1, NOW)
    assert rows("SELECT path FROM sighting") == [(r"caf\xe9.png",)]
    assert ledger.note([odd], NOW) == []


def test_an_image_that_a_rule_sets_aside_keeps_its_verdict_and_is_counted_as_rejected(ledger, rows):
    outcomes = [counted(file("a.png"), "A", 2, aside="blurred"), counted(file("b.png"), "B")]
    assert ledger.record(outcomes, 1, NOW) == outcomes
    assert accounting(rows) == (2, 1, 1, 0, 0)
    assert rows("SELECT image_id, label FROM verdict") == [(1, 2), (2, 0)]
    assert rows("SELECT reason, images FROM refusal") == [("blurred", 1)]
    assert rows("SELECT label, images FROM total") == [(0, 1)]


def test_a_capture_time_of_its_own_dates_the_image_and_not_the_file(ledger, rows):
    ledger.record([dataclasses.replace(counted(file("a.png"), "A"), capture=Capture(-7, "tag"))], 1, NOW)
    assert rows("SELECT capture_ns, time_source FROM image") == [(-7, "tag")]
    assert rows("SELECT hour_ns, images FROM hourly") == [(-3600 * 10**9, 1)], "an hour before 1970 begins before it"


def test_a_name_may_hold_what_its_escapes_look_like(ledger):
    assert list(spelled("plain.png")) == ["plain.png"]
    for name in ("caf\udce9.png", r"caf\xe9.png", "\udcff\udc80 é", r"a\xZZ\x41.png"):
        assert name in spelled(stored(name)), name
        stored(name).encode()  # text that SQLite takes
    assert list(spelled(r"caf\xe9.png")) == [r"caf\xe9.png", "caf\udce9.png"]
    ledger.note([file("caf\udce9.png")], NOW)
    assert waiting_paths(ledger) == [r"caf\xe9.png"]
    assert ledger.rename([("caf\udce9.png", "b/\udce9.png")]) == [r"caf\xe9.png"]
    assert waiting_paths(ledger) == [r"b/\xe9.png"]
    assert ledger.vanish(["b/\udce9.png"]) == 1


# Where each sighting counts


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


# Torn files


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


# Files that could not be read


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


# Archives


SHARD = file("tow/one.tar", 1000, 5)


def test_an_archive_is_known_once_all_its_members_stand_as_sightings(ledger, rows):
    assert not ledger.knows_shard(SHARD)
    ledger.note([file("tow/one.tar/1.png"), file("tow/one.tar/2.png")], NOW)
    assert not ledger.knows_shard(SHARD)
    ledger.shard_listed(SHARD, 2, NOW)
    assert ledger.knows_shard(SHARD)
    assert rows("SELECT * FROM shard") == [("tow/one.tar", 1000, 5, 2, NOW)]
    assert accounting(rows) == (2, 0, 0, 2, 0), "an archive is no image"


def test_an_archive_that_grew_is_another_one_and_the_listing_of_the_last_stands(ledger, rows):
    ledger.shard_listed(SHARD, 2, NOW)
    grown = file("tow/one.tar", 2000, 6)
    assert not ledger.knows_shard(grown)
    ledger.shard_listed(grown, 4, NOW + 1)
    assert ledger.knows_shard(grown)
    assert not ledger.knows_shard(SHARD)
    assert rows("SELECT * FROM shard") == [("tow/one.tar", 2000, 6, 4, NOW + 1)]


def test_an_archive_that_cannot_be_walked_is_rejected_and_known_until_it_is_whole(ledger, rows):
    ledger.record([Unread(SHARD, "truncated", "the tar file ends early")], 1, NOW)
    assert ledger.knows_shard(SHARD)
    assert accounting(rows) == (1, 0, 1, 0, 0)
    whole = file("tow/one.tar", 2000, 6)
    assert not ledger.knows_shard(whole)
    ledger.note([file("tow/one.tar/1.png")], NOW)
    ledger.shard_listed(whole, 1, NOW)
    assert accounting(rows) == (1, 0, 0, 1, 0), "its fault is forgotten, its member waits"


# Errands, notes, what retention took


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


# The file itself


def test_a_second_daemon_on_the_ledger_is_refused(ledger, tmp_path):
    with pytest.raises(BadConfig) as refused:
        open_ledger(tmp_path / "ledger.sqlite")
    assert str(refused.value) == (
        f"{tmp_path / 'ledger.sqlite'}: in use by another planktow-edge (process {os.getpid()}); stop that one first"
    )
    ledger.note([file("a.png")], NOW)  # the first is not disturbed


def test_the_ledger_is_free_again_when_its_daemon_is_done(tmp_path):
    for _ in range(2):
        with open_ledger(tmp_path / "ledger.sqlite"):
            pass


def test_a_ledger_in_a_missing_folder_is_refused_and_nothing_is_made(tmp_path):
    with pytest.raises(BadConfig, match=r"no such folder for the ledger; create it, or mount its disk"):
        open_ledger(tmp_path / "mnt" / "ledger.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_sees_what_is_committed_while_the_daemon_writes(ledger, tmp_path):
    with closing(open_ledger_readonly(tmp_path / "ledger.sqlite")) as reader:
        ledger.note([file("a.png")], NOW)
        assert reader.execute("SELECT waiting FROM accounting").fetchone() == (1,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM sighting")


def test_a_reader_holds_up_no_writer(ledger, tmp_path):
    with closing(open_ledger_readonly(tmp_path / "ledger.sqlite")) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT seen FROM accounting").fetchone() == (0,)
        ledger.note([file("a.png")], NOW)
        assert reader.execute("SELECT seen FROM accounting").fetchone() == (0,)


def test_a_ledger_that_nobody_has_open_can_be_read(tmp_path):
    with open_ledger(tmp_path / "a ledger?#.sqlite") as writer:
        writer.note([file("a.png")], NOW)
    with closing(open_ledger_readonly(tmp_path / "a ledger?#.sqlite")) as reader:
        assert reader.execute("SELECT waiting FROM accounting").fetchone() == (1,)


def test_a_missing_ledger_is_not_made_by_reading_it(tmp_path):
    with pytest.raises(BadConfig, match=r"l\.sqlite: no such ledger; give the file that `planktow-edge run` writes"):
        open_ledger_readonly(tmp_path / "l.sqlite")
    assert list(tmp_path.iterdir()) == []


def database(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


@pytest.mark.parametrize("opened", [open_ledger, open_ledger_readonly])
def test_what_is_not_a_ledger_is_refused_and_left_as_it_was(tmp_path, opened):
    text = tmp_path / "text"
    text.write_text("not a database\n" * 100)
    told = r"text: no ledger, or damaged \(.*\); give another file, or run: planktow-edge repair --ledger .*/text"
    with pytest.raises(BadConfig, match=told):
        opened(text)
    other = database(tmp_path / "other", "CREATE TABLE mine (a)")
    before = other.read_bytes()
    with pytest.raises(BadConfig, match=r"other: a database, but not a Planktow ledger; give another file"):
        opened(other)
    assert (text.read_text(), other.read_bytes()) == ("not a database\n" * 100, before)


@pytest.mark.parametrize("opened", [open_ledger, open_ledger_readonly])
def test_a_ledger_of_a_newer_version_is_refused(tmp_path, opened):
    path = tmp_path / "ledger.sqlite"
    open_ledger(path).close()
    database(path, "INSERT INTO migration VALUES (99, 'm099_later', 0)")
    with pytest.raises(BadConfig) as refused:
        opened(path)
    assert str(refused.value) == (
        f"{path}: made by a newer Planktow (schema 99, this one knows {len(MIGRATIONS)}); upgrade Planktow"
    )


def test_a_reader_of_an_older_ledger_is_told_how_it_comes_up_to_date(tmp_path):
    path = database(
        tmp_path / "ledger.sqlite",
        "CREATE TABLE migration (version INTEGER PRIMARY KEY, name TEXT, applied_ns INTEGER)",
        f"PRAGMA application_id = {APPLICATION_ID}",
    )
    with pytest.raises(BadConfig, match="of an older Planktow; `planktow-edge run` brings it up to date"):
        open_ledger_readonly(path)
    open_ledger(path).close()
    open_ledger_readonly(path).close()


@pytest.mark.usefixtures("ledger")
def test_the_schema_is_what_readers_were_promised(rows):
    columns = {
        table: [name for (name,) in rows("SELECT name FROM pragma_table_info(?)", table)]
        for (table,) in rows("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name <> 'migration'")
    }
    assert columns == {
        "bundle": ["id", "digest", "name", "labels", "opened_ns"],
        "image": [
            *("id", "sha256", "copy", "bytes", "width", "height", "capture_ns", "time_source"),
            *("sharpness", "dark_share", "bright_share", "ink_share", "mean_grey", "aside", "reason", "detail"),
        ],
        "sighting": [
            *("id", "path", "size", "mtime_ns", "found_ns", "image_id", "reason", "detail"),
            *("dropped", "capture_ns", "gone_ns"),
        ],
        "verdict": ["image_id", "bundle_id", "label", "votes", "score", "classified_ns", "asked", "scores"],
        "shadow_bundle": ["id", "digest", "name", "labels", "opened_ns"],
        "shadow_verdict": ["image_id", "bundle_id", "label", "votes", "score", "asked"],
        "errand": ["sighting_id"],
        "shard": ["path", "size", "mtime_ns", "members", "listed_ns"],
        "note": ["name", "value"],
        "account": ["id", "seen", "rejected", "waiting", "dropped", "images", "sighted"],
        "refusal": ["reason", "images"],
        "total": ["bundle_id", "label", "votes", "images"],
        "hourly": ["hour_ns", "bundle_id", "label", "votes", "images"],
        "accounting": ["seen", "counted", "rejected", "waiting", "dropped", "duplicates"],
        "audit": ["seen", "counted", "rejected", "waiting", "dropped", "duplicates"],
    }
    assert rows("PRAGMA journal_mode") == [("wal",)]
