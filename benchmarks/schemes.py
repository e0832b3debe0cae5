"""What quantising gains: every member of a run in every scheme, size and time for an image, the schemes in turn.

    python -m benchmarks.schemes RUN --data DIR [--images 1000] [--rounds 7] [--int16x8]

RUN is a folder that planktow-trainer wrote. The members are made by planktow-quantize's own code (int8 with every convolution
in integers) and run by `bundle.ensemble`, alone and as an ensemble, with one thread and all cores, image by image and in
batches of 32. Every round takes the next of the --images validation images and gives each model its turn, so that whatever
slows the machine for a while slows all alike. Prints medians over the rounds; a ratio is the median of the ratios within a round.
--int16x8 adds that scheme; it is slower by a factor of a hundred, so it is timed on 32 images a round.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.converted import Workshop, convert, open_workshop
from bundle.command import refusals, say
from bundle.ensemble import Ensemble, MemberModel
from bundle.machine import read_machine, usable_cores
from bundle.manifest import Scheme
from bundle.pace import paced
from quantize.config import Settings
from quantize.images import Labelled

SCHEMES: tuple[Scheme, ...] = ("int8", "float32", "float16", "dynamic")
BASE: Scheme = "float32"
BATCHES = (1, 32)
ENSEMBLE = "all members"
TABLE_WIDTH = 140  # columns, also where the terminal has fewer: a number that is cut is no number
SLOW_IMAGES = 32  # a turn of int16x8
REPRESENTATIVE_IMAGES = 200  # enough here: ranges move neither size nor speed

Models = dict[tuple[str, Scheme], bytes]  # by member and scheme


@dataclass(frozen=True)
class Setting:
    """How a model is run."""

    threads: int
    batch: int

    @property
    def heading(self) -> str:
        """For the table."""
        return f"{self.threads} thread{'s' if self.threads > 1 else ''}, batch {self.batch}"


Times = dict[tuple[str, Scheme, Setting], list[float]]  # ms per image, one for each round


def main() -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--images", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--int16x8", action="store_true")
    chosen = options.parse_args()
    schemes: tuple[Scheme, ...] = (*SCHEMES, "int16x8") if chosen.int16x8 else SCHEMES
    with refusals("benchmarks.schemes"), tempfile.TemporaryDirectory(prefix="planktow-schemes-") as scratch:
        workshop = open_workshop(chosen.run, chosen.data, Path(scratch), chosen.images)
        models = made(workshop, schemes)
    threads = sorted({1, usable_cores()})
    settings = [Setting(count, batch) for count in threads for batch in BATCHES]
    times = timed(models, workshop.held_out, settings, chosen.rounds)
    show(models, times, settings, chosen.rounds, len(workshop.held_out))


def made(workshop: Workshop, schemes: Sequence[Scheme]) -> Models:
    """Every member in every scheme."""
    models: Models = {}
    for member in workshop.run.facts.members:
        say(f"making {member.stem} in {', '.join(schemes)}")
        converted = convert(workshop, member, schemes, Settings(representative_images=REPRESENTATIVE_IMAGES))
        for why in converted.refused.values():
            say(why)
        models |= {(member.stem, scheme): model for scheme, model in converted.models.items()}
    return models


def timed(models: Models, images: Labelled, settings: Sequence[Setting], rounds: int) -> Times:
    """Every member and the ensemble of each scheme in each setting, in turn; one round more at first, to warm up."""
    running = {
        (name, scheme, threads): ensemble
        for threads in {setting.threads for setting in settings}
        for (name, scheme), ensemble in _loaded(models, threads).items()
    }
    times: Times = {(name, scheme, setting): [] for setting in settings for name, scheme in _subjects(models)}
    turns = [(number, setting) for number in range(-1, rounds) for setting in settings]
    for number, setting in paced(turns, len(turns), "turns of all models", say):
        part = _part(images, max(number, 0), rounds)
        subjects = list(_subjects(models))
        for name, scheme in subjects if number % 2 else subjects[::-1]:
            few = part.part(slice(SLOW_IMAGES)) if scheme == "int16x8" else part
            taken = _milliseconds(running[name, scheme, setting.threads], few, setting.batch)
            if number >= 0:
                times[name, scheme, setting].append(taken)
    return times


def _loaded(models: Models, threads: int) -> dict[tuple[str, Scheme], Ensemble]:
    """Each member by itself, and of each scheme all members."""
    members = {key: MemberModel(model, " ".join(key), threads) for key, model in models.items()}
    alone = {key: Ensemble([member]) for key, member in members.items()}
    together = {
        (ENSEMBLE, scheme): Ensemble([member for (_, of), member in members.items() if of == scheme])
        for scheme in _complete(models)
    }
    return alone | together


def _complete(models: Models) -> list[Scheme]:
    """The schemes that every member could be made in."""
    members = {name for name, _ in models}
    schemes = dict.fromkeys(scheme for _, scheme in models)
    return [scheme for scheme in schemes if all((name, scheme) in models for name in members)]


def _subjects(models: Models) -> Iterator[tuple[str, Scheme]]:
    yield from models
    yield from ((ENSEMBLE, scheme) for scheme in _complete(models))


def _part(images: Labelled, number: int, rounds: int) -> Labelled:
    """The images of a round: whole batches of the largest size, one at least."""
    size = max(len(images) // rounds // max(BATCHES), 1) * max(BATCHES)
    start = min(number * size, max(len(images) - size, 0))
    return images.part(slice(start, start + size))


def _milliseconds(ensemble: Ensemble, images: Labelled, batch: int) -> float:
    """Per image. The first batch is not counted: a new size makes the interpreter plan anew."""
    starts = range(0, len(images), batch)
    ensemble.scores(images.inputs.at(slice(batch)))
    began = time.perf_counter()
    for start in starts:
        ensemble.scores(images.inputs.at(slice(start, start + batch)))
    return 1000 * (time.perf_counter() - began) / len(images)


def show(models: Models, times: Times, settings: Sequence[Setting], rounds: int, images: int) -> None:
    """The table and the line that matters."""
    machine = read_machine()
    sizes: Mapping[tuple[str, Scheme], int] = {
        (name, scheme): sum(
            len(model) for (of, kind), model in models.items() if kind == scheme and name in (of, ENSEMBLE)
        )
        for name, scheme in _subjects(models)
    }
    table = Table(
        title=f"ms per image, and how many times faster than {BASE}: medians of {rounds} rounds over {images} images",
        caption=f"{machine.processor}, {machine.cores} cores, {machine.runtime}",
    )
    for column in ("member", "scheme"):
        table.add_column(column, no_wrap=True)
    for column in ("kB", "smaller", *(setting.heading for setting in settings)):
        table.add_column(column, justify="right", no_wrap=True)
    for name in dict.fromkeys(name for name, _ in sizes):
        table.add_section()
        for scheme in (scheme for of, scheme in sizes if of == name):
            table.add_row(
                name,
                scheme,
                f"{sizes[name, scheme] / 1000:,.0f}",
                f"{sizes[name, BASE] / sizes[name, scheme]:.2f}x",
                *(
                    f"{median(times[name, scheme, each]):.3f}  {_faster(times, name, scheme, each):5.2f}x"
                    for each in settings
                ),
            )
    console = Console(width=max(Console().width, TABLE_WIDTH))
    console.print(table)
    gains = {setting.heading: _faster(times, ENSEMBLE, "int8", setting) for setting in settings}
    least = min(gains, key=lambda heading: gains[heading])
    console.print(
        f"int8 is {sizes[ENSEMBLE, BASE] / sizes[ENSEMBLE, 'int8']:.2f} times smaller and {gains[least]:.2f} times faster than "
        f"{BASE} (the ensemble; {least}, where it gains least; at most {max(gains.values()):.2f} times)",
        highlight=False,
        soft_wrap=True,
    )


def _faster(times: Times, name: str, scheme: Scheme, setting: Setting) -> float:
    """Than BASE in the same round, the median."""
    pairs = zip(times[name, BASE, setting], times[name, scheme, setting], strict=True)
    return median(base / taken for base, taken in pairs)


if __name__ == "__main__":
    main()
