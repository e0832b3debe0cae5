"""What a ledger costs as it grows from ten thousand to ten million images: commits, reports, disk, memory.

    python -m benchmarks.ledger [--images 10000000] [--rounds 300] [--base DIR]

For each size, by powers of ten up to --images, a ledger of 20 days and the labels of the bundle planktonset-121 is filled in
bulk in a temporary folder (in --base; 430 bytes an image) and measured in a process of its own, through the ledger's own
writer and readers. Commits: --rounds batches of 64 new images, as the daemon does them: `note` when they come up, `knows`
for each, `record` with the verdicts; first alone, then beside a second process that makes hourly reports without a pause.
Reports: the median of five. "a day" is the middle one of the 20.

The demands (issue 5): `record` of 64 verdicts under 10 ms in the median at ten million images, hourly counts of a day
under 200 ms. The file is in the system's cache, as far as that has room; a ledger just found on a cold disk is slower.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from benchmarks.filled_ledger import DAY_NS, DAYS, FIRST_DAY_NS, HOUR_NS, camera_files, fill_ledger
from bundle.command import refusals, say
from bundle.folder import Bundle, open_bundle
from bundle.measures import Measures
from edge.bins import SECOND_NS
from edge.capture.capture import Capture
from edge.counts import read_counts
from edge.daemon.outcome import Counted
from edge.daemon.outputs import DaemonStatus, publish
from edge.intake.files import Found
from edge.ledger.ledger import Ledger, open_ledger
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.ledger.soundness import check_ledger
from edge.report import report_csv
from edge.reported import read_reported
from edge.shipped import DEFAULT, shipped_bundle

BATCH = 64  # images
LEAST = 10_000  # images of the smallest ledger
READINGS = 5
TABLE_WIDTH = 120  # columns, also where the terminal has fewer: a number that is cut is no number
DAY_FROM_NS = FIRST_DAY_NS + DAYS // 2 * DAY_NS


@dataclass(frozen=True)
class Commits:
    """How long the steps of one batch took: median and 99th percentile, ms."""

    note: tuple[float, float]
    knows: tuple[float, float]
    record: tuple[float, float]


@dataclass(frozen=True)
class Readings:
    """How long it takes to read, ms, and the memory of the process."""

    opened: float  # open_ledger of a ledger that was closed well
    checked: float  # what open_ledger does besides where it was not: after kill -9 or a power cut
    day_hourly: float
    day_tens: float  # the same day in bins of ten minutes
    hourly: float  # of all days
    report: float  # that and the text of the csv
    totals: float
    published: float
    accounting: float
    base_mib: float  # resident before the ledger is opened
    writing_mib: float  # after the commits
    peak_mib: float  # the most ever resident, reports included


@dataclass(frozen=True)
class Measured:
    """One size of ledger."""

    images: int
    fill_seconds: float
    bytes_per_image: float
    alone: Commits
    beside: Commits
    readings: Readings


def main() -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=int, default=10_000_000)
    options.add_argument("--rounds", type=int, default=300)
    options.add_argument("--base", type=Path, help="a folder on the disk to use")
    chosen = options.parse_args()
    with refusals("benchmarks.ledger"):
        bundle = open_bundle(shipped_bundle(DEFAULT))
        measured = [measure(size, bundle, chosen.rounds, chosen.base) for size in sizes(chosen.images)]
    show(measured, chosen.rounds)


def sizes(most: int) -> list[int]:
    """Powers of ten from LEAST, and `most`."""
    found = [most]
    size = LEAST
    while size < most:
        found.append(size)
        size *= 10
    return sorted(found)


def measure(images: int, bundle: Bundle, rounds: int, base: Path | None) -> Measured:
    """Fills a ledger, measures it and deletes it."""
    with tempfile.TemporaryDirectory(prefix="planktow-ledger-", dir=base) as folder:
        ledger = Path(folder) / "ledger.sqlite"
        say(f"filling a ledger with {images:,} images")
        began = time.monotonic()
        fill_ledger(ledger, bundle, camera_files(images))
        fill_seconds = time.monotonic() - began
        size = ledger.stat().st_size
        say(f"filled in {fill_seconds:.0f} s, {size / 1e6:,.0f} MB; measuring")
        # A fresh process: what filling took in memory is no part of what the ledger takes.
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as process:
            alone, beside, readings = process.submit(measure_filled, ledger, bundle, rounds).result()
    return Measured(images, fill_seconds, size / images, alone, beside, readings)


def measure_filled(path: Path, bundle: Bundle, rounds: int) -> tuple[Commits, Commits, Readings]:
    """Alone, beside a reader, and what reading takes."""
    base_mib = memory_mib("VmRSS")
    began = time.perf_counter()
    with open_ledger(path) as ledger:
        opened = 1000 * (time.perf_counter() - began)
        bundle_id = ledger.bundle_id(bundle, time.time_ns())
        coming = batches(rounds * 2, len(bundle.labels))
        alone = commit(ledger, bundle_id, coming, rounds)
        with reader_beside(path):
            beside = commit(ledger, bundle_id, coming, rounds)
        writing_mib = memory_mib("VmRSS")
        readings = read(path, ledger)
    return alone, beside, replace(readings, opened=opened, base_mib=base_mib, writing_mib=writing_mib)


def batches(count: int, classes: int) -> Iterator[list[Counted]]:
    """New images, captured one after another behind the last day."""
    measures = Measures(120, 80, sharpness=103.5, dark_share=0.011, bright_share=0.13, ink_share=0.27, mean_grey=201.3)
    for start in range(0, count * BATCH, BATCH):
        batch = []
        for number in range(start, start + BATCH):
            ns = FIRST_DAY_NS + DAYS * DAY_NS + number * 10 * SECOND_NS // BATCH
            found = Found(f"2026-11-25/live/roi_{number:09d}.png", 4000 + number % 1000, ns)
            content = hashlib.sha256(str(number).encode()).digest()
            label = number * number % classes  # some seldom, some often
            batch.append(Counted(found, content, Capture(ns, "mtime"), measures, label, 3, 0.9))
        yield batch


def commit(ledger: Ledger, bundle_id: int, coming: Iterator[list[Counted]], rounds: int) -> Commits:
    """The next `rounds` batches, as the daemon brings them in."""
    times: dict[str, list[float]] = {"note": [], "knows": [], "record": []}
    for _ in range(rounds):
        batch = next(coming)
        now_ns = time.time_ns()
        files = [outcome.found for outcome in batch]
        began = time.perf_counter()
        wanted = ledger.note(files, now_ns)
        noted = time.perf_counter()
        known = [ledger.knows(outcome.sha256) for outcome in batch]
        looked = time.perf_counter()
        news = ledger.record(batch, bundle_id, now_ns)
        recorded = time.perf_counter()
        if len(wanted) != BATCH or any(known) or len(news) != BATCH:
            raise RuntimeError(f"{len(wanted)} wanted, {sum(known)} known, {len(news)} news of {BATCH} new images")
        for name, seconds in (("note", noted - began), ("knows", looked - noted), ("record", recorded - looked)):
            times[name].append(1000 * seconds)
    return Commits(**{name: (median(each), quantiles(each, n=100)[-1]) for name, each in times.items()})


@contextlib.contextmanager
def reader_beside(path: Path) -> Iterator[None]:
    """While it lasts, another process makes hourly reports; it has made one when the block begins."""
    fresh = multiprocessing.get_context("spawn")
    started, stop = fresh.Event(), fresh.Event()
    process = fresh.Process(target=keep_reading, args=(path, started.set, stop.is_set), daemon=True)
    process.start()
    try:
        if not started.wait(600):
            raise RuntimeError("the reader beside did not finish its first report in ten minutes")
        yield
    finally:
        stop.set()
        process.join()


def keep_reading(path: Path, started: Callable[[], None], stop: Callable[[], bool]) -> None:
    """Reports until it is told to stop."""
    while not stop():
        with closing(open_ledger_readonly(path)) as connection:
            read_counts(connection, HOUR_NS)
        started()


def read(path: Path, ledger: Ledger) -> Readings:
    """Each reading a few times, from a connection of its own as a report has it."""

    def counted(width_ns: int | None, day: bool) -> float:
        bounds = (DAY_FROM_NS, DAY_FROM_NS + DAY_NS) if day else (None, None)
        with closing(open_ledger_readonly(path)) as connection:
            return milliseconds(lambda: read_counts(connection, width_ns, *bounds))

    def reported() -> None:
        with closing(open_ledger_readonly(path)) as connection:
            report_csv(read_reported(connection, HOUR_NS))

    out = path.with_name("counts")
    status = DaemonStatus("running", os.getpid(), 0, 0, "images", "bundle", "00" * 32, 0.0, None, None)
    accounting = "SELECT * FROM accounting"
    began = time.perf_counter()
    faults = check_ledger(path, thorough=False)
    checked = 1000 * (time.perf_counter() - began)
    if faults:
        raise RuntimeError(f"the ledger is not sound: {faults[0]}")
    return Readings(
        opened=0.0,
        checked=checked,
        day_hourly=counted(HOUR_NS, day=True),
        day_tens=counted(HOUR_NS // 6, day=True),
        hourly=counted(HOUR_NS, day=False),
        report=milliseconds(reported),
        totals=counted(None, day=False),
        published=milliseconds(lambda: publish(out, path, status)),
        accounting=milliseconds(lambda: ledger.connection.execute(accounting).fetchone()),
        base_mib=0.0,
        writing_mib=0.0,
        peak_mib=memory_mib("VmHWM"),
    )


def milliseconds(work: Callable[[], object]) -> float:
    """The median of a few times."""
    times = []
    for _ in range(READINGS):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return median(times)


def memory_mib(name: str) -> float:
    """Of this process: VmRSS, what is resident now, or VmHWM, the most that ever was (proc(5))."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) / 1024


