"""How long an image waits: from its arrival in the folder to its commit in the ledger, at one rate after another.

    python -m benchmarks.latency [--images DIR] [--bundle DIR] [--seconds 10] [--rounds 3] [--load RATE]
        [--in-place] [--json FILE]

One daemon with its defaults counts all the while. A writer, a process of its own, puts images at a steady rate for --seconds:
1, 10, 100 and 500 a second, and LOAD_SHARE of what can come and be counted here, writer and looking included: for that FLOOD
images are put one after another without a pause at the beginning. --load gives this last rate instead. "lone" images come after
a pause drawn from 1 to 2 seconds, so that they fall on no beat of the daemon's. The rates take turns, --rounds times; what is
printed is over all images of all rounds.

An image arrives when it gets its name, whole, by a rename; with --in-place when its writer closes it. Both are seen, and read at
once: settle_seconds is no part of these figures. A file that nobody was seen to close (on a network mount, hard-linked, moved in
with its folder) waits settle_seconds longer. It is committed when another process can read it from the ledger: we
look every millisecond, so an image is seen up to 1 ms late, and never early. The writer and the looking take their part of the
processor, which a camera's writer does too. Where the writer cannot keep up, the column "came" says so.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from statistics import quantiles

from rich.table import Table

from benchmarks.camera import images_folder, images_from, words_for
from benchmarks.flood import GIVE_UP_SECONDS, new_ship, under_way, warm_up
from benchmarks.table import facts, show, write_json
from bundle.command import refusals, say
from bundle.folder import open_bundle
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.shipped import DEFAULT, shipped_bundle
from tests.reliability.ship import Image, Ship

RATES = (1, 10, 100, 500)  # images a second
LONE = "lone"
LONE_SECONDS = (1.0, 2.0)  # between two of them
FLOOD = 3000  # images, to find what the daemon can do
LOAD_SHARE = 0.8
LOOK_SECONDS = 0.001


@dataclass
class Waits:
    """Of all images that came at one rate."""

    seconds: list[float] = field(default_factory=list)  # from arrival to commit
    pauses: int = 0  # between two images of a round
    lasted_seconds: float = 0.0  # these together

    def add(self, arrived_ns: Mapping[str, int], committed_ns: Mapping[str, int]) -> None:
        """One round: path -> time, by one clock."""
        self.seconds += [(committed_ns[path] - ns) / 1e9 for path, ns in arrived_ns.items()]
        self.pauses += len(arrived_ns) - 1
        self.lasted_seconds += (max(arrived_ns.values()) - min(arrived_ns.values())) / 1e9

    @property
    def came(self) -> float:
        """Images a second that the writer really put."""
        return self.pauses / self.lasted_seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=Path, help="a folder of real images")
    options.add_argument("--bundle", type=Path)
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--load", type=float, help="images a second, instead of measuring what the daemon can do")
    options.add_argument("--flood", type=int, default=FLOOD, help="images of that measurement")
    options.add_argument("--in-place", action="store_true")
    options.add_argument("--base", type=Path, help="a folder on the disk to use")
    options.add_argument("--json", type=Path, help="a file for every single wait")
    chosen = options.parse_args(arguments)
    with refusals("benchmarks.latency"), tempfile.TemporaryDirectory(prefix="planktow-bench-", dir=chosen.base) as base:
        bundle = open_bundle(chosen.bundle or shipped_bundle(DEFAULT))
        folder = images_folder(chosen.images)
        images = images_from(folder)
        ship = new_ship(Path(base) / "ship", bundle.path)
        with under_way(ship), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as writer:
            warm_up(ship, Path(base))
            rates: dict[str, float | None] = {LONE: None, **{str(rate): rate for rate in RATES}}
            if chosen.load:
                rates[f"{chosen.load:,.0f}, as asked for"] = chosen.load
            else:
                most = capacity(ship, writer, images, chosen.flood, chosen.in_place)
                rates[f"{LOAD_SHARE * most:,.0f}, {LOAD_SHARE:.0%} of {most:,.0f}"] = LOAD_SHARE * most
            waits = measure(ship, writer, images, rates, chosen.seconds, chosen.rounds, chosen.in_place)
    words = words_for(folder)
    print_table(waits, chosen.rounds, "closed in place" if chosen.in_place else "renamed in", facts(bundle, words))
    write_json(chosen.json, bundle, words, {"seconds": {name: each.seconds for name, each in waits.items()}})


def capacity(ship: Ship, writer: Executor, images: Iterator[Image], count: int, in_place: bool) -> float:
    """Images a second that can be put, counted and looked at on this machine: from the first arrival to the last commit."""
    coming = list(islice(images, count))
    with closing(Commits(ship)) as commits:
        arrived = commits.follow(writer.submit(put_steadily, ship.watch, coming, [0.0] * count, in_place))
        committed = commits.times()
    return count / (max(committed[path] for path in arrived) - min(arrived.values())) * 1e9


def measure(
    ship: Ship,
    writer: Executor,
    images: Iterator[Image],
    rates: Mapping[str, float | None],
    seconds: float,
    rounds: int,
    in_place: bool,
) -> dict[str, Waits]:
    """By the rate's name; a rate of None stands for lone images."""
    found = {name: Waits() for name in rates}
    for number in range(rounds):
        for name, rate in rates.items():
            pauses = pauses_of(rate, seconds, Random(number))
            coming = list(islice(images, len(pauses)))
            with closing(Commits(ship)) as commits:
                arrived = commits.follow(writer.submit(put_steadily, ship.watch, coming, pauses, in_place))
                found[name].add(arrived, commits.times())
            say(f"round {number + 1}, {name}: {len(arrived)} images")
    return found


