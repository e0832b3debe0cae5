"""How the daemon's speed changes with cores, with members, and with what it has counted already.

    python -m benchmarks.scaling [--images DIR] [--bundle DIR] [--count 2000] [--rounds 3] [--known 1000000] [--json FILE]

Each line of the table is a daemon that a folder of --count images floods (benchmarks/flood.py says what the time includes):

- on 1, 2, 4 … and all cores: the daemon may use no others, and has a worker for each;
- with the first 1, 2 … all members of the bundle in the order in which they are asked, every member asked for every image;
- with 1,000, 10,000 … --known files in the watched folder, in folders of 1,000, that the ledger has counted already: empty files
  with the times of 20 days, and a ledger filled in bulk to match. The flood comes when the walk of the start is over. A later
  walk, at most a tenth of the time, may fall into it by chance.

All take turns, --rounds times, each round with images of its own; the known ledgers grow by these, and by some 100 for the walk.
Prints medians; "times" is the median of the ratios to the first line of its part within a round. Processor time is that of the
daemon and its workers. A million files take some minutes to make and some GB, in --base or the folder for temporary files.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.camera import images_folder, images_from, words_for, write_images
from benchmarks.filled_ledger import fill_ledger
from benchmarks.flood import Flood, flood, flood_afresh, new_ship, under_way, warm_up
from benchmarks.restart import await_counted, known_files, put_among
from benchmarks.table import facts, show, write_json
from bundle.command import refusals, say
from bundle.folder import Bundle, open_bundle, write_bundle
from bundle.machine import usable_cores
from edge.shipped import DEFAULT, shipped_bundle
from tests.reliability.ship import Ship

LEAST_KNOWN = 1000  # files


@dataclass(frozen=True)
class Line:
    """One line of the table; `part` is what varies in it."""

    part: str
    name: str


Floods = dict[Line, list[Flood]]  # one for each round


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=Path, help="a folder of real images")
    options.add_argument("--bundle", type=Path)
    options.add_argument("--count", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--known", type=int, default=1_000_000, help="files of the largest folder")
    options.add_argument("--base", type=Path, help="a folder on the disk to use")
    options.add_argument("--json", type=Path, help="a file for the values of every round")
    chosen = options.parse_args(arguments)
    with refusals("benchmarks.scaling"), tempfile.TemporaryDirectory(prefix="planktow-bench-", dir=chosen.base) as base:
        bundle = open_bundle(chosen.bundle or shipped_bundle(DEFAULT))
        images = images_folder(chosen.images)
        floods = measure(Path(base), bundle, images, chosen.count, chosen.rounds, sizes(chosen.known))
    words = f"{chosen.count:,} a flood, {words_for(images)}"
    print_table(floods, chosen.rounds, facts(bundle, words))
    values = {f"{line.part}: {line.name}": list(map(dataclasses.asdict, found)) for line, found in floods.items()}
    write_json(chosen.json, bundle, words, {"floods": values})


def sizes(most: int) -> list[int]:
    """Powers of ten from LEAST_KNOWN, and `most`."""
    found = [most]
    size = LEAST_KNOWN
    while size < most:
        found.append(size)
        size *= 10
    return sorted(found)


def core_counts(cores: int) -> list[int]:
    """Powers of two, and all."""
    return sorted({cores, *(1 << power for power in range(cores.bit_length()) if 1 << power < cores)})


def measure(base: Path, bundle: Bundle, images: Path | None, count: int, rounds: int, known: Sequence[int]) -> Floods:
    """All rounds."""
    turns: dict[Line, Callable[[Path, int], Flood]] = {}

    def afresh(cores: int | None, path: Path, **settings: object) -> Callable[[Path, int], Flood]:
        def turn(folder: Path, _: int) -> Flood:
            with tempfile.TemporaryDirectory(dir=base) as aboard:
                return flood_afresh(new_ship(Path(aboard), path, **settings), folder, count, cores)

        return turn

    for cores in core_counts(usable_cores()):
        turns[Line("cores", f"{cores}")] = afresh(cores, bundle.path)
    for members in range(1, len(bundle.manifest.members) + 1):
        part = first_members(bundle, members, base / f"members-{members}")
        turns[Line("members, all asked", f"{members}")] = afresh(None, part.path, ballots="all")
    for size in known:
        ship = knowing(base / f"known-{size}", bundle, size)
        turns[Line("known files", f"{size:,}")] = lambda folder, number, ship=ship: flood_known(
            ship, folder, count, number
        )
    coming = images_from(images)
    floods: Floods = {line: [] for line in turns}
    for number in range(rounds):
        folder = base / f"flood-{number}"
        write_images(folder, islice(coming, count))
        for line in turns if number % 2 == 0 else reversed(turns):
            floods[line].append(turns[line](folder, number))
            say(f"round {number + 1}, {line.part} {line.name}: {floods[line][-1].rate:,.0f} images a second")
    return floods


def first_members(bundle: Bundle, count: int, path: Path) -> Bundle:
    """A bundle in the new folder `path` with the members that are asked first, and one ballot enough for a label."""
    manifest = bundle.manifest
    members = tuple(manifest.members[index] for index in manifest.order[:count])
    vote = dataclasses.replace(manifest.vote, min_votes=min(manifest.vote.min_votes, count))
    part = dataclasses.replace(manifest, members=members, order=tuple(range(count)), vote=vote)
    return write_bundle(path, part, {entry.file: bundle.contents[entry.file] for entry in part.hashed_files()})


def knowing(base: Path, bundle: Bundle, files: int) -> Ship:
    """A folder of so many files, and the ledger that knows them."""
    say(f"making {files:,} files and their ledger")
    ship = new_ship(base, bundle.path)
    fill_ledger(ship.ledger, bundle, list(known_files(ship.watch, files, flat=False)))
    return ship


def flood_known(ship: Ship, folder: Path, images: int, number: int) -> Flood:
    """The flood of a daemon that has walked its folder: `number` tells its rounds apart."""
    among = put_among(ship.watch, number)  # found by the walk alone
    with under_way(ship):
        if number == 0:
            warm_up(ship, folder.parent)
        await_counted(ship, among)
        found = flood(ship, folder, images)
    (ship.watch / folder.name).rename(folder)
    return found


def print_table(floods: Floods, rounds: int, caption: str) -> None:
    """A part for each thing that varies."""
    table = Table(title=f"The daemon's images a second: medians of {rounds} rounds", caption=caption)
    for column in ("what varies", ""):
        table.add_column(column, no_wrap=True)
    for column in ("images/s", "times", "processor us an image", "times"):
        table.add_column(column, justify="right")
    parts = dict.fromkeys(line.part for line in floods)
    for part in parts:
        table.add_section()
        lines = [line for line in floods if line.part == part]
        for line in lines:
            pairs = list(zip(floods[line], floods[lines[0]], strict=True))
            table.add_row(
                part if line is lines[0] else "",
                line.name,
                f"{median(each.rate for each in floods[line]):,.0f}",
                f"{median(one.rate / first.rate for one, first in pairs):.2f}",
                f"{median(each.processor_us for each in floods[line]):,.0f}",
                f"{median(_times(one.processor_us, first.processor_us) for one, first in pairs):.2f}",
            )
    show(table)


def _times(one: float, other: float) -> float:
    """How many times; not a number where the system's clock of processor time, 10 ms fine, saw nothing in a short flood."""
    return one / other if other else math.nan


if __name__ == "__main__":
    main()
