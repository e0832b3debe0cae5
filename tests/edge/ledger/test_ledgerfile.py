"""The file itself: one writer, any reader, and what is refused."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bundle.errors import BadConfig
from edge.ledger.ledger import open_ledger
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.ledger.migrations import APPLICATION_ID, MIGRATIONS

from .given import NOW, file


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