def pauses_of(rate: float | None, seconds: float, chance: Random) -> list[float]:
    """Seconds before each image, at least two images; a rate of None stands for lone images."""
    if rate is None:
        return [
            chance.uniform(*LONE_SECONDS) for _ in range(max(2, round(seconds * len(LONE_SECONDS) / sum(LONE_SECONDS))))
        ]
    return [1 / rate] * max(2, round(seconds * rate))


def put_steadily(watch: Path, images: Sequence[Image], pauses: Sequence[float], in_place: bool) -> dict[str, int]:
    """The writer: a pause, then an image, by a schedule that a slow write does not shift. Path -> arrival, monotonic ns."""
    arrived = {}
    due = time.monotonic()
    for (name, data), pause in zip(images, pauses, strict=True):
        due += pause
        time.sleep(max(0.0, due - time.monotonic()))
        file = watch / name if in_place else watch / f"{name}.part"
        with file.open("wb") as writing:
            writing.write(data)
            writing.flush()
            arrived[name] = time.monotonic_ns()
        if not in_place:
            arrived[name] = time.monotonic_ns()
            file.rename(watch / name)
    return arrived


class Commits:
    """When images that were not in the ledger at the beginning could be read from it. Close it."""

    def __init__(self, ship: Ship) -> None:
        self._ship, self._ledger = ship, open_ledger_readonly(ship.ledger)
        self._seen_ns: dict[int, int] = {}  # number of an image -> monotonic ns
        self._version = -1
        self._first = self._last = self._newest()

    def follow(self, arriving: Future[dict[str, int]]) -> dict[str, int]:
        """Looks until all that the writer put is committed. Returns what the writer did."""
        patience = GIVE_UP_SECONDS + time.monotonic()
        while not arriving.done() or len(self._seen_ns) < len(arriving.result()):
            self._look()
            if self._ship.ended() or time.monotonic() > patience:
                raise RuntimeError(f"the images were not counted:\n{self._ship.log.read_text()[-2000:]}")
            time.sleep(LOOK_SECONDS)
        return arriving.result()

    def times(self) -> dict[str, int]:
        """Path -> monotonic ns."""
        query = "SELECT path, image_id FROM sighting WHERE image_id > ?"
        return {path: self._seen_ns[number] for path, number in self._ledger.execute(query, (self._first,))}

    def close(self) -> None:
        self._ledger.close()

    def _look(self) -> None:
        (version,) = self._ledger.execute("PRAGMA data_version").fetchone()  # cheap: changes with each commit
        if version == self._version:
            return
        self._version = version
        newest, now_ns = self._newest(), time.monotonic_ns()
        self._seen_ns.update(dict.fromkeys(range(self._last + 1, newest + 1), now_ns))
        self._last = newest

    def _newest(self) -> int:
        return int(self._ledger.execute("SELECT COALESCE(MAX(id), 0) FROM image").fetchone()[0])


def print_table(waits: Mapping[str, Waits], rounds: int, how: str, caption: str) -> None:
    """A line for each rate."""
    table = Table(title=f"From arrival ({how}) to commit, ms; {rounds} rounds together", caption=caption)
    table.add_column("images a second", no_wrap=True)
    for column in ("came", "images", "median", "p90", "p99", "worst"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, each in waits.items():
        shares = quantiles(each.seconds, n=100, method="inclusive")
        values = (shares[49], shares[89], shares[98], max(each.seconds))
        table.add_row(
            name, f"{each.came:,.1f}", f"{len(each.seconds):,}", *(f"{1000 * value:,.1f}" for value in values)
        )
    show(table)


if __name__ == "__main__":
    main()
