"""The real daemon, as a process: every image counted once, whatever happens to files, folders and itself."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from bundle.whole import write_whole

from .conftest import Ship, until
from .images import KINDS, TINY_BUNDLE, image_bytes, kind_of, png_header_of

NEVER = 86400.0  # rescan_seconds where notifications must do


def drop(ship: Ship, name: str, data: bytes) -> Path:
    file = ship.watch / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def series(ship: Ship, numbers: range, folder: str = "") -> dict[str, str]:
    """Drops one image a number; returns path -> the label it must get."""
    expected = {}
    for number in numbers:
        name = f"{folder}{number:04d}.png"
        drop(ship, name, image_bytes(kind_of(number), number))
        expected[name] = kind_of(number)
    return expected


# From image to count


def test_backlog_and_live_images_are_counted_each_once(ship):
    expected = series(ship, range(20))
    ship.start()
    expected |= series(ship, range(20, 50), "live/")
    ship.await_accounting(counted=50)
    assert ship.verdicts() == expected


def test_images_come_in_by_every_way_there_is(ship, tmp_path):
    ship.start(rescan_seconds=NEVER)
    outside = tmp_path / "outside"
    outside.mkdir()
    drop(ship, "in place.png", image_bytes("chain", 1))
    drop(ship, "renamed.png.part", image_bytes("sphere", 2)).rename(ship.watch / "renamed.png")
    (outside / "a.png").write_bytes(image_bytes("jelly", 3))
    (outside / "a.png").rename(ship.watch / "moved in.png")
    (outside / "b.png").write_bytes(image_bytes("chain", 4))
    (ship.watch / "linked.png").hardlink_to(outside / "b.png")
    drop(ship, "new folder/deeper/in folder.png", image_bytes("sphere", 5))
    (outside / "tow").mkdir()
    (outside / "tow" / "c.png").write_bytes(image_bytes("jelly", 6))
    (outside / "tow").rename(ship.watch / "tow")
    ship.await_accounting(counted=6)
    assert ship.verdicts() == {
        "in place.png": "chain",
        "renamed.png": "sphere",
        "moved in.png": "jelly",
        "linked.png": "chain",
        "new folder/deeper/in folder.png": "sphere",
        "tow/c.png": "jelly",
    }


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp", ".pgm"])
def test_an_image_copied_slowly_is_not_read_before_it_is_whole(ship, suffix):
    """The writer never pauses for settle_seconds, and closes the file half way as some copy programs do."""
    ship.start(settle_seconds=1.0)
    data = image_bytes("jelly", 1, suffix)
    parts = [data[at : at + len(data) // 5 + 1] for at in range(0, len(data), len(data) // 5 + 1)]
    with (ship.watch / f"slow{suffix}").open("ab") as file:
        for part in parts[:3]:
            file.write(part)
            file.flush()
            time.sleep(0.1)
    for part in parts[3:]:
        with (ship.watch / f"slow{suffix}").open("ab") as file:
            file.write(part)
        time.sleep(0.1)
    ship.await_accounting(counted=1)
    assert ship.verdicts() == {f"slow{suffix}": "jelly"}
    assert ship.rows("SELECT bytes FROM image") == [(len(data),)]


def test_a_file_that_stays_torn_is_rejected_and_counts_if_it_is_completed_later(ship):
    ship.start()
    whole = image_bytes("chain", 1)
    file = drop(ship, "a.png", whole[:200])
    ship.await_accounting(counted=0, rejected=1)
    assert ship.rejects() == {"a.png": "truncated"}
    with file.open("ab") as rest:
        rest.write(whole[200:])
    ship.await_accounting(counted=1)
    assert (ship.verdicts(), ship.rejects()) == ({"a.png": "chain"}, {})


def test_the_same_bytes_under_another_name_count_once(ship):
    ship.start()
    drop(ship, "a.png", image_bytes("chain"))
    drop(ship, "b.png", image_bytes("chain"))
    drop(ship, "c/a.png", image_bytes("chain"))
    ship.await_accounting(counted=1, duplicates=2)


def test_new_bytes_under_an_old_name_are_a_new_image(ship):
    ship.start()
    drop(ship, "latest.png", image_bytes("chain", 1))
    ship.await_accounting(counted=1)
    drop(ship, "latest.png", image_bytes("jelly", 2))
    ship.await_accounting(counted=2)
    assert sorted(label for (label,) in ship.rows("SELECT label FROM verdict")) == [0, 2]


@pytest.mark.parametrize("seen_bytes", [0, 60, None])  # None: all of them
def test_a_file_renamed_before_it_was_read_counts_once_and_is_not_missed(ship, seen_bytes: int | None):
    ship.start(settle_seconds=1.0, rescan_seconds=NEVER)
    data = image_bytes("chain")
    with (ship.watch / "a.png").open("wb") as file:  # open: it waits
        file.write(data[:seen_bytes])
        file.flush()
        until(lambda: ship.accounting()["waiting"] == 1)
        ship.process.send_signal(signal.SIGSTOP)  # the rest happens between two looks of the daemon
        file.write(data[len(data[:seen_bytes]) :])
        file.flush()
        (ship.watch / "a.png").rename(ship.watch / "b.png")
        ship.process.send_signal(signal.SIGCONT)
        ship.await_accounting(counted=1)
    assert (ship.verdicts(), ship.rejects()) == ({"b.png": "chain"}, {})


def test_a_file_deleted_before_it_was_read_is_accounted_for_as_vanished(ship):
    ship.start(settle_seconds=1.0)
    with (ship.watch / "a.png").open("wb") as file:
        file.write(image_bytes("chain"))
        file.flush()
        until(lambda: ship.accounting()["waiting"] == 1)
        (ship.watch / "a.png").unlink()
        ship.await_accounting(counted=0, rejected=1)
    assert ship.rejects() == {"a.png": "vanished"}


def test_names_that_are_not_utf8_are_counted_and_published(ship):
    ship.start()
    drop(ship, os.fsdecode(b"caf\xe9.png"), image_bytes("chain"))
    drop(ship, os.fsdecode(b"\xe9.jpg"), b"foreign")
    ship.await_accounting(counted=1, rejected=1)
    assert ship.verdicts() == {r"caf\xe9.png": "chain"}
    assert ship.stop() == 0


# Bad images


def reasons_said(ship: Ship) -> Counter[str]:
    """How many images of each reason the log has told of, in as many lines as it took."""
    told = re.findall("rejected (.+); the last:", ship.said())
    parts = [part.split(" ", 1) for line in told for part in line.split(", ")]
    return sum((Counter({reason: int(count)}) for count, reason in parts), Counter())


def test_bad_images_are_rejected_with_their_reason_and_the_good_ones_count(ship):
    whole, jpeg = image_bytes("jelly", 1), image_bytes("jelly", 2, ".jpg")
    drop(ship, "empty.png", b"")
    drop(ship, "torn.png", whole[:300])
    drop(ship, "torn.jpg", jpeg[: len(jpeg) // 2])
    drop(ship, "text.jpg", b"not an image\n")
    drop(ship, "giant pixels.png", png_header_of(60_000, 60_000))
    with drop(ship, "giant bytes.tif", b"").open("r+b") as file:
        file.truncate(10**12)
    drop(ship, "wrong extension.bmp", image_bytes("sphere", 3, ".jpg"))
    drop(ship, "good.png", whole)
    drop(ship, "not ours.txt", b"notes")
    ship.start()
    ship.await_accounting(counted=2, rejected=6)
    assert ship.verdicts() == {"wrong extension.bmp": "sphere", "good.png": "jelly"}
    assert ship.rejects() == {
        "empty.png": "empty",
        "torn.png": "truncated",
        "torn.jpg": "truncated",
        "text.jpg": "not an image",
        "giant pixels.png": "too large",
        "giant bytes.tif": "too large",
    }
    every_reason = {"truncated": 2, "too large": 2, "empty": 1, "not an image": 1}
    until(lambda: reasons_said(ship) == every_reason)
    assert (ship.watch / "torn.png").read_bytes() == whole[:300], "the daemon never touches the images"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_image_is_rejected_and_counts_once_it_can_be_read(ship):
    file = drop(ship, "a.png", image_bytes("chain"))
    file.chmod(0)
    ship.start()
    ship.await_accounting(counted=0, rejected=1)
    assert ship.rejects() == {"a.png": "unreadable"}
    file.chmod(0o644)
    ship.await_accounting(counted=1)


# What it tells


def test_status_and_counts_are_published_while_it_runs(ship):
    ship.start()
    series(ship, range(9))
    until(lambda: ship.status().get("accounting", {}).get("counted") == 9)
    status = ship.status()
    assert (status["state"], status["problem"], status["pid"]) == ("running", None, ship.process.pid)
    assert (status["watch"], status["bundle_name"]) == (str(ship.watch), "tiny-3")
    assert (ship.out / "counts.csv").read_text() == "label,count\nchain,3\nsphere,3\njelly,3\nunclassified,0\n"
    assert ship.stop() == 0
    assert ship.status()["state"] == "stopped"


def test_outputs_that_cannot_be_written_do_not_stop_the_counting(ship):
    ship.out.write_text("a file where the folder should be")
    ship.start()
    series(ship, range(6))
    ship.await_accounting(counted=6)
    until(lambda: ship.heard("STATUS=counts.csv and status.json cannot be written"))
    assert ship.said().count("cannot be written") == 1
    ship.out.unlink()
    until(lambda: ship.status().get("accounting", {}).get("counted") == 6)
    until(lambda: ship.status()["problem"] is None)
    assert ship.said().count("are written again") == 1


def test_it_writes_no_line_per_image(ship):
    ship.start()
    series(ship, range(60))
    ship.await_accounting(counted=60)
    assert ship.stop() == 0
    lines = [line for line in ship.said().splitlines() if "INFO: Created TensorFlow Lite" not in line]
    assert f"watching {ship.watch} with bundle tiny-3" in lines[0]
    assert lines[-1].endswith("stopped; 60 images counted since the start")
    # The day's backup is made beside the counting, before the stop or at the next start.
    assert [line for line in lines[1:-1] if not line.endswith("INFO the ledger was backed up")] == []
    assert len(lines) <= 3


# Stops, starts and kills


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_finishes_the_batch_in_hand_and_exits_0(ship, how):
    series(ship, range(300))
    ship.start(batch_images=8)
    until(lambda: ship.accounting()["counted"] > 0)
    assert ship.stop(how) == 0
    accounting = ship.accounting()
    assert accounting["seen"] == accounting["counted"] + accounting["waiting"]
    assert accounting["counted"] % 8 == 0
    assert ship.rows("PRAGMA integrity_check") == [("ok",)]
    ship.start()
    ship.await_accounting(counted=300)


def test_a_restart_counts_nothing_twice_and_misses_nothing(ship):
    ship.start()
    expected = series(ship, range(10))
    ship.await_accounting(counted=10)
    assert ship.stop() == 0
    expected |= series(ship, range(10, 20))
    drop(ship, "again.png", image_bytes(kind_of(3), 3))
    ship.start()
    ship.await_accounting(counted=20, duplicates=1)
    assert ship.verdicts() == {**expected, "again.png": kind_of(3)}


def test_after_kill_9_the_next_start_finishes_the_work(ship):
    expected = series(ship, range(200))
    ship.start(batch_images=4)
    until(lambda: ship.accounting()["counted"] > 0)
    ship.kill()
    assert ship.accounting()["seen"] == ship.accounting()["counted"] + ship.accounting()["waiting"]
    ship.start()
    ship.await_accounting(counted=200)
    assert ship.verdicts() == expected


def test_another_bundle_on_the_same_ledger_classifies_only_what_is_new(ship, tmp_path):
    ship.start()
    series(ship, range(3))
    ship.await_accounting(counted=3)
    assert ship.stop() == 0
    upgraded = tmp_path / "tiny-3b"
    shutil.copytree(TINY_BUNDLE, upgraded)
    manifest = json.loads((upgraded / "manifest.json").read_bytes())
    (upgraded / "manifest.json").write_text(json.dumps({**manifest, "name": "tiny-3b"}))
    ship.start(bundle=upgraded)
    series(ship, range(3, 5))
    ship.await_accounting(counted=5)
    assert ship.rows("SELECT name, COUNT(*) FROM verdict JOIN bundle ON bundle.id = bundle_id GROUP BY name") == [
        ("tiny-3", 3),
        ("tiny-3b", 2),
    ]


def test_a_second_daemon_on_the_ledger_is_refused_and_the_first_counts_on(ship):
    ship.start()
    second = run_daemon(ship.watch, TINY_BUNDLE, ship.ledger)
    assert (second.returncode, refusal(second)) == (
        2,
        f"planktow-edge: {ship.ledger}: in use by another planktow-edge (process {ship.process.pid}); "
        "stop that one first",
    )
    series(ship, range(3))
    ship.await_accounting(counted=3)


# The folder


def test_the_watched_folder_vanishes_and_comes_back(ship):
    ship.start()
    series(ship, range(5))
    ship.await_accounting(counted=5)
    ship.watch.rename(ship.watch.with_name("unmounted"))
    gone = f"the watched folder {ship.watch} is gone; counting goes on when it is back"
    until(lambda: ship.status()["problem"] == gone)
    assert ship.process.poll() is None
    ship.watch.with_name("unmounted").rename(ship.watch)
    series(ship, range(5, 10))
    ship.await_accounting(counted=10)
    until(lambda: ship.status()["problem"] is None)
    assert ship.said().count(gone) == 1
    assert ship.said().count(f"the watched folder {ship.watch} is back") == 1


def test_files_that_waited_when_the_folder_vanished_are_not_taken_for_lost(ship):
    ship.start(settle_seconds=1.0)
    with (ship.watch / "a.png").open("wb") as file:
        file.write(image_bytes("chain"))
        file.flush()
        until(lambda: ship.accounting()["waiting"] == 1)
        ship.watch.rename(ship.watch.with_name("unmounted"))
        until(lambda: ship.status().get("problem"))
    since = datetime.fromisoformat(ship.status()["now"])
    # Longer than the search for missing files waits; nothing must come of it.
    until(lambda: (datetime.fromisoformat(ship.status()["now"]) - since).total_seconds() > 1.5)
    assert ship.accounting()["waiting"] == 1
    ship.watch.with_name("unmounted").rename(ship.watch)
    ship.await_accounting(counted=1)


def test_an_empty_folder_is_watched(ship):
    ship.start()
    ship.await_accounting(counted=0)
    assert ship.stop() == 0


# Refusals at the start


def run_daemon(watch: Path, bundle: Path, ledger: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", "run", f"--watch={watch}", f"--bundle={bundle}", f"--ledger={ledger}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def refusal(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line it said, next to what LiteRT says of itself."""
    (line,) = [line for line in ended.stderr.splitlines() if "TensorFlow Lite XNNPACK" not in line]
    return line


