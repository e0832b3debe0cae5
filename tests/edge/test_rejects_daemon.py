"""Rejected files in the real daemon: brought to their folder once, with a JSON, whatever happens meanwhile."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from edge.daemon.rejects import RejectSettings

from .conftest import Ship, until
from .images import image_bytes
from .test_shards import tar_bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rejects").mkdir()
    return tmp_path / "rejects"


def start(ship: Ship, folder: Path, how: str, ready: bool = True) -> None:
    ship.start(ready=ready, rejects=RejectSettings(how, str(folder)))


def drop(ship: Ship, name: str, data: bytes) -> Path:
    file = ship.watch / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def torn(seed: int) -> bytes:
    """A PNG that ends half way; each seed another one."""
    whole = image_bytes("jelly", seed)
    return whole[: len(whole) // 2]


def lies(folder: Path) -> dict[str, bytes]:
    """All files below, the JSON apart, and what a kill left half written under a hidden name."""
    files = (file for file in folder.rglob("[!.]*") if file.is_file() and file.suffix != ".json")
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def errands(ship: Ship) -> int:
    return ship.rows("SELECT COUNT(*) FROM errand")[0][0]


def all_brought(ship: Ship) -> None:
    until(lambda: errands(ship) == 0, "all rejected files are brought away")


@pytest.mark.parametrize("how", ["move", "copy"])
def test_a_rejected_file_is_brought_away_with_its_reason_and_a_counted_one_stays(ship, folder, how):
    bad, good = torn(1), image_bytes("chain", 1)
    file = drop(ship, "tow 1/bad.png", bad)
    mtime_ns = file.stat().st_mtime_ns
    drop(ship, "good.png", good)
    start(ship, folder, how)
    ship.await_accounting(counted=1, rejected=1)
    until(lambda: lies(folder) == {"tow 1/bad.png": bad}, "it is there")
    all_brought(ship)
    assert (folder / "tow 1/bad.png").stat().st_mtime_ns == mtime_ns
    told = json.loads((folder / "tow 1/bad.png.json").read_bytes())
    assert told["set_aside"].startswith("20")
    assert {key: told[key] for key in ("file", "reason", "sha256", "bytes", "modified_ns", "bundle")} == {
        "file": "tow 1/bad.png",
        "reason": "truncated",
        "sha256": hashlib.sha256(bad).hexdigest(),
        "bytes": len(bad),
        "modified_ns": mtime_ns,
        "bundle": ship.status()["bundle_digest"],
    }
    assert lies(ship.watch) == {"good.png": good} | ({"tow 1/bad.png": bad} if how == "copy" else {})
    assert ship.stop() == 0
    start(ship, folder, how)
    drop(ship, "another.png", image_bytes("chain", 2))
    ship.await_accounting(counted=2, rejected=1)
    assert lies(folder) == {"tow 1/bad.png": bad}


def test_files_that_stay_are_not_touched_and_nothing_is_noted_for_later(ship, folder):
    bad = torn(1)
    drop(ship, "bad.png", bad)
    start(ship, folder, "stay")
    ship.await_accounting(counted=0, rejected=1)
    assert ship.stop() == 0
    assert lies(ship.watch) == {"bad.png": bad}
    assert errands(ship) == 0
    assert lies(folder) == {}


@pytest.mark.parametrize("how", ["move", "copy"])
def test_a_kill_in_the_middle_loses_no_file_and_the_next_start_ends_it(ship, folder, how):
    wanted = {f"{number % 3}/bad {number:02}.png": torn(number) for number in range(60)}
    for name, data in wanted.items():
        drop(ship, name, data)
    start(ship, folder, how)
    for brought in (5, 20, 40):
        until(lambda least=brought: len(lies(folder)) >= least, "some are there")
        ship.kill()
        assert {**lies(folder), **lies(ship.watch)} == wanted
        start(ship, folder, how)
    ship.await_accounting(counted=0, rejected=60)
    all_brought(ship)
    assert lies(folder) == wanted
    assert lies(ship.watch) == ({} if how == "move" else wanted)
    assert {str(file.relative_to(folder)) for file in folder.rglob("[!.]*.json")} == {f"{name}.json" for name in wanted}


def test_a_member_of_an_archive_is_copied_and_the_archive_stays_whole(ship, folder):
    bad = torn(1)
    archive = tar_bytes([("good.png", image_bytes("chain", 1)), ("sub/bad.png", bad)])
    drop(ship, "tow.tar", archive)
    start(ship, folder, "move")
    ship.await_accounting(counted=1, rejected=1)
    until(lambda: lies(folder) == {"tow.tar.members/sub/bad.png": bad}, "the member is there")
    all_brought(ship)
    assert json.loads((folder / "tow.tar.members/sub/bad.png.json").read_bytes())["file"] == "tow.tar/sub/bad.png"
    assert lies(ship.watch) == {"tow.tar": archive}


def test_a_file_in_a_folder_that_is_named_like_an_archive_is_moved(ship, folder):
    bad = torn(1)
    drop(ship, "unpacked.tar/bad.png", bad)
    start(ship, folder, "move")
    ship.await_accounting(counted=0, rejected=1)
    all_brought(ship)
    assert [*lies(folder).values()] == [bad]
    assert lies(ship.watch) == {}


def test_a_file_that_was_deleted_meanwhile_is_no_errand_for_ever(ship, folder):
    moved = folder.rename(folder.with_name("away"))
    moved.rename(folder)
    file = drop(ship, "bad.png", torn(1))
    start(ship, folder, "copy")
    ship.await_accounting(counted=0, rejected=1)
    all_brought(ship)
    file.unlink()
    archive = drop(ship, "tow.tar", tar_bytes([("bad.png", torn(2))]))
    folder.rename(moved)
    ship.await_accounting(counted=0, rejected=2)
    until(lambda: "rejected files cannot be brought there" in str(ship.status().get("problem")), "it is told")
    archive.unlink()
    moved.rename(folder)
    ship.kill()
    start(ship, folder, "copy")
    all_brought(ship)
    assert set(lies(folder)) == {"bad.png"}


def test_a_folder_that_is_gone_is_told_stops_no_counting_and_is_filled_when_it_is_back(ship, folder, tmp_path):
    start(ship, folder, "move")
    away = folder.rename(tmp_path / "away")  # the stick is pulled
    wanted = {f"bad {number}.png": torn(number) for number in range(10)}
    for name, data in wanted.items():
        drop(ship, name, data)
    drop(ship, "good.png", image_bytes("chain", 1))
    ship.await_accounting(counted=1, rejected=10)
    problem = (
        f"{folder}: rejected files cannot be brought there (no such folder for rejected files);"
        " make room, or allow this user to write there and to take them from the watched folder"
    )
    until(lambda: ship.status().get("problem") == problem, "it is told")
    assert lies(ship.watch).keys() == {*wanted, "good.png"}
    away.rename(folder)
    until(lambda: lies(folder) == wanted, "all are brought when it is back", seconds=150)
    until(lambda: ship.status()["problem"] is None, "it is well", seconds=90)
    assert lies(ship.watch).keys() == {"good.png"}
    assert ship.said().count("cannot be brought there") == 1


def test_one_file_that_cannot_be_brought_holds_up_no_other(ship, folder):
    (folder / "taken").write_bytes(b"a file where a folder is wanted")
    drop(ship, "taken/bad.png", torn(0))
    start(ship, folder, "move")
    until(lambda: "rejected files cannot be brought there" in str(ship.status().get("problem")), "it is told")
    for number in range(1, 31):
        drop(ship, f"bad {number}.png", torn(number))
    ship.await_accounting(counted=0, rejected=31)
    until(lambda: errands(ship) == 1, "all others are brought")
    assert lies(ship.watch) == {"taken/bad.png": torn(0)}
    (folder / "taken").unlink()
    ship.kill()
    start(ship, folder, "move")
    all_brought(ship)
    assert lies(ship.watch) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told_and_filled_later(ship, folder):
    start(ship, folder, "move")
    folder.chmod(0o500)
    bad = torn(1)
    drop(ship, "bad.png", bad)
    until(lambda: "Permission denied" in str(ship.status().get("problem")), "it is told")
    assert lies(ship.watch) == {"bad.png": bad}
    folder.chmod(0o700)
    until(lambda: lies(folder) == {"bad.png": bad}, "it is brought", seconds=90)


def test_a_folder_that_is_missing_at_the_start_is_refused_in_one_line(ship, tmp_path):
    start(ship, tmp_path / "nowhere", "move", ready=False)
    assert ship.exit_code() == 2
    (line,) = ship.said().splitlines()
    assert line.endswith(f"{tmp_path / 'nowhere'}: no such folder for rejected files; create it, or mount its disk")
    assert not ship.ledger.exists()
