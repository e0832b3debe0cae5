"""Backups of real ledgers, with a real writer at work, real kills and a real full disk."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bundle.errors import BadConfig
from edge.ledger.backup import (
    HOUR_NS,
    PARTIAL,
    Backup,
    Backups,
    BackupSettings,
    back_up,
    backup_due,
    backups_of,
)
from edge.ledger.ledgercopy import BackupFailed
from edge.ledger.migrations import APPLICATION_ID
from edge.ledger.soundness import check_ledger, closed_well

from .conftest import until

NOON = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()) * 1_000_000_000
NO_MOUNTS = "unshare --user --map-root-user --mount does not work here, so there is no small disk to fill"

# A writer like the daemon: rows come in pairs, so that a copy of half a transaction would be told.
WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA busy_timeout = 10000")
connection.execute("PRAGMA synchronous = NORMAL")
while True:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO image (content, pair) VALUES (randomblob(32), ?)", [(0,), (1,)] * 32)
    connection.execute("COMMIT")
    print("committed", flush=True)
"""


def make_ledger(path: Path, rows: int = 1000, blob_bytes: int = 32) -> None:
    """A database with what any ledger has, and some rows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("CREATE TABLE migration (version INTEGER PRIMARY KEY, name TEXT, applied_ns INTEGER)")
        connection.execute("CREATE TABLE image (id INTEGER PRIMARY KEY, content BLOB UNIQUE, pair INTEGER)")
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO image (content, pair) SELECT randomblob(?), i % 2 FROM n",
            (rows, blob_bytes),
        )


def images(path: Path) -> list[tuple]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT * FROM image ORDER BY id").fetchall()


def names(folder: Path) -> list[str]:
    """What a person sees there; the lock is hidden."""
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))


def hammering(ledger: Path, code: str = WRITER) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", code, str(ledger)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "committed\n"
    return process


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    make_ledger(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def on_a_small_disk(script: str, *arguments: object, size: str = "3m") -> subprocess.CompletedProcess[str]:
    """Runs Python code with a tmpfs of `size` mounted over its first argument; skips where that is forbidden."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip(NO_MOUNTS)
    mount = f'mount -t tmpfs -o size={size} none "$1" || exit 77; exec "$0" -c "$SCRIPT" "$@"'
    done = subprocess.run(
        [*unshare, "sh", "-c", mount, sys.executable, *map(str, arguments)],
        env={**os.environ, "SCRIPT": script},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip(NO_MOUNTS)
    return done


class TestBackUp:
    def test_a_backup_is_one_checked_file_with_the_ledgers_rows(self, ledger: Path, folder: Path) -> None:
        path = back_up(ledger, folder, keep=7, now_ns=NOON)
        assert path == folder / "ledger-00001-20261123T120000Z.sqlite"
        assert names(folder) == [path.name]
        assert images(path) == images(ledger)
        assert path.read_bytes()[18:20] == b"\x01\x01", "its header must not ask for a log beside it"
        assert check_ledger(path, thorough=True) == []

    def test_a_backup_under_a_hammering_writer_is_one_moment_and_holds_no_commit_up(
        self, tmp_path: Path, folder: Path
    ) -> None:
        ledger = tmp_path / "ledger.sqlite"
        make_ledger(ledger, rows=60_000, blob_bytes=600)
        writer = hammering(ledger)
        commits_between_steps: list[str] = []
        try:
            path = back_up(ledger, folder, 7, NOON, lambda: commits_between_steps.append(writer.stdout.readline()))
        finally:
            killed(writer)
        # Each step waited for a commit: a writer locked out would have hung the test, a copy begun anew by each
        # commit would never have ended.
        assert len(commits_between_steps) >= 3
        assert set(commits_between_steps) == {"committed\n"}
        copied = images(path)
        assert len(copied) >= 60_000 + 64
        assert len(copied) % 64 == 60_000 % 64, "no half transaction"
        assert copied == images(ledger)[: len(copied)]
        assert len(images(ledger)) > len(copied)

    def test_the_newest_stay_and_files_of_others_are_never_deleted(self, ledger: Path, folder: Path) -> None:
        folder.mkdir()
        others = ["ledger-20261123T120000Z.sqlite", "ledger-1-x.sqlite", "other-00001-20261123T120000Z.sqlite", "notes"]
        others += [f"other-00001-20261123T120000Z.sqlite{PARTIAL}"]
        for name in others:
            (folder / name).write_bytes(b"mine")
        for day in range(5):
            back_up(ledger, folder, keep=3, now_ns=NOON + day * 24 * HOUR_NS)
        kept = [f"ledger-{day:05d}-202611{22 + day}T120000Z.sqlite" for day in (3, 4, 5)]
        assert names(folder) == sorted([*others, *kept])
        assert all((folder / name).read_bytes() == b"mine" for name in others)

    def test_after_the_clock_was_set_back_a_new_backup_is_still_the_newest(self, ledger: Path, folder: Path) -> None:
        back_up(ledger, folder, keep=2, now_ns=NOON)
        back_up(ledger, folder, keep=2, now_ns=0)
        newest = back_up(ledger, folder, keep=2, now_ns=0)  # the same second: no backup is written over
        assert names(folder) == ["ledger-00002-19700101T000000Z.sqlite", "ledger-00003-19700101T000000Z.sqlite"]
        assert backups_of(ledger, folder)[-1].path == newest

    @pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
    def test_what_a_killed_run_leaves_is_no_backup_and_the_next_run_cleans_it_up(
        self, ledger: Path, folder: Path, signal_number: int
    ) -> None:
        kept = back_up(ledger, folder, keep=1, now_ns=NOON)
        script = (
            "import os, sys; from pathlib import Path; from edge.ledger.backup import back_up\n"
            "back_up(Path(sys.argv[1]), Path(sys.argv[2]), 1, 0, lambda: os.kill(os.getpid(), int(sys.argv[3])))"
        )
        run = [sys.executable, "-c", script, str(ledger), str(folder), str(int(signal_number))]
        assert subprocess.run(run, check=False).returncode == -signal_number
        assert [name for name in names(folder) if PARTIAL in name], "it was killed in the middle"
        assert [backup.path for backup in backups_of(ledger, folder)] == [kept]
        after = back_up(ledger, folder, keep=1, now_ns=NOON)
        assert names(folder) == [after.name]

    def test_a_disk_with_too_little_room_is_refused_before_a_byte_is_written(self, tmp_path: Path) -> None:
        ledger, folder = tmp_path / "ledger.sqlite", tmp_path / "small"
        make_ledger(ledger, rows=4000, blob_bytes=1000)
        folder.mkdir()
        done = on_a_small_disk(_SMALL.replace("FILL", "pass"), folder, ledger)
        assert done.stdout.splitlines() == ["[]"], done.stderr
        assert "small: the disk is too full for a copy of ledger.sqlite (3.1 MB free, " in done.stderr
        assert "needed); free some space there" in done.stderr

    def test_a_disk_that_fills_up_meanwhile_fails_the_backup_and_keeps_the_others(self, tmp_path: Path) -> None:
        ledger, folder = tmp_path / "ledger.sqlite", tmp_path / "small"
        make_ledger(ledger, rows=28_000, blob_bytes=700)  # two steps, of 16 MiB each
        folder.mkdir()
        fill = "(folder / 'photo').write_bytes(bytes(shutil.disk_usage(folder).free))"
        done = on_a_small_disk(_SMALL.replace("FILL", fill), folder, ledger, size="120m")
        assert done.stdout.splitlines() == ["['ledger-00001-19700101T000000Z.sqlite', 'photo']"], done.stderr
        assert "small: " in done.stderr
        assert "full" in done.stderr or "No space left" in done.stderr
        assert "free some space there" in done.stderr or "mount its disk" in done.stderr

    def test_a_damaged_ledger_is_not_backed_up_and_the_sound_backups_stay(self, ledger: Path, folder: Path) -> None:
        sound = back_up(ledger, folder, keep=1, now_ns=NOON)
        overwrite(ledger, page=3)
        with pytest.raises(BackupFailed, match=r"the ledger is damaged.*run `planktow-edge repair`"):
            back_up(ledger, folder, keep=1, now_ns=NOON)
        assert names(folder) == [sound.name]

    def test_two_runs_at_once_do_not_meet_in_one_folder(self, ledger: Path, folder: Path) -> None:
        def another() -> None:
            with pytest.raises(BackupFailed, match="another backup is being made there"):
                back_up(ledger, folder, keep=1, now_ns=NOON)

        path = back_up(ledger, folder, keep=1, now_ns=NOON, between_steps=another)
        assert names(folder) == [path.name]

    def test_a_folder_whose_disk_is_not_mounted_is_not_made(self, ledger: Path, tmp_path: Path) -> None:
        with pytest.raises(BackupFailed, match=r"away/backups: no backup can be made there \(No such file"):
            back_up(ledger, tmp_path / "away" / "backups", keep=1, now_ns=NOON)
        assert not (tmp_path / "away").exists()

    def test_a_missing_ledger_is_refused(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(BadConfig, match="no such ledger"):
            back_up(tmp_path / "ledger.sqlite", folder, keep=1, now_ns=NOON)
        assert not folder.exists()


_SMALL = """
import shutil, sys
from pathlib import Path
from edge.ledger.backup import back_up
folder, ledger = Path(sys.argv[1]), Path(sys.argv[2])
def fill():
    FILL
try:
    if "photo" in fill.__code__.co_consts:
        back_up(ledger, folder, 1, 0)
    back_up(ledger, folder, 1, 0, fill)
finally:
    print(sorted(file.name for file in folder.iterdir() if not file.name.startswith(".")))
"""


def overwrite(ledger: Path, page: int, data: bytes = b"\xa5" * 4096) -> None:
    """Damage: the page `page` (1 is the first) becomes `data`."""
    with ledger.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(data)


class TestDue:
    @pytest.mark.parametrize(
        ("made_hours_ago", "due"), [((), True), ((30, 23.9), False), ((30, 24), True), ((0,), False), ((-1,), True)]
    )
    def test_a_backup_is_due_when_the_newest_is_old_or_of_the_future(
        self, made_hours_ago: tuple[float, ...], due: bool
    ) -> None:
        backups = [Backup(n, Path(str(n)), NOON - int(hours * HOUR_NS)) for n, hours in enumerate(made_hours_ago)]
        assert backup_due(backups, every_hours=24, now_ns=NOON) is due


class TestCheck:
    def test_a_sound_ledger_has_no_faults_also_beside_its_writer(self, ledger: Path) -> None:
        writer = hammering(ledger)
        try:
            assert check_ledger(ledger, thorough=False) == []
            assert check_ledger(ledger, thorough=True) == []
        finally:
            killed(writer)

    @pytest.mark.parametrize("page", [1, 2, 3, 4])
    def test_an_overwritten_page_is_found(self, ledger: Path, page: int) -> None:
        overwrite(ledger, page)
        assert check_ledger(ledger, thorough=False) != []

    def test_a_truncated_ledger_is_found(self, ledger: Path) -> None:
        os.truncate(ledger, ledger.stat().st_size // 2)
        assert check_ledger(ledger, thorough=False) != []

    def test_an_empty_file_is_no_sound_ledger(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        faults = check_ledger(tmp_path / "empty", thorough=False)
        assert faults == ["the file does not have the mark of a Planktow ledger"]

    def test_a_reference_that_leads_nowhere_is_found_when_thorough(self, ledger: Path) -> None:
        with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
            connection.execute("CREATE TABLE verdict (image_id INTEGER REFERENCES image (id))")
            connection.execute("INSERT INTO verdict VALUES (1), (99999)")
            assert check_ledger(connection, thorough=False) == []
            assert check_ledger(connection, thorough=True) == [
                "row 2 of verdict refers to a row of image that is not there"
            ]

    def test_a_ledger_is_known_to_be_closed_well_unless_its_writer_was_killed(self, ledger: Path) -> None:
        assert closed_well(ledger)
        killed(hammering(ledger))
        assert not closed_well(ledger)
        with closing(sqlite3.connect(ledger)) as connection:
            connection.execute("SELECT COUNT(*) FROM image").fetchone()
        assert closed_well(ledger)

    def test_a_copy_in_the_making_does_not_make_a_ledger_look_badly_closed_for_good(
        self, ledger: Path, folder: Path
    ) -> None:
        back_up(ledger, folder, keep=1, now_ns=NOON)
        check_ledger(ledger, thorough=False)
        assert closed_well(ledger)


class TestBackups:
    @pytest.fixture
    def backups(self, ledger: Path) -> Iterator[Callable[..., Backups]]:
        made: list[Backups] = []

        def make(command: tuple[str, ...] = (), **settings: object) -> Backups:
            made.append(Backups(ledger, BackupSettings(**settings), now=0.0, command=command))
            return made[-1]

        yield make
        for each in made:
            each.close()

    def test_one_is_made_in_a_process_of_its_own_when_due_and_not_again_before_its_time(
        self, backups: Callable[..., Backups], ledger: Path, folder: Path
    ) -> None:
        daily = backups()
        now_ns = int(datetime.now(UTC).timestamp()) * 1_000_000_000
        until(lambda: daily.turn(now_ns, 0.0), "a backup")
        assert daily.problem is None
        (only,) = backups_of(ledger, folder)
        assert images(only.path) == images(ledger)
        assert not daily.turn(now_ns + 10 * 24 * HOUR_NS, 23.9 * 3600)  # not due by the clock that cannot jump
        assert backups_of(ledger, folder) == [only]
        assert not daily.turn(now_ns + 25 * HOUR_NS, 24.1 * 3600)
        until(lambda: daily.turn(now_ns, 24.1 * 3600), "the next day's")
        assert [backup.number for backup in backups_of(ledger, folder)] == [1, 2]

    def test_its_fault_is_told_in_one_line_and_gone_after_a_good_one(
        self, backups: Callable[..., Backups], ledger: Path, folder: Path
    ) -> None:
        folder.write_text("a file where the folder should be")
        daily = backups()
        until(lambda: daily.turn(NOON, 0.0), "a fault")
        assert daily.problem is not None
        assert daily.problem.startswith(f"{folder}: no backup can be made there (File exists)")
        folder.unlink()
        assert not daily.turn(NOON, 3599.0)  # a fault is no reason to try without a pause
        until(lambda: daily.turn(NOON, 3601.0), "a backup")
        assert daily.problem is None
        assert len(backups_of(ledger, folder)) == 1

    def test_no_folder_means_no_backups(self, backups: Callable[..., Backups], tmp_path: Path) -> None:
        assert not backups(folder="").turn(NOON, 0.0)
        assert names(tmp_path) == ["ledger.sqlite"]

    def test_a_backup_in_the_making_ends_with_the_daemon(self, backups: Callable[..., Backups], tmp_path: Path) -> None:
        slow = backups(
            command=(sys.executable, "-c", "import sys, time; open(sys.argv[1] + '.pid', 'w'); time.sleep(600)")
        )
        assert not slow.turn(NOON, 0.0)
        until((tmp_path / "ledger.sqlite.pid").exists, "the child")
        slow.close()
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)


class TestSettings:
    def test_by_default_backups_lie_beside_the_ledger(self) -> None:
        assert BackupSettings().folder_for(Path("/var/lib/planktow/l.sqlite")) == Path("/var/lib/planktow/backups")
        assert BackupSettings(folder="/mnt/usb").folder_for(Path("/var/l.sqlite")) == Path("/mnt/usb")
        assert BackupSettings(folder="").folder_for(Path("/var/l.sqlite")) is None

    def test_no_backup_at_all_cannot_be_kept(self) -> None:
        with pytest.raises(BadConfig, match="keep must be from 1 to"):
            BackupSettings(keep=0)
