"""The ledger's disk is filled to the brim, again and again, while images come in: the daemon lives on and nothing is lost.

`python -m tests.reliability.full_disk` prints a table. The disk is a small tmpfs in a mount namespace of its own, which any
user may have where the system allows it; images and status.json are on another disk, as aboard.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ..edge.images import TINY_BUNDLE, image_bytes, kind_of
from .ship import Image, Ship, options, put_renamed, stamped, tell, until

DISK_MEBIBYTES = 12
MOST_IMAGES = 5000  # put on a full disk until the daemon must have said so: SQLite writes on in the log it has
TOLD = "cannot be written"


@dataclass(frozen=True)
class Fault:
    """One full disk."""

    images: int  # that came in meanwhile
    told_seconds: float  # until status.json told of it
    full_seconds: float
    well_seconds: float  # from room on the disk until status.json told that all is well


def namespace(command: list[str]) -> list[str]:
    """The command that runs `command` with mounts of its own, as root there."""
    return ["unshare", *(["--user", "--map-root-user"] if os.geteuid() else []), "--mount", *command]


def why_no_disk() -> str | None:
    """Why no small disk can be mounted here, if so."""
    try:
        mount = namespace(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/tmp"])
        tried = subprocess.run(mount, capture_output=True, text=True, timeout=60)
    except OSError as error:
        return str(error)
    return None if tried.returncode == 0 else tried.stderr.strip()


class Camera:
    """Images without end, each of its own content; some torn, some twice."""

    def __init__(self, watch: Path, chance: random.Random) -> None:
        self.files = self.counted = self.rejected = self.duplicates = 0
        self._watch, self._chance = watch, chance
        self._made = [image_bytes(kind_of(number), number) for number in range(30)]

    def put(self, count: int) -> None:
        for _ in range(count):
            name, data = self._next()
            put_renamed(self._watch / name, data)

    def _next(self) -> Image:
        self.files += 1
        data = stamped(self._made[self.files % len(self._made)], self.files)
        lot = self._chance.random()
        if lot < 0.02:
            self.rejected += 1
            data = data[:150] + b"%d" % self.files
        elif lot < 0.05 and self.files > 1 and self.counted:
            self.duplicates += 1
            data = self._last
        else:
            self.counted += 1
            self._last = data
        return f"{self.files:06d}.png", data


def fill(disk: Path) -> Path:
    """The disk to its last byte."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


def told(ship: Ship) -> bool:
    return TOLD in (ship.status().get("problem") or "")


def suffer(ship: Ship, camera: Camera, disk: Path, chance: random.Random) -> Fault:
    camera.put(chance.randrange(0, 80))
    before = camera.files
    ballast, began = fill(disk), time.monotonic()
    while not told(ship) and camera.files - before < MOST_IMAGES:
        camera.put(10)
        time.sleep(0.02)
    until(lambda: told(ship) or ship.ended(), "status.json tells of the full disk", 60)
    told_at = time.monotonic()
    camera.put(chance.randrange(0, 60))
    time.sleep(chance.uniform(0, 2))  # so long it stays full: the daemon is anywhere between two tries
    ballast.unlink()
    room = time.monotonic()
    camera.put(chance.randrange(0, 20))
    until(lambda: not told(ship) or ship.ended(), "status.json tells that the disk has room", 60)
    return Fault(camera.files - before, told_at - began, room - began, time.monotonic() - room)


def study(base: Path, faults: int, seed: int, bundle: Path = TINY_BUNDLE) -> list[str]:
    """What is wrong after so many full disks, in lines. In a mount namespace of its own."""
    chance = random.Random(seed)
    disk = base / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MEBIBYTES}m", "tmpfs", str(disk)], check=True)
    print(f"seed {seed}\nfault  images meanwhile  told after s  full for s  well after s")
    with Ship(base, bundle, ledger=str(disk / "ledger.sqlite"), publish_seconds=0.2) as ship:
        ship.ledger = disk / "ledger.sqlite"
        camera = Camera(ship.watch, chance)
        ship.start()
        for number in range(1, faults + 1):
            fault = suffer(ship, camera, disk, chance)
            print(
                f"{number:5}  {fault.images:16}  {fault.told_seconds:12.1f}  {fault.full_seconds:10.1f}"
                f"  {fault.well_seconds:12.1f}",
                flush=True,
            )
            if ship.ended():
                return [f"the daemon ended:\n{ship.log.read_text()[-2000:]}"]
        ship.await_decided(camera.files)
        print(f"{camera.files} files, {camera.duplicates} of them twice and {camera.rejected} torn")
        wrong = ship.faults(counted=camera.counted, rejected=camera.rejected, duplicates=camera.duplicates)
        if ship.rows("PRAGMA integrity_check") != [("ok",)]:
            wrong.append("integrity_check is not ok")
        if ship.rows("SELECT * FROM accounting") != ship.rows("SELECT * FROM audit"):
            wrong.append("the accounts are not what is in the tables")
        if ship.stop() != 0:
            wrong.append("it did not end well")
    return wrong


def main() -> int:
    parser = options(__doc__ or "", images=0)
    parser.add_argument("--faults", type=int, default=int(os.environ.get("PLANKTOW_FAULTS", "20")))
    parser.add_argument("--inside", type=Path, help="a new folder; for the program itself, in its own namespace")
    given = parser.parse_args()
    if given.inside:
        wrong = study(given.inside, given.faults, given.seed, given.bundle)
        return tell(wrong, f"{given.faults} full disks, and every image was counted once")
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--faults", str(given.faults), "--seed", str(given.seed), "--bundle", str(given.bundle)]
        return subprocess.run(inside(Path(folder), arguments)).returncode


def inside(folder: Path, arguments: list[str]) -> list[str]:
    return namespace([sys.executable, "-m", __spec__.name, "--inside", str(folder), *arguments])


if __name__ == "__main__":
    raise SystemExit(main())
