"""How soon the daemon counts again after a restart, and what it takes, with a million files in the folder.

    python -m benchmarks.restart [--files 1000000] [--flat] [--kill] [--rounds 3] [--quiet 60] [--bundle DIR] [--base DIR]

Makes that many known files, empty and of the last 20 days, in folders of 1,000 or (--flat) all in one, and a ledger that has
counted them all; and beside it an empty folder with an empty ledger, the base that memory is compared with. Then, --rounds
times for each in turn, starts the real daemon. New images are written from the first moment on, one every half second, and
AMONG more lie hidden among the known files already: no notification tells of those, so that the walk is over when the last of
them is counted. Images written before READY may be the walk's to find as well. Then nothing comes for --quiet seconds; of the
daemon's own rescans, a tenth of the time at most, few or none fall into it with a million files. Prints medians over the
rounds; seconds count from the start of the process.

With --kill the daemon before was killed, and left its write-ahead log as a power cut would; else it was closed well. The
settings are the defaults, without backups. The system's cache is warm: a cold disk takes longer by what it takes to read
the folders' inodes. The demand (issue 5): live within 60 seconds, and resident memory within 300 MiB of the empty ledger's.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.filled_ledger import DAYS, fill_ledger
from bundle.command import refusals, say
from bundle.folder import open_bundle
from edge.intake.files import Found
from tests.edge.images import TINY_BUNDLE, image_bytes, kind_of
from tests.reliability.ship import Ship, put_renamed, until

A_FOLDER = 1000  # files
AMONG = 100  # new files that the walk alone can find
EVERY_SECONDS = 0.5  # a new image
GIVE_UP_SECONDS = 1800
TABLE_WIDTH = 120  # columns, also where the terminal has fewer: a number that is cut is no number
# The defaults of edge.toml, where the test ship has shorter times. Backups come in a process of their own, once a day.
SETTINGS = {"settle_seconds": 2.0, "rescan_seconds": 30.0, "publish_seconds": 5.0}


def row(words: str) -> Any:
    """A field of `Restarted`, and what its line in the table is called."""
    return field(metadata={"words": words})


@dataclass(frozen=True)
class Restarted:
    """What one start showed; seconds since the process was started."""

    ready: float = row("READY, s")
    first: float = row("first new image counted, s")
    latest: float = row("longest wait of one written after READY, s")
    walked: float = row("first walk complete, s")
    processor: float = row("processor time until then, s")
    peak_mib: float = row("peak memory, MiB")
    resident_mib: float = row("resident then, MiB")
    quiet_share: float = row("processor in the quiet time after, % of a core")
    quiet_mib: float = row("resident after it, MiB")


def main() -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--files", type=int, default=1_000_000)
    options.add_argument("--flat", action="store_true")
    options.add_argument("--kill", action="store_true")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--quiet", type=float, default=60.0)
    options.add_argument("--bundle", type=Path, default=TINY_BUNDLE)
    options.add_argument("--base", type=Path, help="a folder on the disk to use")
    chosen = options.parse_args()
    with (
        refusals("benchmarks.restart"),
        tempfile.TemporaryDirectory(prefix="planktow-restart-", dir=chosen.base) as base,
        prepared(Path(base) / "empty", 0, chosen.flat, chosen.bundle) as empty,
        prepared(Path(base) / "full", chosen.files, chosen.flat, chosen.bundle) as full,
    ):
        ships = {"nothing": empty, f"{chosen.files:,} files": full}
        found: dict[str, list[Restarted]] = {name: [] for name in ships}
        for number in range(chosen.rounds):
            for name, ship in ships.items():
                found[name].append(restart(ship, number, chosen.kill, chosen.quiet))
                say(f"round {number + 1}, {name}: {found[name][-1]}")
    show(found, chosen.rounds, "one folder" if chosen.flat else f"folders of {A_FOLDER:,}", chosen.kill)


def prepared(base: Path, count: int, flat: bool, bundle: Path) -> Ship:
    """A folder of known files and the ledger that knows them."""
    ship = Ship(base, bundle, **{"backup.folder": "", **SETTINGS})
    began = time.monotonic()
    files = list(known_files(ship.watch, count, flat))
    made = time.monotonic()
    fill_ledger(ship.ledger, open_bundle(bundle), files)
    say(f"{count:,} files made in {made - began:.0f} s, their ledger in {time.monotonic() - made:.0f} s")
    return ship


def known_files(watch: Path, count: int, flat: bool) -> Iterator[Found]:
    """Makes empty files with times of the last 20 days: the daemon looks at known files, and never reads them."""
    now_ns = time.time_ns()
    age_ns = DAYS * 86_400_000_000_000
    for number in range(count):
        if not flat and number % A_FOLDER == 0:
            (watch / f"{number // A_FOLDER:04d}").mkdir()
        path = f"{number:07d}.png" if flat else f"{number // A_FOLDER:04d}/{number:07d}.png"
        mtime_ns = now_ns - age_ns + number * (age_ns // (count + 1))
        descriptor = os.open(f"{watch}/{path}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.utime(descriptor, ns=(mtime_ns, mtime_ns))
        os.close(descriptor)
        yield Found(path, 0, mtime_ns)


def restart(ship: Ship, number: int, kill: bool, quiet_seconds: float) -> Restarted:
    """One start of the daemon, measured to its end. The round's `number` makes its new images new."""
    if kill:
        ship.start(ready=False)
        await_watching(ship)
        ship.kill()
    among = put_among(ship.watch, number)
    began_ns = time.time_ns()
    ship.start(ready=False)
    with Camera(ship.watch, number) as camera:
        await_watching(ship)
        ready_ns = time.time_ns()
        await_counted(ship, among)
        until(lambda: max(camera.written_ns.values()) > ready_ns, "an image written after READY")
    await_counted(ship, list(camera.written_ns))
    counted_ns = times_counted(ship)
    then = ship.usage()
    waited_ns = time.monotonic_ns()
    time.sleep(quiet_seconds)  # the one thing here that is a time: how much is done in it
    after = ship.usage()
    waited_seconds = (time.monotonic_ns() - waited_ns) / 1e9
    if ship.stop() != 0:
        raise RuntimeError(f"the daemon did not end well:\n{ship.log.read_text()[-2000:]}")
    return Restarted(
        ready=(ready_ns - began_ns) / 1e9,
        first=(min(counted_ns[path] for path in camera.written_ns) - began_ns) / 1e9,
        latest=max(counted_ns[path] - ns for path, ns in camera.written_ns.items() if ns > ready_ns) / 1e9,
        walked=(max(counted_ns[path] for path in among) - began_ns) / 1e9,
        processor=then.processor_seconds,
        peak_mib=after.peak_mib,
        resident_mib=then.resident_mib,
        quiet_share=100 * (after.processor_seconds - then.processor_seconds) / waited_seconds,
        quiet_mib=after.resident_mib,
    )


