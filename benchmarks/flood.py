"""How fast the real daemon counts: a folder full of images appears all at once, and the time runs until the last is committed.

One rename brings the folder, so that a writer takes nothing of the processor. The daemon is awake before: it has started, loaded
the members and counted WARM images. Included is all the rest: hearing of the folder, walking it, the queue, and the ledger's
commits as another process sees them in the view `accounting`. The system's cache is warm, as it is when a camera has just
written. The settings are the defaults, without backups.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.camera import write_images
from bundle.errors import PlanktowError
from edge.config import EdgeConfig
from edge.ledger.ledgerfile import open_ledger_readonly
from tests.edge.images import image_bytes, kind_of
from tests.reliability.ship import QUICK, Ship, tree, until

WARM = 256  # images: full batches for some workers, and something for each
GIVE_UP_SECONDS = 1800
PATIENCE_SECONDS = 30  # with a daemon that has a problem at its start
LOOK_SECONDS = 0.01  # between two looks at the accounts: by so much the end may be seen late
_ROOT = Path(__file__).parents[1]  # where `python -m edge` finds itself


@dataclass(frozen=True)
class Flood:
    """How a folder of images was counted."""

    images: int
    seconds: float  # from the rename to the last commit
    processor_seconds: float  # of the daemon and its workers in that time

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds

    @property
    def processor_us(self) -> float:
        """Processor time for an image, in microseconds."""
        return 1e6 * self.processor_seconds / self.images


def new_ship(base: Path, bundle: Path, **settings: object) -> Ship:
    """An empty folder `base/capture` and a daemon for it with the default settings, save these."""
    defaults = {name: getattr(EdgeConfig(), name) for name in QUICK}
    return Ship(base, bundle, **{"backup.folder": "", **defaults, **settings})


@contextmanager
def under_way(ship: Ship, cores: int | None = None) -> Iterator[None]:
    """The daemon runs on the first so many cores, or on all, while the context lasts. Nobody looks at its memory meanwhile.

    At the end it is stopped as systemd does it; after an error it is killed, and its workers with it.
    """
    try:
        process = _started(ship, cores)
        yield
        process.send_signal(signal.SIGTERM)
        if process.wait(120) != 0:
            raise RuntimeError(f"the daemon did not end well:\n{ship.log.read_text()[-2000:]}")
    finally:
        _end(ship)


def _started(ship: Ship, cores: int | None) -> subprocess.Popen[bytes]:
    """A daemon that runs and has no problem: one that gets no notifications, say, would be measured at its rescans.

    Another program may have taken all inotify instances of this user for a moment, so it is tried for a while. Raises
    PlanktowError.
    """
    patience = time.monotonic() + PATIENCE_SECONDS
    while True:
        ours = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, sorted(ours)[:cores])  # a child begins with ours
            with ship.log.open("ab") as log:
                ship.process = process = subprocess.Popen(ship.command(), stderr=log, cwd=_ROOT)
        finally:
            os.sched_setaffinity(0, ours)
        ship.await_watching()
        problem = ship.status()["problem"]
        if not problem:
            return process
        _end(ship)
        if time.monotonic() > patience:
            raise PlanktowError(f"the daemon has a problem: {problem}")


def _end(ship: Ship) -> None:
    """Kills the daemon if it still runs, and its workers with it: a worker is no member of the daemon's process group."""
    if ship.ended():
        return
    _, *workers = tree(ship.process.pid)
    ship.process.kill()
    ship.process.wait()
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def warm_up(ship: Ship, scratch: Path) -> None:
    """Until a first few images have been counted: all workers have loaded the members then."""
    images = ((f"warm-{number:04d}.png", image_bytes(kind_of(number), 30_000_000 + number)) for number in range(WARM))
    write_images(scratch / "warm", images)
    flood(ship, scratch / "warm", WARM)


def flood(ship: Ship, folder: Path, images: int) -> Flood:
    """Renames `folder` into the watched one and waits until its images are counted. They must be new to the ledger."""
    with closing(open_ledger_readonly(ship.ledger)) as ledger:

        def decided() -> int:
            return int(ledger.execute("SELECT counted + rejected FROM accounting").fetchone()[0])

        def done() -> bool:
            if ship.ended():
                raise RuntimeError(f"the daemon ended:\n{ship.log.read_text()[-2000:]}")
            return decided() >= wanted

        wanted = decided() + images
        used = _processor_seconds(ship)
        began = time.monotonic()
        folder.rename(ship.watch / folder.name)
        until(done, f"{images} images counted", GIVE_UP_SECONDS, LOOK_SECONDS)
        return Flood(images, time.monotonic() - began, _processor_seconds(ship) - used)


def flood_afresh(ship: Ship, folder: Path, images: int, cores: int | None = None) -> Flood:
    """Starts the daemon, warms it up, floods it and stops it. `folder` is back in its place afterwards."""
    with under_way(ship, cores):
        warm_up(ship, folder.parent)
        found = flood(ship, folder, images)
    (ship.watch / folder.name).rename(folder)
    return found


def _processor_seconds(ship: Ship) -> float:
    """Of the daemon and its workers since their start."""
    ticks = 0
    for process in tree(ship.process.pid):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()  # proc(5), from the third
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
