"""The short form of power_cut.py, and what its parts claim.

PLANKTOW_RELIABILITY_IMAGES, PLANKTOW_CUTS and PLANKTOW_SEED make it longer or another one.
"""

import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from .crash_vfs import read_events, why_no_recording
from .cutting import recover
from .kill_nine import rendered
from .power_cut import study
from .torn_disk import SECTOR_BYTES, Commits, Disk, Event, Kind, Left, page_digests, whole_digest

IMAGES = int(os.environ.get("PLANKTOW_RELIABILITY_IMAGES", "200"))
CUTS = int(os.environ.get("PLANKTOW_CUTS", "30"))
SEED = int(os.environ.get("PLANKTOW_SEED", "1"))

needs_recording = pytest.mark.skipif(why_no_recording() is not None, reason=f"no recording: {why_no_recording()}")

OLD, NEW = b"o" * SECTOR_BYTES, b"n" * SECTOR_BYTES
CREATED = Event(Kind.CREATE, "file", 0, b"", False)
SYNCED = Event(Kind.SYNC, "file", 0, b"", True)


@pytest.mark.timeout(3600)
@needs_recording
def test_a_power_cut_at_any_moment_changes_no_count(tmp_path):
    assert study(rendered(IMAGES), tmp_path, CUTS, SEED, checkpoint_pages=100) == []


@needs_recording
def test_the_record_replays_to_the_very_bytes_on_the_disk(tmp_path):
    # With a deleted journal, a WAL that began anew, and a WAL that is still full when the process ends.
    write = """
import os, pathlib, sqlite3, sys
from tests.reliability.crash_vfs import Recorder
recorder = Recorder(pathlib.Path("events"))
recorder.install()
connection = sqlite3.connect("database", isolation_level=None)
connection.execute("CREATE TABLE note (text TEXT)")
connection.execute("PRAGMA journal_mode = WAL")
for number in range(300):
    connection.execute("INSERT INTO note VALUES (?)", (f"{number}" * 300,))
    if number in (100, 200):
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
recorder.close()
os._exit(0)
"""
    tree = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", write], cwd=tmp_path, env={**os.environ, "PYTHONPATH": tree}, check=True)
    disk, events = Disk({}), read_events(tmp_path / "events")
    for event in events:
        disk.apply(event)
    database = str(tmp_path.resolve() / "database")
    still_there = (database, f"{database}-wal")  # the journal was deleted
    assert disk.after_kill() == {path: Path(path).read_bytes() for path in still_there}
    assert {event.kind for event in events} == set(Kind) - {Kind.MARK}
    commits = Commits(database, Left({}, {}))
    for event in events:
        commits.apply(event)
    assert len(commits.digests) - 1 == 302  # the table, the mode, and 300 notes
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM note").fetchone() == (300,)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = page_digests((tmp_path / "database").read_bytes())
    assert whole_digest(pages) == commits.digests[-1]


def test_what_was_synced_is_there_after_every_cut():
    disk = Disk({})
    for event in (CREATED, write(0, OLD + OLD), SYNCED):
        disk.apply(event)
    assert {tuple(disk.after_power_cut(random.Random(seed)).items()) for seed in range(200)} == {(("file", OLD + OLD),)}


def test_what_was_not_synced_is_there_or_not_sector_by_sector_in_any_order():
    disk = Disk({"file": OLD + OLD})
    disk.apply(write(0, NEW + NEW))
    cuts = {disk.after_power_cut(random.Random(seed))["file"] for seed in range(400)}
    assert cuts == {OLD + OLD, OLD + NEW, NEW + OLD, NEW + NEW}


def test_a_file_may_have_grown_without_what_was_written():
    disk = Disk({"file": OLD})
    disk.apply(write(SECTOR_BYTES, NEW))
    cuts = {disk.after_power_cut(random.Random(seed))["file"] for seed in range(400)}
    assert cuts == {OLD, OLD + bytes(SECTOR_BYTES), OLD + NEW}


def test_a_truncation_that_was_not_synced_may_not_have_happened():
    disk = Disk({"file": OLD + OLD})
    disk.apply(Event(Kind.TRUNCATE, "file", SECTOR_BYTES, b"", False))
    cuts = {disk.after_power_cut(random.Random(seed))["file"] for seed in range(400)}
    assert {OLD, OLD + OLD} <= cuts
    assert all(cut.startswith(OLD) for cut in cuts)


def test_a_name_is_certain_only_once_its_folder_was_synced():
    disk = Disk({"other": OLD})
    for event in (CREATED, write(0, NEW), Event(Kind.SYNC, "file", 0, b"", False)):
        disk.apply(event)
    disk.apply(Event(Kind.DELETE, "other", 0, b"", False))
    cuts = {tuple(sorted(disk.after_power_cut(random.Random(seed)))) for seed in range(400)}
    assert cuts == {(), ("file",), ("other",), ("file", "other")}
    disk.apply(SYNCED)
    assert {tuple(disk.after_power_cut(random.Random(seed))) for seed in range(200)} == {("file",)}


def test_a_deleted_and_remade_file_may_be_the_old_one():
    disk = Disk({"file": OLD})
    for event in (
        Event(Kind.DELETE, "file", 0, b"", False),
        CREATED,
        write(0, NEW),
        Event(Kind.SYNC, "file", 0, b"", False),
    ):
        disk.apply(event)
    cuts = [disk.after_power_cut(random.Random(seed)) for seed in range(400)]
    assert {cut.get("file") for cut in cuts} == {OLD, None, NEW}


def test_a_torn_database_is_seen(tmp_path):
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        connection.execute("CREATE TABLE note (text TEXT)")
        connection.executemany("INSERT INTO note VALUES (?)", [(f"{number}" * 300,) for number in range(300)])
        connection.commit()
    whole = page_digests((tmp_path / "ledger.sqlite").read_bytes())
    assert recover(tmp_path) == whole
    with (tmp_path / "ledger.sqlite").open("r+b") as database:
        database.seek(-3, os.SEEK_END)  # in the text of a row: SQLite itself sees nothing
        database.write(b"x")
    assert whole_digest(recover(tmp_path)) != whole_digest(whole)
    with (tmp_path / "ledger.sqlite").open("r+b") as database:
        database.seek(2 * 4096)
        database.write(bytes(SECTOR_BYTES))
    with pytest.raises(sqlite3.DatabaseError):
        recover(tmp_path)


def write(offset, data):
    return Event(Kind.WRITE, "file", offset, data, False)
