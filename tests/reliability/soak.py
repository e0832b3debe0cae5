"""Hours of images arriving in every way: the counts stay right, and memory and handles stay flat.

    python -m tests.reliability.soak [--minutes M] [--per-second R] [--kills K] [--seed S] [--bundle DIR] [--from FOLDER]

A camera delivers images at a steady rate: written in place, in halves, renamed, hard-linked, moved in with their folder,
twice under another name, torn, foreign. Every few seconds the daemon's memory, handles and threads and the sizes of its
files are sampled. With --kills it is killed with kill -9 now and then; each life of the daemon is then judged by itself,
from the end of its first third, when it is warm.

The bound on memory. Three things may grow up to a size of their own: SQLite's page cache (PAGE_CACHE_KIB), the hashes of
edge/intake/known.py that are not merged yet (65,536 of some 100 bytes: 6.5 MiB, then 8 bytes a file), and what malloc keeps of a
large batch and the WAL index maps (SPARE_MIB). Beyond their sum we allow MIB_PER_1000 for a thousand images: at 100 a second
for a day that is less than the 600 MiB the daemon may take. Measured on two cores, 31,502 files in 5 minutes: 0.55 MiB per
1,000 while page cache and hashes filled; 200,000 files of flood.py ended at 153 MiB. So a soak says much about memory only
once it has outgrown the sum: from some 100,000 images on. Exit code 1: a fault.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from edge.ledger.ledgerfile import PAGE_CACHE_KIB

from ..edge.images import FORMATS, image_bytes, kind_of
from .ship import Image, Ship, options, put_renamed, stamped, taken_from, tell

PEAK_MIB = 600  # what the design allows the daemon at any load
SPARE_MIB = 4.0
HASHES_MIB = 6.5
BASE_MIB = PAGE_CACHE_KIB / 1024 + HASHES_MIB + SPARE_MIB
MIB_PER_1000 = 0.05
WAL_MIB = 16.0  # SQLite checkpoints at 4 MiB; a reader may hold it up for a while
SAMPLES = 60  # in a short soak; in a long one there is one every SAMPLE_SECONDS
SAMPLE_SECONDS = 5.0
WAYS = ("in place", "in halves", "renamed", "linked", "in a folder", "twice", "torn", "foreign")


@dataclass(frozen=True)
class Sample:
    """The daemon at one moment."""

    life: int  # how often it was killed before
    seconds: float  # since the soak began
    decided: int  # files, since the soak began
    resident_mib: float
    handles: int
    threads: int
    wal_mib: float
    ledger_mib: float


@dataclass(frozen=True)
class Expected:
    """What the camera has delivered."""

    images: int = 0
    rejects: int = 0
    duplicates: int = 0

    @property
    def files(self) -> int:
        return self.images + self.rejects + self.duplicates


@dataclass(frozen=True)
class Ended:
    """What a soak showed."""

    expected: Expected
    samples: tuple[Sample, ...]
    peak_mib: float
    kills: int

    def table(self) -> str:
        lines = [
            f"{self.expected.images} images, {self.expected.rejects} rejects, {self.expected.duplicates} duplicates; "
            f"killed {self.kills} times; peak memory {self.peak_mib:.0f} MiB",
            "   seconds  files  memory MiB  handles  threads  WAL MiB  ledger MiB",
        ]
        step = max(1, len(self.samples) // 12)
        for at in (*self.samples[:-1:step], *self.samples[-1:]):
            lines.append(
                f"{at.seconds:10.0f} {at.decided:6d} {at.resident_mib:11.1f} {at.handles:8d} {at.threads:8d} "
                f"{at.wal_mib:8.1f} {at.ledger_mib:11.1f}"
            )
        return "\n".join([*lines, *(f"life {life}: {_grown(warm)}" for life, warm in warm_lives(self.samples))])


class Camera:
    """Delivers one file after another, and keeps account of them."""

    def __init__(self, sources: Sequence[Image], base: Path, seed: int) -> None:
        self._sources, self._chance = sources, random.Random(seed)
        self._watch, self._staging = base / "capture", base / "staging"
        self._number, self._counts = seed * 10**7, dict.fromkeys(("images", "rejects", "duplicates"), 0)
        self._staging.mkdir()

    @property
    def expected(self) -> Expected:
        return Expected(**self._counts)

    def shoot(self) -> None:
        """One file, or two, in a way drawn at random."""
        self._number += 1
        name, data = self._chance.choice(self._sources)
        suffix = name[name.rfind(".") :]
        data = stamped(data, self._number)
        # A folder for each thousand: as cameras do it, and the walk of a rescan goes through many.
        file = self._watch / f"{self._number // 1000:06d}" / f"{self._number:09d}{suffix}"
        file.parent.mkdir(exist_ok=True)
        way = self._chance.choices(WAYS, (30, 20, 30, 5, 2, 5, 4, 4))[0]
        staged = self._staging / file.name
        if way in ("in place", "in halves"):
            with file.open("wb") as writing:
                if way == "in halves":
                    writing.write(data[: len(data) // 2])
                    writing.flush()
                    data = data[len(data) // 2 :]
                writing.write(data)
        elif way == "linked":
            staged.write_bytes(data)
            file.hardlink_to(staged)
            staged.unlink()
        elif way == "in a folder":
            folder = self._staging / f"{self._number:09d}"
            folder.mkdir()
            (folder / file.name).write_bytes(data)
            folder.rename(file.with_name(folder.name))
        elif way == "torn":
            put_renamed(file.with_suffix(".png"), stamped(image_bytes("jelly", 1, ".png"), self._number)[:400])
        elif way == "foreign":
            put_renamed(file, b"note %d" % self._number)
        else:
            put_renamed(file, data)
        if way == "twice":
            put_renamed(file.with_name(f"again-{file.name}"), data)
            self._counts["duplicates"] += 1
        self._counts["rejects" if way in ("torn", "foreign") else "images"] += 1


def sources_from(folder: Path | None) -> list[Image]:
    if folder:
        return taken_from(folder, 200)
    return [(f"{kind}{suffix}", image_bytes(kind_of(kind), kind, suffix)) for kind in range(9) for suffix in FORMATS]


def soak(
    sources: Sequence[Image], base: Path, bundle: Path, seconds: float, per_second: float, kills: int, seed: int
) -> tuple[Ended, list[str]]:
    """One run in the new folder `base`; returns what it showed, and what is wrong."""
    chance = random.Random(seed)
    every = min(SAMPLE_SECONDS, seconds / SAMPLES)
    deaths = sorted(chance.uniform(0.2, 0.8) * seconds for _ in range(kills))
    samples: list[Sample] = []
    wrong: list[str] = []
    peak = 0.0
    with Ship(base, bundle, rescan_seconds=5) as ship:
        camera = Camera(sources, base, seed)
        ship.start()
        began = time.monotonic()
        shots = sampled = killed = 0
        while (now := time.monotonic() - began) < seconds and not ship.ended():
            if deaths and now >= deaths[0]:
                deaths.pop(0)
                ship.kill()
                ship.start(ready=False)
                killed += 1
            if now >= sampled * every:
                sampled += 1
                samples.append(sample(ship, killed, now))
                peak = max(peak, ship.usage().peak_mib)
            if shots < now * per_second:
                camera.shoot()
                shots += 1
            else:
                time.sleep(1 / per_second)
        expected = camera.expected
        ship.await_decided(expected.files)
        samples.append(sample(ship, killed, time.monotonic() - began))
        wrong += ship.faults(counted=expected.images, rejected=expected.rejects, duplicates=expected.duplicates)
        if ship.ended() or ship.stop() != 0:
            wrong.append(f"the daemon ended with {ship.process.returncode}: {ship.log.read_text()[-1000:]}")
    ended = Ended(expected, tuple(samples), peak, killed)
    return ended, wrong + leaks(ended)


def sample(ship: Ship, life: int, seconds: float) -> Sample:
    usage = ship.usage()
    wal = ship.ledger.with_name(f"{ship.ledger.name}-wal")
    return Sample(
        life,
        seconds,
        ship.decided()[0],
        usage.resident_mib,
        usage.handles,
        usage.threads,
        _mib(wal),
        _mib(ship.ledger),
    )


def leaks(ended: Ended) -> list[str]:
    """What grows that should not."""
    wrong = []
    if ended.peak_mib > PEAK_MIB:
        wrong.append(f"peak memory {ended.peak_mib:.0f} MiB, the limit is {PEAK_MIB}")
    if (wal := max(at.wal_mib for at in ended.samples)) > WAL_MIB:
        wrong.append(f"the WAL grew to {wal:.1f} MiB, the limit is {WAL_MIB}")
    for life, warm in warm_lives(ended.samples):
        images = (warm[-1].decided - warm[0].decided) / 1000
        growth = growth_mib(warm)
        allowed = BASE_MIB + MIB_PER_1000 * images
        if growth > allowed:
            wrong.append(
                f"life {life}: memory grew by {growth:.1f} MiB in {images * 1000:.0f} images, allowed {allowed:.1f}"
            )
        # The least of several samples: a file that is being read, or the ledger's reader for status.json, is open for a moment.
        third = len(warm) // 3
        for what in ("handles", "threads"):
            early, late = (min(getattr(at, what) for at in part) for part in (warm[:third], warm[-third:]))
            if late > early:
                wrong.append(f"life {life}: {what} grew from {early} to {late}")
    return wrong


def warm_lives(samples: Sequence[Sample]) -> Iterator[tuple[int, list[Sample]]]:
    """The last two thirds of each life of the daemon that was long enough to judge."""
    for life, lived in groupby(samples, lambda at: at.life):
        all_of_it = list(lived)
        warm = all_of_it[len(all_of_it) // 3 :]
        if len(warm) >= 9:
            yield life, warm


def growth_mib(warm: Sequence[Sample]) -> float:
    """How much more memory there is at the end of these samples than at their start: the line of least squares."""
    if len({at.decided for at in warm}) < 2:
        return 0.0
    line = statistics.linear_regression([at.decided for at in warm], [at.resident_mib for at in warm])
    return line.slope * (warm[-1].decided - warm[0].decided)


def _grown(warm: Sequence[Sample]) -> str:
    images = warm[-1].decided - warm[0].decided
    growth = growth_mib(warm)
    return (
        f"warm, memory grew by {growth:.2f} MiB in {images} files: {growth * 1000 / max(1, images):.3f} MiB per 1,000"
    )


def _mib(file: Path) -> float:
    return file.stat().st_size / 2**20 if file.exists() else 0.0


def main() -> int:
    """The program; see the head of this file."""
    parser = options("hours of images in every way", 0)
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("PLANKTOW_SOAK_MINUTES", "60")))
    parser.add_argument("--per-second", type=float, default=100)
    parser.add_argument("--kills", type=int, default=0)
    chosen = parser.parse_args()
    sources = sources_from(chosen.folder)
    with tempfile.TemporaryDirectory() as base:
        ended, wrong = soak(
            sources,
            Path(base) / "ship",
            chosen.bundle,
            chosen.minutes * 60,
            chosen.per_second,
            chosen.kills,
            chosen.seed,
        )
    print(ended.table())
    return tell(wrong, "each image once; memory, handles and threads are flat")


if __name__ == "__main__":
    sys.exit(main())