def put_among(watch: Path, number: int) -> list[str]:
    """New images in folders drawn by chance, before the daemon looks. Returns their paths."""
    folders = ["", *(f"{entry.name}/" for entry in os.scandir(watch) if entry.is_dir())]
    chance = Random(number)
    paths = []
    for index in range(AMONG):
        path = f"{chance.choice(folders)}among-{number}-{index:03d}.png"
        put_renamed(watch / path, image_bytes(kind_of(index), 10_000_000 + number * AMONG + index))
        os.utime(watch / path, (time.time() - 3600,) * 2)  # settled long ago
        paths.append(path)
    return paths


class Camera:
    """Writes an image at once and one more every EVERY_SECONDS, in a thread, while the context lasts."""

    def __init__(self, watch: Path, number: int) -> None:
        self.written_ns: dict[str, int] = {}  # path -> UTC ns
        self._watch, self._number = watch, number
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Camera:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        while True:
            index = len(self.written_ns)
            path = f"live-{self._number}-{index:05d}.png"
            data = image_bytes(kind_of(index), 20_000_000 + self._number * 100_000 + index)
            written_ns = time.time_ns()  # before: the daemon may be done with it before we are
            put_renamed(self._watch / path, data)
            self.written_ns[path] = written_ns
            if self._stop.wait(EVERY_SECONDS):
                return


def await_watching(ship: Ship) -> None:
    """Until it has told that it runs, which it does right before it says READY."""
    until(lambda: ship.ended() or ship.status().get("pid") == ship.process.pid, "the daemon is ready", GIVE_UP_SECONDS)
    if ship.ended():
        raise RuntimeError(f"the daemon did not start:\n{ship.log.read_text()[-2000:]}")


def await_counted(ship: Ship, paths: Sequence[str]) -> None:
    """Until all of them are; asked seldom, for the question takes the daemon's processor."""
    marks = ", ".join(f"'{path}'" for path in paths)  # names of our own
    query = f"SELECT COUNT(*) FROM sighting WHERE path IN ({marks}) AND image_id IS NOT NULL"

    def done() -> bool:
        if ship.ended():
            raise RuntimeError(f"the daemon ended:\n{ship.log.read_text()[-2000:]}")
        return ship.rows(query) == [(len(paths),)]

    until(done, f"{len(paths)} new files counted", GIVE_UP_SECONDS, every=0.5)


def times_counted(ship: Ship) -> dict[str, int]:
    """Path -> UTC ns of the verdict, of the new files of all rounds."""
    named = "path >= 'live-' AND path < 'live.' OR path GLOB '*among-*'"
    return dict(ship.rows(f"SELECT path, classified_ns FROM sighting JOIN verdict USING (image_id) WHERE {named}"))


def show(found: dict[str, list[Restarted]], rounds: int, how: str, kill: bool) -> None:
    """A column for each ship."""
    ending = "after kill -9" if kill else "after a stop"
    table = Table(title=f"A restart with known files in {how}, {ending}: medians of {rounds} rounds")
    table.add_column("", no_wrap=True)
    for name in found:
        table.add_column(name, justify="right", no_wrap=True)
    for each in fields(Restarted):
        values = [median(getattr(one, each.name) for one in starts) for starts in found.values()]
        table.add_row(each.metadata["words"], *(f"{value:,.1f}" for value in values))
    console = Console(width=max(Console().width, TABLE_WIDTH))
    console.print(table)
    base, full = (median(max(one.resident_mib, one.quiet_mib) for one in starts) for starts in found.values())
    console.print(f"resident memory beyond that of an empty ledger: {full - base:,.1f} MiB", highlight=False)


if __name__ == "__main__":
    main()
