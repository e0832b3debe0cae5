"""A real overflow of the kernel's queue of notifications (IN_Q_OVERFLOW)."""

import signal
from pathlib import Path

import pytest

from .conftest import Ship, until
from .images import image_bytes, kind_of

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.mark.skipif(not QUEUE.exists(), reason="no inotify here")
def test_after_an_overflow_everything_is_counted_soon_and_new_folders_are_watched(ship: Ship):
    """Two contents for all files but one: to count thousands of images is not what this is about."""
    files = int(QUEUE.read_text()) // 2 + 500  # each is created and closed: two events at least
    if files > 20_000:
        pytest.skip(f"a queue of {QUEUE.read_text().strip()} events takes too many files")
    ship.start(rescan_seconds=3600.0)
    ship.await_accounting(counted=0)
    contents = [image_bytes(kind_of(number), number) for number in range(2)]
    ship.process.send_signal(signal.SIGSTOP)
    for number in range(files):
        (ship.watch / f"{number:05d}.png").write_bytes(contents[number % 2])
    (ship.watch / "late").mkdir()  # nobody hears of this folder
    (ship.watch / "late" / "first.png").write_bytes(image_bytes("jelly", 5))
    ship.process.send_signal(signal.SIGCONT)
    until(lambda: ship.accounting()["duplicates"] == files - 2, "all files decided on", seconds=240)
    ship.await_accounting(counted=3, duplicates=files - 2)
    said = f"{ship.watch}: more happened at once than the system could tell; the folder is walked"
    # The queue may run over once more while it is emptied; it is not said for each of the thousands of files.
    assert 1 <= ship.said().count(said) <= 3, ship.said()
    (ship.watch / "late" / "second.png").write_bytes(image_bytes("jelly", 6))
    until(lambda: ship.accounting()["counted"] == 4, "an image in a folder that was made during the overflow")
    assert ship.status()["problem"] is None
