"""A damaged ledger aboard: the daemon refuses it, one command restores the newest backup, the daemon counts the rest."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Ship, until
from .images import image_bytes, kind_of

PAGE_BYTES = 4096


def series(ship: Ship, numbers: range) -> dict[str, str]:
    """Drops one image a number; returns path -> the label it must get."""
    expected = {}
    for number in numbers:
        name = f"{number:04d}.png"
        (ship.watch / name).write_bytes(image_bytes(kind_of(number), number))
        expected[name] = kind_of(number)
    return expected


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def refused(*arguments: object) -> str:
    """The one line with which a command refuses."""
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line


def damage(ledger: Path) -> None:
    """Overwrites all pages but the first, and the log, as a failing card does."""
    for file, first in ((ledger, PAGE_BYTES), (ledger.with_name(ledger.name + "-wal"), 0)):
        size = file.stat().st_size if file.exists() else 0
        if size > first:
            with file.open("r+b") as opened:
                opened.seek(first)
                opened.write(os.urandom(size - first))
    assert ledger.stat().st_size > 10 * PAGE_BYTES


def damaged_at_sea(ship: Ship) -> dict[str, str]:
    """40 images, 25 of them in a backup, the ledger damaged after a kill. Returns path -> label."""
    expected = series(ship, range(25))
    (ship.watch / "copy of 0.png").write_bytes(image_bytes(kind_of(0), 0))
    ship.start()
    ship.await_accounting(counted=25, duplicates=1)
    done = command("backup", "--ledger", ship.ledger)
    assert (done.returncode, done.stderr) == (0, "")
    assert ship.stop() == 0  # what stood in the log comes into the file
    ship.start()
    expected |= series(ship, range(25, 40))
    ship.await_accounting(counted=40, duplicates=1)
    ship.kill()
    damage(ship.ledger)
    return expected | {"copy of 0.png": kind_of(0)}


def test_a_damaged_ledger_is_refused_repaired_and_counted_to_the_same_end(ship):
    expected = damaged_at_sea(ship)
    ship.start(ready=False)
    assert ship.exit_code() == 2
    last = ship.said().splitlines()[-1]
    assert f"{ship.ledger}: " in last
    assert "damaged (" in last
    assert last.endswith(f"run: planktow-edge repair --ledger {ship.ledger}")
    assert "Traceback" not in ship.said()

    done = command("repair", "--ledger", ship.ledger)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert any(line.startswith("restored ") and "/backups/ledger-" in line for line in said), said
    assert any(line.startswith("the damaged files are kept as ledger.sqlite.damaged-") for line in said), said
    assert len([*ship.ledger.parent.glob("ledger.sqlite.damaged-*")]) >= 1

    ship.start()
    ship.await_accounting(counted=40, duplicates=1)
    assert ship.verdicts() == expected
    assert ship.rows("SELECT * FROM accounting") == ship.rows("SELECT * FROM audit")
    assert ship.stop() == 0
    again = command("repair", "--ledger", ship.ledger)
    assert (again.returncode, again.stdout) == (0, f"{ship.ledger}: the ledger is sound; nothing was changed\n")


def test_without_a_backup_the_repair_begins_anew_and_all_images_are_counted_again(ship):
    expected = damaged_at_sea(ship)
    for backup in (ship.ledger.parent / "backups").glob("ledger-*"):
        backup.unlink()
    done = command("repair", "--ledger", ship.ledger)
    assert done.returncode == 0
    assert "no sound backup: start the daemon" in done.stdout
    ship.start()
    ship.await_accounting(counted=40, duplicates=1)
    assert ship.verdicts() == expected


def test_the_daemon_makes_its_own_backups_and_repair_finds_them(ship):
    expected = series(ship, range(10))
    ship.start()
    ship.await_accounting(counted=10)
    folder = ship.ledger.parent / "backups"
    until(lambda: [*folder.glob("ledger-*.sqlite")], "the first backup")
    assert ship.stop() == 0
    damage(ship.ledger)
    done = command("repair", "--ledger", ship.ledger)
    assert done.returncode == 0
    assert f"restored {folder}/ledger-00001-" in done.stdout
    ship.start()
    ship.await_accounting(counted=10)
    assert ship.verdicts() == expected


def test_repair_beside_the_running_daemon_is_refused_in_one_line(ship):
    ship.start()
    pid = ship.process.pid
    assert refused("repair", "--ledger", ship.ledger).endswith(
        f"{ship.ledger}: in use by another planktow-edge (process {pid}); stop that one first"
    )


@pytest.mark.parametrize("name", ["backup", "repair", "catch-up", "report"])
def test_a_ledger_that_is_not_there_is_told_in_one_line_and_not_made(tmp_path, name):
    ledger = tmp_path / "leger.sqlite"
    assert str(ledger) in refused(name, "--ledger", ledger)
    assert [file.name for file in tmp_path.iterdir() if not file.name.endswith(".lock")] == []


@pytest.mark.parametrize("name", ["backup", "catch-up", "report"])
def test_a_file_that_is_no_ledger_is_told_in_one_line(tmp_path, name):
    ledger = tmp_path / "notes.txt"
    ledger.write_text("positions of the moorings\n" * 100)
    assert ledger.name in refused(name, "--ledger", ledger)
    assert ledger.read_text() == "positions of the moorings\n" * 100


def test_a_backup_beside_the_running_daemon_says_what_it_wrote(ship):
    series(ship, range(5))
    ship.start()
    ship.await_accounting(counted=5)
    done = command("backup", "--ledger", ship.ledger, "--folder", ship.ledger.parent / "stick")
    assert (done.returncode, done.stderr) == (0, "")
    (backup,) = (ship.ledger.parent / "stick").glob("ledger-00001-*.sqlite")
    assert str(backup) in done.stdout


def test_catch_up_with_nothing_left_out_says_so(ship):
    series(ship, range(5))
    ship.start()
    ship.await_accounting(counted=5)
    done = command("catch-up", "--ledger", ship.ledger)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 dropped images to take up\n", "")
    assert refused("catch-up", "--ledger", ship.ledger, "--from", "yesterday").endswith(
        "'yesterday' is not a time; examples: 2026-11-23, 2026-11-23T12:30, 2026-11-23T12:30:05Z"
    )
    assert refused("catch-up", "--ledger", ship.ledger, "--from", "2026-11-24", "--to", "2026-11-23").endswith(
        "--from 2026-11-24 is not before --to 2026-11-23; give a later --to"
    )


def test_damage_done_while_the_daemon_was_stopped_is_refused_at_the_second_start_at_the_latest(ship):
    series(ship, range(25))
    ship.start()
    ship.await_accounting(counted=25)
    assert ship.stop() == 0
    damage(ship.ledger)
    for _ in range(2):
        series(ship, range(25, 30))
        ship.start(ready=False)
        code = ship.exit_code()
    assert code == 2
    assert ship.said().splitlines()[-1].endswith(f"run: planktow-edge repair --ledger {ship.ledger}")
