"""Repairs of really damaged ledgers, killed at each of their steps."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bundle.errors import BadConfig
from edge.ledger.backup import HOUR_NS, back_up
from edge.ledger.ledgercopy import BackupFailed
from edge.ledger.ledgerfile import lock_ledger
from edge.ledger.repair import repair, repair_plan
from edge.ledger.soundness import check_ledger

from .test_backup import NOON, hammering, images, killed, make_ledger, names, on_a_small_disk, overwrite

ASIDE = "ledger.sqlite.damaged-20261124T120000Z"
LATER = NOON + 24 * HOUR_NS


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    make_ledger(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def add_row(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("INSERT INTO image (content, pair) VALUES (randomblob(32), 0)")


def zero_header(ledger: Path) -> None:
    overwrite(ledger, 1, bytes(100))


def overwrite_leaf(ledger: Path) -> None:
    overwrite(ledger, 5)


def truncate(ledger: Path) -> None:
    os.truncate(ledger, ledger.stat().st_size // 2)


def empty(ledger: Path) -> None:
    os.truncate(ledger, 0)


def lose(ledger: Path) -> None:
    ledger.unlink()


def lose_index_row(ledger: Path) -> None:
    """A fault that quick_check does not see: the index that keeps images from being counted twice lacks one."""
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name LIKE 'sqlite_autoindex%'"
        ).fetchone()
        # The same root as a table of its own, without rows' identity, from which one row is deleted.
        connection.execute(
            "INSERT INTO sqlite_schema VALUES ('table', 'raw', 'raw', ?,"
            " 'CREATE TABLE raw (content, id, PRIMARY KEY (content, id)) WITHOUT ROWID')",
            (root,),
        )
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("DELETE FROM raw WHERE id = 7")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'raw'")


class TestRepair:
    def test_a_sound_ledger_is_left_as_it_is(self, ledger: Path, folder: Path, tmp_path: Path) -> None:
        back_up(ledger, folder, 7, NOON)
        before = ledger.read_bytes()
        done = repair(ledger, folder, LATER)
        assert done.faults == ()
        assert done.lines == [f"{ledger}: the ledger is sound; nothing was changed"]
        assert ledger.read_bytes() == before
        assert not list(tmp_path.glob("*damaged*"))

    @pytest.mark.parametrize("damage", [zero_header, overwrite_leaf, truncate, empty, lose_index_row])
    def test_a_damaged_ledger_gives_way_to_the_newest_backup_and_is_kept(
        self, ledger: Path, folder: Path, tmp_path: Path, damage: Callable[[Path], None]
    ) -> None:
        back_up(ledger, folder, 7, NOON - HOUR_NS)
        add_row(ledger)
        newest = back_up(ledger, folder, 7, NOON)
        damage(ledger)
        wrong = ledger.read_bytes()
        done = repair(ledger, folder, LATER)
        assert images(ledger) == images(newest)
        assert len(images(ledger)) == 1001
        assert check_ledger(ledger, thorough=True) == []
        assert (tmp_path / ASIDE).read_bytes() == wrong
        assert (done.damaged, done.restored, done.age_hours, done.refused) == (ASIDE, str(newest), 24.0, ())
        assert done.faults
        assert not repair_plan(ledger).exists()
        assert repair(ledger, folder, LATER).faults == (), "what was restored is sound to the next repair"

    def test_a_missing_ledger_is_restored(self, ledger: Path, folder: Path, tmp_path: Path) -> None:
        newest = back_up(ledger, folder, 7, NOON)
        rows = images(ledger)
        lose(ledger)
        done = repair(ledger, folder, LATER)
        assert done.faults == ("the ledger is missing",)
        assert done.lines[:2] == [
            f"{ledger}: the ledger is missing",
            f"restored {newest} (0.1 MB, made 24.0 hours ago)",
        ]
        assert images(ledger) == rows
        assert not (tmp_path / ASIDE).exists()

    def test_the_damaged_ledgers_log_never_comes_to_lie_beside_the_restored_one(
        self, ledger: Path, folder: Path, tmp_path: Path
    ) -> None:
        newest = back_up(ledger, folder, 7, NOON)
        killed(hammering(ledger))
        log = (tmp_path / "ledger.sqlite-wal").read_bytes()
        assert log
        ruin(ledger)
        assert repair(ledger, folder, LATER).faults
        assert (tmp_path / f"{ASIDE}-wal").read_bytes() == log
        assert images(ledger) == images(newest)
        assert check_ledger(ledger, thorough=True) == []

    def test_a_log_of_garbage_is_no_damage_the_ledger_is_as_of_its_last_checkpoint(
        self, ledger: Path, folder: Path, tmp_path: Path
    ) -> None:
        rows = images(ledger)
        (tmp_path / "ledger.sqlite-wal").write_bytes(os.urandom(50_000))
        assert repair(ledger, folder, LATER).faults == ()
        assert images(ledger) == rows

    def test_an_older_backup_is_taken_where_the_newer_are_damaged_too(self, ledger: Path, folder: Path) -> None:
        good = back_up(ledger, folder, 7, NOON - 2 * HOUR_NS)
        bad = [back_up(ledger, folder, 7, NOON - HOUR_NS), back_up(ledger, folder, 7, NOON)]
        overwrite_leaf(bad[0])
        zero_header(bad[1])
        overwrite_leaf(ledger)
        done = repair(ledger, folder, LATER)
        assert done.restored == str(good)
        assert [line.split(" (")[0] for line in done.refused] == [str(bad[1]), str(bad[0])]
        assert images(ledger) == images(good)

    @pytest.mark.parametrize("with_bad_backup", [False, True])
    def test_without_a_sound_backup_the_damaged_ledger_is_put_aside_and_the_person_is_told(
        self, ledger: Path, folder: Path, tmp_path: Path, with_bad_backup: bool
    ) -> None:
        if with_bad_backup:
            zero_header(back_up(ledger, folder, 7, NOON))
        overwrite_leaf(ledger)
        wrong = ledger.read_bytes()
        done = repair(ledger, folder, LATER)
        assert not ledger.exists()
        assert (tmp_path / ASIDE).read_bytes() == wrong
        assert done.restored is None
        assert len(done.refused) == with_bad_backup
        assert done.lines[-1].startswith(
            "no sound backup: start the daemon, and it begins a new ledger; images still in"
        )

    def test_it_refuses_while_a_daemon_has_the_ledger(self, ledger: Path, folder: Path) -> None:
        overwrite_leaf(ledger)
        wrong = ledger.read_bytes()
        with closing(lock_ledger(ledger)), pytest.raises(BadConfig, match="in use by another planktow-edge"):
            repair(ledger, folder, LATER)
        assert ledger.read_bytes() == wrong

    def test_a_database_of_another_kind_is_not_touched(self, tmp_path: Path, folder: Path) -> None:
        other = tmp_path / "music.sqlite"
        with closing(sqlite3.connect(other)) as connection:
            connection.execute("CREATE TABLE song (id INTEGER PRIMARY KEY)")
        before = other.read_bytes()
        with pytest.raises(BadConfig, match="a database, but not a Planktow ledger"):
            repair(other, folder, LATER)
        assert other.read_bytes() == before

    def test_neither_ledger_nor_backup_is_a_wrong_path(self, tmp_path: Path, folder: Path) -> None:
        with pytest.raises(BadConfig, match=r"no such ledger, and no backup of it in .*backups; check both paths"):
            repair(tmp_path / "ledger.sqlite", folder, LATER)
        assert names(tmp_path) == ["ledger.sqlite.lock"]

    def test_a_second_damage_in_the_same_second_writes_over_nothing(
        self, ledger: Path, folder: Path, tmp_path: Path
    ) -> None:
        back_up(ledger, folder, 7, NOON)
        for page in (5, 6):
            overwrite(ledger, page)
            repair(ledger, folder, LATER)
        assert len({(tmp_path / name).read_bytes() for name in (ASIDE, f"{ASIDE}-2")}) == 2

    def test_a_full_disk_leaves_the_damaged_ledger_where_it_is(self, tmp_path: Path) -> None:
        small, elsewhere = tmp_path / "small", tmp_path / "backups"
        small.mkdir()
        make_ledger(tmp_path / "l.sqlite", rows=4000, blob_bytes=1000)
        back_up(tmp_path / "l.sqlite", elsewhere, 7, NOON)
        script = (
            "import sys; from pathlib import Path; from edge.ledger.repair import repair\n"
            "small = Path(sys.argv[1]); (small / 'l.sqlite').write_bytes(b'x' * 9000)\n"
            "try:\n    repair(small / 'l.sqlite', Path(sys.argv[2]), 0)\n"
            "finally:\n    print(sorted((f.name, f.stat().st_size) for f in small.iterdir() if f.suffix != '.lock'))"
        )
        done = on_a_small_disk(script, small, elsewhere)
        assert done.stdout.splitlines() == ["[('l.sqlite', 9000)]"], done.stderr
        assert BackupFailed.__name__ in done.stderr
        assert "too full" in done.stderr


# Runs a repair and kills it with SIGKILL before the Nth call that changes a name on the disk, or syncs a folder.
KILLED_REPAIR = """
import os, signal, sys
from pathlib import Path
left = int(sys.argv[3])
def on(event, arguments):
    global left
    if event in ("os.rename", "os.remove", "os.unlink") or (event == "open" and ".repair" in str(arguments[0])):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
