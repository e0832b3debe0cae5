"""Two hundred thousand files at once: a backlog before the start, then as many again in one burst of renames.

    python -m tests.reliability.flood [--images N] [--seed S] [--bundle DIR] [--from FOLDER] [--base FOLDER]

Half of the images lie in the folder before the daemon starts. When it has counted some of them, the other half is renamed
in from a staging folder on the same disk, as fast as that goes: more notifications than the kernel's queue holds. A probe,
one more image, comes when the burst is over: how late it is counted is what a person at the screen feels. Every content
must be counted once, within bounded memory. 200,000 images need 1 GB of disk (--base). Exit code 1: a fault.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..edge.images import FORMATS, image_bytes, kind_of
from .ship import Image, Ship, Usage, options, put_renamed, stamped, taken_from, tell, until

PEAK_MIB = 600  # what the design allows the daemon at any load
A_FOLDER = 2000  # images in one folder
LEAST_PER_SECOND = 20  # gives up below: a standstill, not a slow machine
PROBE = "probe.png"


@dataclass(frozen=True)
class Ended:
    """What a run showed; times in seconds since the daemon's start."""

    images: int
    first: float  # until the first image of the backlog was counted
    burst: float  # how long the burst of renames took
    probe: float  # how late the probe was counted
    all: float  # until everything was
    per_second: float  # while there was work
    usage: Usage

    def table(self) -> str:
        return (
            f"images {self.images}: the first counted after {self.first:.1f} s, all after {self.all:.1f} s\n"
            f"burst of {self.images // 2} renames in {self.burst:.1f} s; a probe behind it counted {self.probe:.1f} s later\n"
            f"{self.per_second:.0f} images/s; peak memory {self.usage.peak_mib:.0f} MiB, at the end "
            f"{self.usage.resident_mib:.0f} MiB; {self.usage.handles} handles, {self.usage.threads} threads"
        )


def distinct(sources: Sequence[Image], numbers: range) -> Iterator[Image]:
    """An image for each number: the sources in turn, each time with another stamp."""
    for number in numbers:
        name, data = sources[number % len(sources)]
        suffix = name[name.rfind(".") :]
        yield f"{number // A_FOLDER:04d}/{number:07d}{suffix}", stamped(data, number)


def sources_from(folder: Path | None) -> list[Image]:
    if folder:
        return taken_from(folder, 200)
    return [(f"{kind}{suffix}", image_bytes(kind_of(kind), kind, suffix)) for kind in range(3) for suffix in FORMATS]


def flood(
    sources: Sequence[Image], count: int, base: Path, bundle: Path, **settings: object
) -> tuple[Ended, list[str]]:
    """One run in the new folder `base`; returns what it showed, and what is wrong."""
    give_up_seconds = 120 + count / LEAST_PER_SECOND
    half = count // 2
    with Ship(base, bundle, **{"rescan_seconds": 30, "publish_seconds": 5, **settings}) as ship:
        staging = base / "staging"
        write(ship.watch, distinct(sources, range(half)))
        write(staging, distinct(sources, range(half, count)))
        began = time.monotonic()
        ship.start(ready=False)
        until(lambda: ship.ended() or ship.decided()[0], "the first image counted")
        first = time.monotonic() - began
        until(
            lambda: ship.ended() or ship.decided()[0] > half // 10,
            "a tenth of the backlog counted",
            give_up_seconds,
            0.1,
        )
        burst_began = time.monotonic()
        burst(staging, ship.watch)
        burst_ended = time.monotonic()
        put_renamed(ship.watch / PROBE, image_bytes("sphere", 4_000_000))
        counted = f"SELECT 1 FROM sighting WHERE path = '{PROBE}' AND image_id IS NOT NULL"
        until(lambda: ship.ended() or ship.rows(counted), "the probe counted", give_up_seconds, 0.1)
        probe = time.monotonic() - burst_ended
        # Rarely: the question itself reads the whole ledger, and takes the daemon's processor.
        ship.await_decided(count + 1, give_up_seconds, every=min(1.0, count / 10_000))
        elapsed = time.monotonic() - began
        usage = ship.usage()
        wrong = ship.faults(seen=count + 1, counted=count + 1, rejected=0, duplicates=0)
        sightings = ship.rows("SELECT COUNT(*) FROM sighting")[0][0]
        if sightings != count + 1:
            wrong.append(f"{sightings} sightings of {count + 1} files")
        if usage.peak_mib > PEAK_MIB:
            wrong.append(f"peak memory {usage.peak_mib:.0f} MiB, the limit is {PEAK_MIB}")
        if ship.stop() != 0:
            wrong.append("the daemon did not end well")
    per_second = count / (elapsed - first)
    return Ended(count, first, burst_ended - burst_began, probe, elapsed, per_second, usage), wrong


def write(folder: Path, images: Iterator[Image]) -> None:
    made: set[Path] = set()
    for name, data in images:
        file = folder / name
        if file.parent not in made:
            file.parent.mkdir(parents=True, exist_ok=True)
            made.add(file.parent)
        file.write_bytes(data)


def burst(staging: Path, watch: Path) -> None:
    """Every file by itself, into folders that are there: each is one notification."""
    for folder in sorted(staging.iterdir()):
        target = watch / folder.name
        target.mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.rename(target / file.name)


def main() -> int:
    """The program; see the head of this file."""
    parser = options("very many files at once", 200_000)
    parser.add_argument("--base", type=Path, help="a folder on the disk to use")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.base) as base:
        ended, wrong = flood(sources_from(chosen.folder), chosen.images, Path(base) / "ship", chosen.bundle)
    print(ended.table())
    return tell(wrong, "every content counted once")


if __name__ == "__main__":
    sys.exit(main())
