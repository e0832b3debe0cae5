"""How much slower the daemon counts while many people read the live page.

    python -m benchmarks.page_readers [--readers 1000] [--count 20000] [--rounds 3] [--images DIR] [--bundle DIR] [--json FILE]

Every round floods a fresh daemon (benchmarks/flood.py) twice, in turns first and second: once alone, once with `planktow-edge
serve` beside it and --readers readers, who have come before the flood begins (benchmarks/readers.py): each holds the event
stream open, which brings news each second, fetches the pictures that it names, and loads the page anew every --every seconds.

Daemon, page and readers share this machine's cores. On a ship the readers sit at other machines; so the table also has what
their processor time here took, and the rate as it would be had they brought their own: the flood's time less theirs, shared
among the cores (in a flood no core is idle). The page steps back by itself (nice 10), the readers do not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.camera import images_folder, images_from, words_for, write_images
from benchmarks.flood import flood, new_ship, under_way, warm_up
from benchmarks.table import facts, show, write_json
from bundle.command import refusals, say
from bundle.folder import Bundle, open_bundle
from bundle.machine import usable_cores
from edge.shipped import DEFAULT, shipped_bundle
from tests.reliability.ship import Ship

COME_SECONDS = 120.0  # all readers have come by then
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Turn:
    """One flood, with readers or without."""

    rate: float  # images a second
    seconds: float
    daemon_seconds: float  # processor time, as the others
    page_seconds: float = 0.0
    readers_seconds: float = 0.0
    seen: dict[str, float] = field(default_factory=dict)  # by the readers, see benchmarks/readers.py

    def rate_elsewhere(self, cores: int) -> float:
        """Images a second, had the readers had processors of their own."""
        return self.rate * self.seconds / (self.seconds - self.readers_seconds / cores)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--readers", type=int, default=1000)
    options.add_argument("--every", type=float, default=60.0, help="seconds between two page loads of a reader")
    options.add_argument("--count", type=int, default=20_000, help="images of a flood")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--images", type=Path, help="a folder of real images")
    options.add_argument("--bundle", type=Path)
    options.add_argument("--base", type=Path, help="a folder on the disk to use")
    options.add_argument("--json", type=Path, help="a file for the values of every round")
    chosen = options.parse_args(arguments)
    _allow_files(4 * chosen.readers + 200)
    with (
        refusals("benchmarks.page_readers"),
        tempfile.TemporaryDirectory(prefix="planktow-bench-", dir=chosen.base) as base,
    ):
        bundle, images = open_bundle(chosen.bundle or shipped_bundle(DEFAULT)), images_folder(chosen.images)
        folder = Path(base) / "flood"
        write_images(folder, islice(images_from(images), chosen.count))
        alone, beside = list[Turn](), list[Turn]()
        for number in range(chosen.rounds):
            for readers in (0, chosen.readers) if number % 2 == 0 else (chosen.readers, 0):
                turn = measure(Path(base), bundle, folder, chosen.count, readers, chosen.every)
                (beside if readers else alone).append(turn)
                say(f"round {number + 1}, {readers} readers: {turn.rate:,.0f} images a second {turn.seen or ''}")
    words = f"{chosen.count:,} {words_for(images)}"
    print_table(alone, beside, chosen.readers, facts(bundle, words))
    write_json(
        chosen.json, bundle, words, {"alone": [vars(turn) for turn in alone], "beside": [vars(t) for t in beside]}
    )


def measure(base: Path, bundle: Bundle, folder: Path, count: int, readers: int, every: float) -> Turn:
    """One flood of a daemon that has just been started and warmed up."""
    with tempfile.TemporaryDirectory(dir=base) as aboard:
        ship = new_ship(Path(aboard), bundle.path)
        with under_way(ship):
            warm_up(ship, base)
            if not readers:
                found = flood(ship, folder, count)
                turn = Turn(found.rate, found.seconds, found.processor_seconds)
            else:
                turn = _with_readers(ship, folder, count, readers, every)
        (ship.watch / folder.name).rename(folder)
    return turn


def _with_readers(ship: Ship, folder: Path, count: int, readers: int, every: float) -> Turn:
    with _page(ship) as (page, port), _readers(port, readers, every) as crew:
        patience = time.monotonic() + COME_SECONDS
        while _ask(crew)["streams"] < readers:
            if time.monotonic() > patience:
                raise RuntimeError(f"not all {readers} readers were let in: {_ask(crew)}")
            time.sleep(1)
        time.sleep(5)  # what they asked for first is done
        before, page_before = _ask(crew), _processor_seconds(page.pid)
        found = flood(ship, folder, count)
        seen, page_after = _ask(crew), _processor_seconds(page.pid)
    return Turn(
        found.rate,
        found.seconds,
        found.processor_seconds,
        page_after - page_before,
        seen["processor_seconds"] - before["processor_seconds"],
        seen,
    )


@contextmanager
def _page(ship: Ship) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "edge", "serve", "--config", str(ship.config), "--port", "0", "--read-only"]
    with (
        ship.log.open("ab") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=_ROOT) as page,
    ):
        try:
            assert page.stdout is not None
            yield page, int(page.stdout.readline().rstrip("/\n").rpartition(":")[2])
        finally:
            page.terminate()


@contextmanager
def _readers(port: int, readers: int, every: float) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.readers", str(port), str(readers), str(every)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as crew:
        try:
            yield crew
        finally:
            crew.terminate()


def _ask(crew: subprocess.Popen[str]) -> dict[str, float]:
    assert crew.stdin is not None
    assert crew.stdout is not None
    crew.stdin.write("\n")
    crew.stdin.flush()
    told: dict[str, float] = json.loads(crew.stdout.readline())
    return told


def _processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()  # proc(5), from the third
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _allow_files(wanted: int) -> None:
    """Children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))


