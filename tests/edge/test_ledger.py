"""The ledger on real SQLite files: every image accounted for, each once."""

import dataclasses
import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bundle.errors import BadConfig
from edge.files import Found
from edge.ledger import open_ledger, open_ledger_readonly
from edge.migrations import APPLICATION_ID, MIGRATIONS, migrate
from edge.outcome import Again, Counted, Rejected, Unread

NOW = 1_790_000_000_000_000_000


def sha(content: str) -> bytes:
    return hashlib.sha256(content.encode()).digest()


def file(path: str, size: int = 10, mtime_ns: int = 5) -> Found:
    return Found(path, size, mtime_ns)


def counted(found: Found, content: str, label: int = 0) -> Counted:
    return Counted(found, sha(content), 8, 9, label, 3, 0.75)


def torn(found: Found, content: str) -> Rejected:
    return Rejected(found, sha(content), "truncated", "the PNG file ends before its image does")


def accounting(rows) -> tuple:
    return rows("SELECT seen, counted, rejected, waiting, duplicates FROM accounting")[0]


@pytest.fixture
def ledger(tmp_path, tiny):
    with open_ledger(tmp_path / "ledger.sqlite") as opened:
        assert opened.bundle_id(tiny, NOW) == 1
        yield opened


# Waiting


def test_a_found_file_waits(ledger, rows):
    assert ledger.note([file("a.png"), file("b/c.png")], NOW) == [file("a.png"), file("b/c.png")]
    assert ledger.waiting_paths() == ["a.png", "b/c.png"]
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
    assert ledger.waiting_paths() == ["c.png"]
    ledger.note([file("c.png", size=20, mtime_ns=9)], NOW)
    assert rows("SELECT path, size, mtime_ns FROM sighting") == [("c.png", 20, 9)]
    assert accounting(rows) == (1, 0, 0, 1, 0)


def test_a_renamed_folder_takes_its_waiting_files_along(ledger):
    ledger.note([file("a/1.png"), file("a/b/2.png"), file("ab/3.png")], NOW)
    assert ledger.rename([("a/", "c/")]) == ["a/1.png", "a/b/2.png"]
    assert sorted(ledger.waiting_paths()) == ["ab/3.png", "c/1.png", "c/b/2.png"]


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


# Counting


def test_a_batch_is_committed_with_images_verdicts_and_sightings(ledger, rows):
    ledger.note([file("a.png"), file("b.png", 20, 6)], NOW)
    outcomes = [counted(file("a.png"), "A", 2), torn(file("b.png", 20, 6), "B")]
    assert ledger.record(outcomes, 1, NOW + 7) == outcomes
    assert rows("SELECT id, sha256, bytes, width, height, capture_ns, reason, detail FROM image") == [
        (1, sha("A"), 10, 8, 9, 5, None, None),
        (2, sha("B"), 20, None, None, 6, "truncated", "the PNG file ends before its image does"),
    ]
    assert rows("SELECT * FROM verdict") == [(1, 1, 2, 3, 0.75, NOW + 7)]
    assert rows("SELECT path, image_id, reason FROM sighting") == [("a.png", 1, None), ("b.png", 2, None)]
    assert accounting(rows) == (2, 1, 1, 0, 0)


def test_a_batch_that_fails_half_way_leaves_nothing_of_itself(ledger, rows):
    ledger.note([file("a.png"), file("b.png")], NOW)
    bad = Counted(file("b.png"), sha("B"), 8, 9, "not a number", 3, 0.5)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        ledger.record([counted(file("a.png"), "A"), bad], 1, NOW)
    assert accounting(rows) == (2, 0, 0, 2, 0)
    assert not ledger.knows(sha("A"))
    ledger.record([counted(file("a.png"), "A")], 1, NOW)
    assert accounting(rows) == (2, 1, 0, 1, 0)


def test_the_same_content_under_two_names_counts_once(ledger, rows):
    first, second = file("a.png", 10, 5), file("b.png", 10, 9)
    ledger.record([counted(first, "A")], 1, NOW)
    assert ledger.record([Again(second, sha("A"))], 1, NOW) == []
    assert accounting(rows) == (1, 1, 0, 0, 1)
    assert rows("SELECT capture_ns FROM image") == [(5,)], "the first sighting dates the image"


def test_the_same_content_twice_in_a_batch_counts_once(ledger, rows):
    ledger.record([counted(file("a.png"), "A"), Again(file("b.png"), sha("A"))], 1, NOW)
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
    ledger.record([counted(file("b.png"), "B"), Again(file("c.png"), sha("A"))], 2, NOW + 1)
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


# Torn files


def test_a_torn_file_made_whole_counts_once_and_is_no_reject(ledger, rows):
    half, whole = file("a.png", 10, 5), file("a.png", 20, 6)
    ledger.record([torn(half, "half")], 1, NOW)
    assert accounting(rows) == (1, 0, 1, 0, 0)
    ledger.note([whole], NOW)
    ledger.record([counted(whole, "whole")], 1, NOW)
    assert accounting(rows) == (1, 1, 0, 0, 0)
    assert rows("SELECT path, size FROM sighting") == [("a.png", 20)]