def test_a_missing_folder_is_refused_and_no_ledger_is_made(tmp_path):
    ended = run_daemon(tmp_path / "none", TINY_BUNDLE, tmp_path / "l.sqlite")
    assert ended.returncode == 2
    assert (
        refusal(ended) == f"planktow-edge: {tmp_path / 'none'}: no such folder to watch; create it, or mount its disk"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_with_one_flipped_byte_is_refused_and_no_ledger_is_made(tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(TINY_BUNDLE, bundle)
    member = bundle / "members" / "01-tiny.tflite"
    data = bytearray(member.read_bytes())
    data[len(data) // 2] ^= 1
    member.write_bytes(data)
    ended = run_daemon(tmp_path, bundle, tmp_path / "l.sqlite")
    assert ended.returncode == 2
    assert refusal(ended) == (
        f"planktow-edge: {member}: damaged, its sha-256 is not the manifest's; copy the bundle anew"
    )
    assert list(tmp_path.iterdir()) == [bundle]


def test_a_config_with_an_unknown_key_is_refused(ship):
    write_whole(ship.config, b"wach = '/data'\n")
    ended = subprocess.run(
        [sys.executable, "-m", "edge", "run", "--config", str(ship.config)], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (
        2,
        f"planktow-edge: {ship.config}: unknown key 'wach'; did you mean 'watch'?\n",
    )


def test_a_burst_from_many_writers_is_counted_each_once(ship):
    ship.start()
    writers = [threading.Thread(target=series, args=(ship, range(at, at + 50), f"{at}/")) for at in range(0, 300, 50)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    ship.await_accounting(counted=300)
    assert set(ship.verdicts().values()) == set(KINDS)