def show(measured: Sequence[Measured], rounds: int) -> None:
    """A column for each size."""
    table = Table(title=f"A ledger by its size in images; batches of {BATCH}, {rounds} rounds")
    table.add_column("", no_wrap=True)
    for each in measured:
        table.add_column(f"{each.images:,}", justify="right", no_wrap=True)
    for words, commits in (("", [each.alone for each in measured]), (" beside a reader", [m.beside for m in measured])):
        for step in ("note", "knows", "record"):
            pairs = [getattr(each, step) for each in commits]
            table.add_row(f"{step}{words}, ms: median / p99", *(f"{middle:.2f} / {most:.1f}" for middle, most in pairs))
    table.add_section()
    for words, name in (
        ("hourly counts of a day, ms", "day_hourly"),
        ("the same in ten minutes, ms", "day_tens"),
        ("hourly counts of all days, ms", "hourly"),
        ("hourly report as csv, ms", "report"),
        ("totals, ms", "totals"),
        ("publish, ms", "published"),
        ("accounting, ms", "accounting"),
        ("opened, closed well before, ms", "opened"),
        ("checked, not closed before, ms", "checked"),
        ("memory before opening, MiB", "base_mib"),
        ("memory after the commits, MiB", "writing_mib"),
        ("peak, reports included, MiB", "peak_mib"),
    ):
        values = [getattr(each.readings, name) for each in measured]
        table.add_row(words, *(f"{value:,.2f}" if value < 10 else f"{value:,.0f}" for value in values))
    table.add_section()
    table.add_row("disk per image, bytes", *(f"{each.bytes_per_image:,.0f}" for each in measured))
    table.add_row("filled in, s", *(f"{each.fill_seconds:,.1f}" for each in measured))
    Console(width=max(Console().width, TABLE_WIDTH)).print(table)


if __name__ == "__main__":
    main()
