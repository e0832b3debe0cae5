"""Every image accounted for, each once."""

import dataclasses
import sqlite3

import pytest

from edge.capture.capture import Capture
from edge.ledger.ledger import spelled, stored

from .given import NOW, accounting, again, counted, file, sha, torn, waiting_paths


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