def test_a_torn_file_that_grew_and_is_still_torn_is_one_reject(ledger, rows):
    for size in (10, 20, 30):
        ledger.record([torn(file("a.png", size, size), f"half {size}")], 1, NOW)
    assert accounting(rows) == (1, 0, 1, 0, 0)
    assert rows("SELECT bytes FROM image") == [(30,)]


def test_a_torn_file_made_whole_as_an_image_known_before_leaves_no_reject(ledger, rows):
    ledger.record([counted(file("a.png"), "A"), torn(file("b.png", 5, 5), "half of A")], 1, NOW)
    ledger.record([Again(file("b.png", 10, 6), sha("A"))], 1, NOW)
    assert accounting(rows) == (1, 1, 0, 0, 1)


def test_a_fragment_that_another_file_has_too_stays_in_the_accounts(ledger, rows):
    empty = Rejected(file("a.png", 0, 5), sha(""), "empty", "the file has no bytes")
    ledger.record([empty, Again(file("b.png", 0, 5), sha(""))], 1, NOW)
    assert accounting(rows) == (1, 0, 1, 0, 1)
    ledger.record([counted(file("a.png", 10, 6), "A")], 1, NOW)
    assert accounting(rows) == (2, 1, 1, 0, 0)


def test_a_reject_that_was_not_torn_stays_when_its_name_is_used_again(ledger, rows):
    foreign = Rejected(file("a.png", 4, 5), sha("text"), "not an image", "not a JPEG")
    ledger.record([foreign], 1, NOW)
    ledger.record([counted(file("a.png", 10, 6), "A")], 1, NOW)
    assert accounting(rows) == (2, 1, 1, 0, 0)


def test_a_copy_of_a_fragment_superseded_in_its_own_batch_goes_on_waiting(ledger, rows):
    ledger.record([torn(file("a.png", 5, 5), "half")], 1, NOW)
    ledger.note([file("a.png", 10, 6), file("b.png", 5, 5)], NOW)
    ledger.record([counted(file("a.png", 10, 6), "A"), Again(file("b.png", 5, 5), sha("half"))], 1, NOW)
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
    ledger.note([file("a.png", 10, 5), file("b.png", 10, 5)], NOW)
    assert ledger.vanish(["a.png"]) == 0
    assert ledger.waiting_paths() == ["b.png"]


def test_a_file_taken_for_vanished_is_cleared_when_it_counts_under_its_new_name(ledger, rows):
    ledger.note([file("a.png", 10, 5)], NOW)
    assert ledger.vanish(["a.png"]) == 1
    ledger.note([file("b.png", 10, 5)], NOW)
    ledger.record([counted(file("b.png", 10, 5), "A")], 1, NOW)
    assert accounting(rows) == (1, 1, 0, 0, 0)


def test_only_waiting_files_vanish(ledger, rows):
    ledger.record([counted(file("a.png"), "A")], 1, NOW)
    assert ledger.vanish(["a.png", "unknown.png"]) == 0
    assert accounting(rows) == (1, 1, 0, 0, 0)


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
    with pytest.raises(BadConfig, match=r"text: not a Planktow ledger; give another file"):
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


# Migrations


def test_migrations_are_recorded_and_not_run_twice(tmp_path):
    ran = []

    def m001_one(connection: sqlite3.Connection) -> None:
        ran.append(1)
        connection.execute("CREATE TABLE one (a)")

    def m002_two(connection: sqlite3.Connection) -> None:
        ran.append(2)
        connection.execute("ALTER TABLE one ADD COLUMN b")

    with closing(sqlite3.connect(tmp_path / "l", isolation_level=None)) as connection:
        migrate(connection, (m001_one,))
        migrate(connection, (m001_one, m002_two))
        migrate(connection, (m001_one, m002_two))
        assert connection.execute("SELECT version, name FROM migration").fetchall() == [
            (1, "m001_one"),
            (2, "m002_two"),
        ]
    assert ran == [1, 2]


def test_a_migration_that_fails_leaves_neither_its_work_nor_its_record(tmp_path):
    def m001_one(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE one (a)")

    def m002_breaks(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE two (a)")
        raise RuntimeError("power cut")

    with closing(sqlite3.connect(tmp_path / "l", isolation_level=None)) as connection:
        with pytest.raises(RuntimeError, match="power cut"):
            migrate(connection, (m001_one, m002_breaks))
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        assert tables == [("migration",), ("one",)]
        assert connection.execute("SELECT version FROM migration").fetchall() == [(1,)]


@pytest.mark.usefixtures("ledger")
def test_the_first_schema_is_what_readers_were_promised(rows):
    columns = {
        table: [name for (name,) in rows("SELECT name FROM pragma_table_info(?)", table)]
        for table in ("bundle", "image", "sighting", "verdict", "accounting")
    }
    assert columns == {
        "bundle": ["id", "digest", "name", "labels", "opened_ns"],
        "image": ["id", "sha256", "bytes", "width", "height", "capture_ns", "reason", "detail"],
        "sighting": ["id", "path", "size", "mtime_ns", "found_ns", "image_id", "reason", "detail"],
        "verdict": ["image_id", "bundle_id", "label", "votes", "score", "classified_ns"],
        "accounting": ["seen", "counted", "rejected", "waiting", "duplicates"],
    }
    assert rows("PRAGMA journal_mode") == [("wal",)]
