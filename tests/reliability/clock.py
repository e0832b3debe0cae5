"""The wall clock jumps an hour back and forward again, the camera's with it, and names are used again: nothing is lost.

    python -m tests.reliability.clock [--images N] [--seed S] [--bundle DIR]

The daemon is the real one in a process of its own, with a wall clock that this program steers through a file. In each of
three phases (in time; an hour back; forward again) the camera writes the same names with other contents of the same sizes,
and gives the files mtimes of its own clock, in whole seconds as FAT has them: files of the first and the third phase have
the same name, the same size and mtimes in the same hour. Some are written slowly, while the clock jumps. Every content must
be counted once, none rejected, each with the capture time that the camera's clock said.

At the end, and only told, not demanded: files with name, size and mtime all equal to an earlier file's, but other bytes.
Nothing but their bytes tells them from the earlier ones. Exit code 1: a fault.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event

from ..edge.images import image_bytes, kind_of
from .ship import Ship, options, tell, until

HOUR_NS = 3600 * 10**9
PHASES = (0, -HOUR_NS, 0)  # how far the clocks are off


@dataclass(frozen=True)
class Ended:
    """What a run showed."""

    files: int
    accounting: dict[str, int]
    repeats: tuple[int, int]  # files equal in name, size and mtime: put, counted
    seconds: float

    def table(self) -> str:
        return (
            f"files {self.files} in {self.seconds:.1f} s; {', '.join(f'{k} {v}' for k, v in self.accounting.items())}\n"
            f"of {self.repeats[0]} more with the name, size and mtime of an earlier one, {self.repeats[1]} were counted"
        )


class Camera:
    """Writes files dated by its own clock, and remembers what it dated how."""

    def __init__(self, watch: Path, seed: int, start_ns: int) -> None:
        self.dated: dict[bytes, int] = {}  # sha-256 -> mtime
        self._watch, self._chance, self._start_ns, self._made = watch, random.Random(seed), start_ns, seed * 10**6

    def shoot(self, number: int, off_ns: int, phase: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        """One file. All of one kind have one size: they are uncompressed."""
        self._made += 1
        suffix = (".bmp", ".pgm")[number % 2]
        data = image_bytes(kind_of(number), self._made, suffix)
        mtime_ns = self._start_ns + (number * len(PHASES) + phase) * 10**9 + off_ns
        self.dated[hashlib.sha256(data).digest()] = mtime_ns
        file = self._watch / f"{number:05d}{suffix}"
        if self._chance.random() < 0.5:
            part = file.with_name(f"{file.name}.part")
            self._write(part, data, mtime_ns, meanwhile)
            part.rename(file)
        else:
            self._write(file, data, mtime_ns, meanwhile)

    def repeat(self, number: int) -> bytes:
        """Another content under the name, the size and the mtime of the file that lies there. Returns its sha-256."""
        self._made += 1
        suffix = (".bmp", ".pgm")[number % 2]
        file = self._watch / f"{number:05d}{suffix}"
        data, mtime_ns = image_bytes(kind_of(number), self._made, suffix), file.stat().st_mtime_ns
        self._write(file.with_name("part"), data, mtime_ns, lambda: None)
        file.with_name("part").rename(file)
        return hashlib.sha256(data).digest()

    def _write(self, file: Path, data: bytes, mtime_ns: int, meanwhile: Callable[[], None]) -> None:
        with file.open("wb") as writing:
            writing.write(data[: len(data) // 2])
            writing.flush()
            os.utime(file, ns=(mtime_ns, mtime_ns))
            meanwhile()
            writing.write(data[len(data) // 2 :])
            writing.flush()
            os.utime(file, ns=(mtime_ns, mtime_ns))


def jump(count: int, base: Path, bundle: Path, seed: int) -> tuple[Ended, list[str]]:
    """One run; returns what it showed, and what is wrong."""
    began = time.monotonic()
    a_phase = max(3, count // len(PHASES))
    with Ship(base, bundle, settle_seconds=0.3, rescan_seconds=0.5) as ship:
        offset = base / "offset"
        steer(offset, PHASES[0])
        camera = Camera(ship.watch, seed, time.time_ns() // 10**9 * 10**9 - 1800 * 10**9)
        command = [sys.executable, "-m", "tests.reliability.clock", "--daemon", str(ship.config), str(offset)]
        ship.start(command)
        wrong: list[str] = []
        for phase, off_ns in enumerate(PHASES):
            for number in range(a_phase):
                jumping = phase and number == 0  # while this file is half written
                camera.shoot(
                    number, off_ns, phase, (lambda to=off_ns: jump_now(ship, offset, to)) if jumping else _nothing
                )
            try:
                # Before its name is used again a file must be read: what a camera overwrites unread, nobody can count.
                until(
                    lambda: ship.ended() or ship.accounting()["counted"] >= len(camera.dated), "this phase counted", 60
                )
            except TimeoutError as error:
                wrong.append(f"phase {phase}: {error}; {ship.accounting()}, {len(camera.dated)} were to be counted")
                break
        else:
            ship.await_decided(len(camera.dated), 60)
        wrong += ship.faults(seen=len(camera.dated), counted=len(camera.dated), rejected=0, duplicates=0)
        dated = dict(ship.rows("SELECT sha256, capture_ns FROM image"))
        misdated = sum(dated.get(sha256) not in (None, mtime_ns) for sha256, mtime_ns in camera.dated.items())
        if misdated:
            wrong.append(f"{misdated} images have another capture time than the camera's clock said")
        accounting, files = ship.accounting(), len(camera.dated)
        again = [camera.repeat(number) for number in range(5)]
        # A scan that began after the last of them has passed them all when it comes to a file that is put behind them.
        for last in range(2):
            camera.shoot(a_phase + last, PHASES[-1], 0)
            ship.await_decided(accounting["counted"] + 1 + last)
        repeats = sum((sha256,) in ship.rows("SELECT sha256 FROM image") for sha256 in again)
        if ship.ended() or ship.stop() != 0:
            wrong.append(f"the daemon ended with {ship.process.returncode}: {ship.log.read_text()[-1000:]}")
    return Ended(files, accounting, (len(again), repeats), time.monotonic() - began), wrong


def _nothing() -> None:
    pass


def steer(offset: Path, to_ns: int) -> None:
    offset.with_name("offset.part").write_text(str(to_ns))
    offset.with_name("offset.part").rename(offset)


def jump_now(ship: Ship, offset: Path, to_ns: int) -> None:
    """Steers the clock and waits until the daemon has gone by it: status.json tells its time."""
    before = ship.status()["now"]
    steer(offset, to_ns)
    until(lambda: ship.ended() or abs(seconds_between(ship.status()["now"], before)) > 1800, "the clock jumped", 60)


def seconds_between(one: str, other: str) -> float:
    return (datetime.fromisoformat(one) - datetime.fromisoformat(other)).total_seconds()


def daemon(config: Path, offset: Path) -> None:
    """The daemon as `planktow-edge run` starts it, but with the steered clock."""
    from edge.config import read_config
    from edge.daemon.daemon import Clock, run
    from edge.daemon.notify import log_to_stderr, notifier_from

    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    log_to_stderr()
    clock = Clock(wall_ns=lambda: time.time_ns() + int(offset.read_text()))
    run(read_config(config), stop.is_set, notifier_from({}, os.getpid()), clock)


def main() -> int:
    """The program; see the head of this file."""
    if sys.argv[1:2] == ["--daemon"]:
        daemon(Path(sys.argv[2]), Path(sys.argv[3]))
        return 0
    chosen = options("the clock jumps back and forth", 600).parse_args()
    with tempfile.TemporaryDirectory() as base:
        ended, wrong = jump(chosen.images, Path(base) / "ship", chosen.bundle, chosen.seed)
    print(ended.table())
    return tell(wrong, "every content counted once, dated as the camera's clock said")


if __name__ == "__main__":
    sys.exit(main())