def print_table(alone: Sequence[Turn], beside: Sequence[Turn], readers: int, caption: str) -> None:
    """Rates, what they fall by, and who used the processor."""
    cores = usable_cores()
    table = Table(title=f"Counting while {readers} people read: medians of {len(alone)} rounds", caption=caption)
    table.add_column("", no_wrap=True)
    for column in ("alone", f"{readers} readers", "change", "readers elsewhere", "change"):
        table.add_column(column, justify="right")
    fell = median(two.rate / one.rate for one, two in zip(alone, beside, strict=True)) - 1
    elsewhere = median(two.rate_elsewhere(cores) / one.rate for one, two in zip(alone, beside, strict=True)) - 1
    table.add_row(
        "images a second",
        f"{median(turn.rate for turn in alone):,.0f}",
        f"{median(turn.rate for turn in beside):,.0f}",
        f"{fell:+.1%}",
        f"{median(turn.rate_elsewhere(cores) for turn in beside):,.0f}",
        f"{elsewhere:+.1%}",
    )
    show(table)
    used = Table(title=f"Processor time in a flood, % of {cores} cores: medians")
    used.add_column("", no_wrap=True)
    for column in ("daemon", "page", "readers"):
        used.add_column(column, justify="right")
    for name, turns in (("alone", alone), (f"{readers} readers", beside)):
        shares = [
            median(getattr(turn, part) / (turn.seconds * cores) for turn in turns)
            for part in ("daemon_seconds", "page_seconds", "readers_seconds")
        ]
        used.add_row(name, *(f"{share:.1%}" for share in shares))
    show(used)
    seen = Table(title="What the readers saw in a flood: medians")
    for column in ("events", "events a reader and second", "longest silence, s", "pages", "pictures", "refused"):
        seen.add_column(column, justify="right")
    seen.add_row(
        f"{median(turn.seen['events'] for turn in beside):,.0f}",
        f"{median(turn.seen['events'] / readers / turn.seconds for turn in beside):.2f}",
        *(f"{median(turn.seen[name] for turn in beside):,.1f}" for name in ("longest_silence",)),
        *(f"{median(turn.seen[name] for turn in beside):,.0f}" for name in ("pages", "pictures", "refused")),
    )
    show(seen)


if __name__ == "__main__":
    main()
