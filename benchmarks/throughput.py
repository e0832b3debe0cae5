"""How fast the whole chain is, files on disk to durable counts, against what the arithmetic allows and what people write.

    python -m benchmarks.throughput [--images DIR] [--count 5000] [--bundle DIR] [--keras DIR] [--rounds 5] [--json FILE]

Every round gives each its turn, so that whatever slows the machine for a while slows all alike:

- the daemon, `planktow-edge run` with its defaults: a folder of --count images appears at once, and the time runs until the last
  is committed (benchmarks/flood.py says what that includes); the same with ballots = "all";
- bare inference, all members on prepared images in memory in batches of 32, one set of single-threaded interpreters per core, in
  threads or processes, whichever a first pass finds faster: the limit of this machine. And the same with early stopping;
- a naive loop over some of the files: imread, resize, one `invoke` a member, INSERT and commit an image;
- with --keras, a folder with the bundle's members as .keras files: keras.Model.predict in batches of 32, on some of the images.

Prints medians over the rounds; a ratio is the median of the ratios within a round. Below, the daemon's time for an image by
stage: its own functions called one after another in one thread. The rest is what the daemon and its workers used of the
processor besides (pickling, the queue, notifications, the walk, the outputs) and what two busy cores lose to each other;
idle is time of the cores that the daemon did not have: nobody used it, or another program did.

--images defaults to data/planktonset-dev; without it, small rendered images are made. Content that comes twice is passed by. When
more are wanted than there are, they come again with a comment in the file. All files are in the system's cache.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.bare import BATCH, Bare, SideBySide, faster_way
from benchmarks.camera import images_folder, images_from, words_for, write_images
from benchmarks.flood import Flood, flood_afresh, new_ship
from benchmarks.kerasmodels import KerasModels, keras_files
from benchmarks.naive import NaiveLoop
from benchmarks.stages import ALL_MEMBERS, STAGES, Stages
from benchmarks.table import facts, show, write_json
from bundle.command import refusals, say
from bundle.folder import Bundle, open_bundle
from bundle.machine import usable_cores
from edge.intake.files import scan
from edge.shipped import DEFAULT, shipped_bundle

FEW = 500  # images of a turn of what is slow: the naive loop and Keras
TRIAL = 20 * BATCH  # images, to choose between threads and processes
STAGED = 1000  # images taken apart in a round

DAEMON, DAEMON_ALL = "the daemon", "the daemon, all members"
BARE_ALL, BARE = "bare inference, all members", "bare inference, until decided"
NAIVE, KERAS = "a naive loop", "keras.Model.predict"


@dataclass
class Measured:
    """What the rounds gave, a value for each."""

    rates: dict[str, list[float]] = field(default_factory=dict)  # images a second
    stages: dict[str, list[float]] = field(default_factory=dict)  # microseconds an image

    def add(self, rate_of: str, rate: float) -> None:
        """One turn."""
        self.rates.setdefault(rate_of, []).append(rate)

    def add_stages(self, microseconds: dict[str, float], daemon: Flood, cores: int) -> None:
        """One turn, and where the time of a flood in the same round went."""
        for name, value in microseconds.items():
            self.stages.setdefault(name, []).append(value)
        known = sum(microseconds[name] for name in STAGES)
        whole = 1e6 * cores / daemon.rate
        self.stages.setdefault("the rest", []).append(daemon.processor_us - known)
        self.stages.setdefault("idle", []).append(whole - daemon.processor_us)

    def ratio(self, of: str, to: str) -> float:
        """The median of the ratios within a round."""
        return median(one / other for one, other in zip(self.rates[of], self.rates[to], strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=Path, help="a folder of real images")
    options.add_argument("--count", type=int, default=5000)
    options.add_argument("--bundle", type=Path)
    options.add_argument("--keras", type=Path, help="a folder with the bundle's members as .keras files")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--base", type=Path, help="a folder on the disk to use")
    options.add_argument("--json", type=Path, help="a file for the values of every round")
    chosen = options.parse_args(arguments)
    with (
        refusals("benchmarks.throughput"),
        tempfile.TemporaryDirectory(prefix="planktow-bench-", dir=chosen.base) as base,
    ):
        bundle = open_bundle(chosen.bundle or shipped_bundle(DEFAULT))
        models = keras_files(chosen.keras, bundle.manifest) if chosen.keras else []
        images = images_folder(chosen.images)
        measured, way = measure(Path(base), bundle, images, chosen.count, models, chosen.rounds)
    words = f"{chosen.count:,} {words_for(images)}"
    print_tables(measured, chosen.rounds, facts(bundle, words), way)
    if not models:
        say("no --keras: keras.Model.predict was not measured")
    write_json(chosen.json, bundle, words, {"images_a_second": measured.rates, "microseconds": measured.stages})


def measure(
    base: Path, bundle: Bundle, images: Path | None, count: int, models: Sequence[Path], rounds: int
) -> tuple[Measured, SideBySide]:
    """All rounds, and whether bare inference ran in threads or in processes."""
    folder, cores = base / "flood", usable_cores()
    say(f"writing {count:,} images to {folder}")
    write_images(folder, islice(images_from(images), count))
    files = sorted(scan(folder, recursive=True), key=lambda found: found.path)
    prepared = [bundle.prepare((folder / found.path).read_bytes()) for found in files]
    way = faster_way(bundle, prepared[:TRIAL], cores)
    few = [folder / found.path for found in files[:FEW]]
    naive, stages = NaiveLoop(bundle), Stages(bundle, folder)
    measured, floods = Measured(), dict[str, Flood]()

    def flooded(ballots: str) -> float:
        with tempfile.TemporaryDirectory(dir=base) as aboard:
            floods[ballots] = flood_afresh(new_ship(Path(aboard), bundle.path, ballots=ballots), folder, count)
        return floods[ballots].rate

    with ExitStack() as stack:
        bare = stack.enter_context(Bare(bundle, prepared, cores, way))
        turns: dict[str, Callable[[], float]] = {
            DAEMON: lambda: flooded("enough"),
            DAEMON_ALL: lambda: flooded("all"),
            BARE: lambda: bare.rate(all_ballots=False),
            BARE_ALL: lambda: bare.rate(all_ballots=True),
            NAIVE: lambda: naive.rate(few, base / "naive.sqlite"),
        }
        if models:
            turns[KERAS] = stack.enter_context(KerasModels(models, prepared[:FEW])).rate
        for number in range(rounds):
            for name in turns if number % 2 == 0 else reversed(turns):
                measured.add(name, turns[name]())
                say(f"round {number + 1}, {name}: {measured.rates[name][-1]:,.0f} images a second")
            taken = stages.microseconds(files[:STAGED], base / "stages.sqlite")
            measured.add_stages(taken, floods["enough"], cores)
    return measured, way


def print_tables(measured: Measured, rounds: int, caption: str, way: str) -> None:
    """Who is how fast, and where the daemon's time goes."""
    table = Table(title=f"Images a second: medians of {rounds} rounds", caption=f"{caption}; files in the cache")
    table.add_column("", no_wrap=True)
    for column in ("images/s", "lowest", "highest", f"to {BARE_ALL}", "the daemon to it"):
        table.add_column(column, justify="right")
    for name, rates in measured.rates.items():
        table.add_row(
            f"{name} ({way}, batch {BATCH})" if name in (BARE, BARE_ALL) else name,
            *(f"{rate:,.0f}" for rate in (median(rates), min(rates), max(rates))),
            f"{measured.ratio(name, BARE_ALL):.2f}",
            f"{measured.ratio(DAEMON, name):.2f}",
        )
    show(table)
    by_stage = {name: median(values) for name, values in measured.stages.items()}
    instead = by_stage.pop(ALL_MEMBERS)
    whole = sum(by_stage.values())
    table = Table(title="The daemon's time for an image by stage, all cores together")
    table.add_column("", no_wrap=True)
    for column in ("microseconds", "% of all"):
        table.add_column(column, justify="right")
    for name, value in by_stage.items():
        table.add_row(name, f"{value:,.0f}", f"{100 * value / whole:.1f}")
    table.add_section()
    table.add_row("all", f"{whole:,.0f}", "100.0")
    table.add_row(f"{ALL_MEMBERS}, would be", f"{instead:,.0f}", "")
    show(table)


if __name__ == "__main__":
    main()
