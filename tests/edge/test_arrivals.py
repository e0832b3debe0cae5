"""Every way in which files come into a folder, with real files and the real daemon."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.config import EdgeConfig, format_config

from ..reliability.bound import bound
from .conftest import Ship, until
from .images import TINY_BUNDLE, image_bytes, kind_of

NEVER = 86400.0  # rescan_seconds where notifications must do


def image(number: int, suffix: str = ".png") -> bytes:
    return image_bytes(kind_of(number), number, suffix)


def labels(numbers: range, name: str = "{:04d}.png") -> dict[str, str]:
    return {name.format(number): kind_of(number) for number in numbers}


@pytest.mark.parametrize("rescan_seconds", [0.3, NEVER])
def test_in_pieces_with_pauses_longer_than_a_scan_it_is_read_once_it_is_whole(ship: Ship, rescan_seconds: float):
    ship.start(settle_seconds=1.5, rescan_seconds=rescan_seconds)
    chance = random.Random(1)
    whole = {f"{number}.pgm": image(number, ".pgm") for number in range(6)}
    left = dict(whole)
    for _ in range(4):
        for name in list(left):
            with (ship.watch / name).open("ab") as file:  # closed after each piece, as some cameras do
                piece = chance.randint(1, max(1, len(left[name]) // 2))
                file.write(left[name][:piece])
                left[name] = left[name][piece:]
        time.sleep(0.4)  # the writer's pause is the thing under test
    for name, rest in left.items():
        with (ship.watch / name).open("ab") as file:
            file.write(rest)
    ship.await_accounting(counted=6)
    assert ship.verdicts() == labels(range(6), "{}.pgm")
    assert dict(ship.rows("SELECT path, bytes FROM sighting JOIN image ON image.id = image_id")) == {
        name: len(data) for name, data in whole.items()
    }


@pytest.mark.parametrize("temporary", [".{}.Xa81bQ", "{}.filepart", "{}.part", ".{}", "~{}.tmp"])
def test_a_copy_under_a_temporary_name_is_one_image_under_its_own(ship: Ship, temporary: str):
    """As rsync, WinSCP, browsers and FTP servers name what is not yet whole."""
    ship.start(rescan_seconds=NEVER)
    for number in range(5):
        half = ship.watch / temporary.format(f"{number:04d}.png")
        data = image(number)
        with half.open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            file.write(data[len(data) // 2 :])
        os.utime(half, (1_700_000_000, 1_700_000_000))
        half.rename(ship.watch / f"{number:04d}.png")
    ship.await_accounting(counted=5)
    assert ship.verdicts() == labels(range(5))


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")
def test_a_tree_that_rsync_brings_twice_counts_once(ship: Ship, tmp_path):
    for number in range(40):
        file = tmp_path / "camera" / f"tow{number % 3}" / f"{number:04d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(image(number))
    ship.start(rescan_seconds=NEVER)
    for _ in range(2):
        subprocess.run(["rsync", "-a", f"{tmp_path}/camera/", str(ship.watch)], check=True)
    ship.await_accounting(counted=40)
    assert {Path(path).name: label for path, label in ship.verdicts().items()} == labels(range(40))


def test_images_in_deep_folders_that_were_made_a_moment_before_are_all_counted(ship: Ship):
    ship.start(rescan_seconds=NEVER)
    for number in range(60):
        folder = ship.watch / f"tow{number}" / "cast" / f"{number % 7}"
        folder.mkdir(parents=True)
        (folder / f"{number:04d}.png").write_bytes(image(number))
    ship.await_accounting(counted=60)
    assert {Path(path).name: label for path, label in ship.verdicts().items()} == labels(range(60))


def test_thousands_of_new_folders_at_once_bring_nothing_down(ship: Ship, tmp_path):
    """One folder an image, as some instruments write, moved in as a whole while the daemon is busy."""
    ship.start(rescan_seconds=NEVER, settle_seconds=0.2)
    for number in range(3000):
        (tmp_path / "many" / f"{number:05d}").mkdir(parents=True)
    for number in range(20):
        (tmp_path / "many" / f"{number * 149:05d}" / f"{number:04d}.png").write_bytes(image(number))
    (tmp_path / "many").rename(ship.watch / "many")
    for number in range(3000):
        (ship.watch / f"{number:05d}").mkdir()
    (ship.watch / "02999" / "last.png").write_bytes(image(20))
    ship.await_accounting(counted=21)


def test_a_burst_of_three_thousand_files_is_counted_each_once(ship: Ship):
    """Written as fast as this host can, in place and renamed in turn; 40 contents, the others are duplicates."""
    ship.start(rescan_seconds=NEVER)
    contents = [image(number) for number in range(40)]
    for number in range(3000):
        file = ship.watch / f"{number:04d}.png"
        if number % 2:
            file.write_bytes(contents[number % 40])
        else:
            file.with_suffix(".png.part").write_bytes(contents[number % 40])
            file.with_suffix(".png.part").rename(file)
    ship.await_accounting(counted=40, duplicates=2960)
    assert len(ship.rows("SELECT path FROM sighting")) == 3000


def test_without_notifications_the_walk_finds_everything_and_the_remedy_is_told(ship: Ship):
    """All of this user's inotify instances are taken, for real: by as many descriptors of another process."""
    hold = (
        "import ctypes, sys\n"
        "c = ctypes.CDLL(None, use_errno=True)\n"
        "while c.inotify_init1(0) >= 0: pass\n"
        "print(ctypes.get_errno(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout.readline() == b"24\n", "EMFILE"
            ship.start(rescan_seconds=0.5)
            (ship.watch / "tow").mkdir()
            for number in range(20):
                (ship.watch / "tow" / f"{number:04d}.png").write_bytes(image(number))
            ship.await_accounting(counted=20)
            until(lambda: ship.status().get("problem"))
        finally:
            holder.communicate()
    assert ship.status()["problem"] == (
        f"no notifications for {ship.watch} (inotify instance limit reached); it is rescanned every 0.5 s instead; "
        "raise fs.inotify.max_user_instances and start again"
    )


def start_bound(ship: Ship, **settings: object) -> None:
    """As Ship.start, with a daemon that file permissions bind even where root runs the tests."""
    quick = {"settle_seconds": 0.3, "rescan_seconds": 0.5, "publish_seconds": 0.2, "workers": 1}
    config = EdgeConfig(ship.watch, TINY_BUNDLE, ship.ledger, ship.out, **{**quick, **settings})
    ship.config.write_text(format_config(config))
    with ship.log.open("ab") as log:
        command = bound([sys.executable, "-m", "edge", "run", "--config", str(ship.config)])
        ship.process = subprocess.Popen(command, stderr=log)
    until(lambda: ship.status().get("pid") == ship.process.pid or ship.process.poll() is not None, "running")
    assert ship.process.poll() is None, ship.said()


def unreadable(ship: Ship, name: str, data: bytes) -> Path:
    file = ship.watch / name
    file.with_suffix(".part").write_bytes(data)
    file.with_suffix(".part").chmod(0)
    file.with_suffix(".part").rename(file)
    return file


def test_a_file_whose_permission_comes_late_is_counted_and_was_never_rejected(ship: Ship):
    start_bound(ship, rescan_seconds=NEVER, retry_seconds=60)
    file = unreadable(ship, "a.png", image(1))
    (ship.watch / "b.png").write_bytes(image(2))
    until(lambda: (ship.accounting()["counted"], ship.accounting()["waiting"]) == (1, 1))
    assert ship.rejects() == {}
    file.chmod(0o644)  # which is no event: the pause ends
    ship.await_accounting(counted=2)
    assert "rejected" not in ship.said()


def test_a_file_that_cannot_be_read_for_long_is_rejected_and_counts_once_it_can(ship: Ship):
    start_bound(ship, retry_seconds=0.5)
    file = unreadable(ship, "a.png", image(1))
    ship.await_accounting(counted=0, rejected=1)
    assert ship.rejects() == {"a.png": "unreadable"}
    file.chmod(0o644)
    ship.await_accounting(counted=1)
    assert ship.rejects() == {}