from edge.ledger.repair import repair
sys.addaudithook(on)
repair(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[4]))
"""


class TestKilled:
    @pytest.mark.parametrize("with_backup", [True, False])
    def test_a_repair_killed_at_any_step_is_finished_by_the_next_and_loses_no_file(
        self, tmp_path: Path, with_backup: bool
    ) -> None:
        for step in range(1, 100):
            base = tmp_path / str(step)
            base.mkdir()
            ledger, folder = base / "ledger.sqlite", base / "backups"
            make_ledger(ledger)
            backup = back_up(ledger, folder, 7, NOON) if with_backup else None
            killed(hammering(ledger))  # it leaves a log
            ruin(ledger)
            wrong, log = ledger.read_bytes(), (base / "ledger.sqlite-wal").read_bytes()
            run = [sys.executable, "-c", KILLED_REPAIR, str(ledger), str(folder), str(step), str(LATER)]
            code = subprocess.run(run, check=False, capture_output=True).returncode
            if code == 0:
                break
            assert code == -signal.SIGKILL
            unfinished = repair_plan(ledger).exists()
            if not ledger.exists() and with_backup:
                assert unfinished, "a daemon must not begin a new ledger now"
            done = repair(ledger, folder, LATER + HOUR_NS) if ledger.exists() or unfinished or with_backup else None
            if done is not None and done.faults:
                assert done.continued == unfinished
            kept = [path.read_bytes() for path in base.glob("ledger.sqlite.damaged-*")]
            assert wrong in kept, f"step {step}"
            assert log in kept, f"step {step}"
            if backup is not None:
                assert images(ledger) == images(backup), f"step {step}"
            assert not repair_plan(ledger).exists()
            assert not list(base.glob("*.restored*"))
        assert step > (8 if with_backup else 6), "the repair was never killed"


def ruin(ledger: Path) -> None:
    """Damage that no log makes good: every page but the first."""
    pages = ledger.stat().st_size // 4096
    overwrite(ledger, 2, b"\xa5" * 4096 * (pages - 1))
