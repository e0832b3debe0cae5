"""What suits a host and a bundle: found once by `planktow-edge tune`, kept in a file beside the ledger, used at each start."""

from __future__ import annotations

import dataclasses
import json
import logging
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from bundle.errors import PlanktowError
from bundle.folder import Bundle
from bundle.machine import Machine, read_machine, usable_cores
from bundle.order import Order, cheapest_order
from bundle.pace import Say
from bundle.preprocess import Inputs
from bundle.settings import settings_from
from bundle.whole import json_bytes, write_whole
from edge.screen import table

log = logging.getLogger(__name__)

BATCH = 64  # images, the default of batch_images
_SECONDS = 1.5  # of each trial, after the members are loaded
_AS_GOOD = 0.97  # fewer workers are taken where they reach this share of the best


@dataclass(frozen=True)
class Tuned:
    """What was found, and for which host and bundle it holds."""

    processor: str
    cores: int
    runtime: str
    bundle: str  # digest
    workers: int
    order: tuple[int, ...]  # of the members' indexes, as they are asked in turn


@dataclass(frozen=True)
class Trial:
    """So many workers side by side, each with all members on full batches."""

    workers: int
    milliseconds: tuple[float, ...]  # of each member for an image, in one worker; the median of the workers

    @property
    def images_per_second(self) -> float:
        """Of all workers, every member asked; without reading, decoding and counting."""
        return 1000 * self.workers / sum(self.milliseconds)


def tune(bundle: Bundle, say: Say, seconds: float = _SECONDS) -> tuple[Tuned, list[Trial], Order | None]:
    """Tries numbers of workers, up to one a core, and orders the members by what they cost here.

    The order is None where the bundle has no ballots to find it from: then the manifest's holds. Nothing else of weight
    should run meanwhile. Raises PlanktowError where a member cannot run in a process of its own.
    """
    machine = read_machine()
    trials = []
    for workers in _counts(usable_cores()):
        say(f"{workers} worker{'s' if workers > 1 else ''} …")
        trials.append(_try(bundle, workers, seconds))
    best = max(trial.images_per_second for trial in trials)
    chosen = next(trial for trial in trials if trial.images_per_second >= _AS_GOOD * best)
    ballots = _ballots(bundle)
    order = None if ballots is None else cheapest_order(ballots, chosen.milliseconds, bundle.manifest.vote.min_votes)
    members = bundle.manifest.order if order is None else order.members
    tuned = Tuned(machine.processor, machine.cores, machine.runtime, bundle.digest, chosen.workers, members)
    return tuned, trials, order


def write_tuned(ledger: Path, tuned: Tuned) -> Path:
    """Keeps it beside the ledger, whole or not at all. Raises OSError."""
    file = _file(ledger)
    write_whole(file, json_bytes(dataclasses.asdict(tuned)))
    return file


def read_tuned(ledger: Path, bundle: Bundle) -> Tuned | None:
    """What was found for this host and this bundle, if anything was. A file that is no more than a hint is
    never a reason not to start: one that cannot be read is passed by, with a line in the log.
    """
    file = _file(ledger)
    try:
        table: Any = json.loads(file.read_bytes())
        if not isinstance(table, dict):
            raise ValueError("no JSON object")
        tuned = settings_from(table, Tuned, str(file))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, PlanktowError) as error:
        log.warning("%s: cannot be used (%s); run: planktow-edge tune", file, error)
        return None
    here = read_machine()
    fits = (tuned.processor, tuned.cores, tuned.runtime, tuned.bundle) == (*_identity(here), bundle.digest)
    return tuned if fits and tuned.workers >= 1 and sorted(tuned.order) == sorted(bundle.manifest.order) else None


def tuning_table(bundle: Bundle, trials: Sequence[Trial], tuned: Tuned, order: Order | None) -> RenderableType:
    """For the screen."""
    rows = table("Workers")
    rows.add_column("workers", justify="right")
    names = [Path(member.file).stem for member in bundle.manifest.members]
    for name in names:
        rows.add_column(f"{name}, ms", justify="right")
    rows.add_column("images/s, all members asked", justify="right")
    for trial in trials:
        times = (f"{milliseconds:.2f}" for milliseconds in trial.milliseconds)
        mark = "  <" if trial.workers == tuned.workers else ""
        rows.add_row(str(trial.workers), *times, f"{trial.images_per_second:.0f}{mark}")
    if order is None:
        return Group(
            rows, Text("Members are asked in the order of the bundle, which has no ballots to find a better one from.")
        )
    shares = ", ".join(
        f"{names[member]} ({share:.0%})" for member, share in zip(order.members, order.asked, strict=True)
    )
    chosen = next(trial for trial in trials if trial.workers == tuned.workers)
    gain = sum(chosen.milliseconds) / order.cost
    return Group(
        rows,
        Text(f"Asked in this order (for this share of the validation images): {shares}."),
        Text(f"Asking no member in vain should then be {gain:.2f} times as fast as asking all."),
    )


def _identity(machine: Machine) -> tuple[str, int, str]:
    return machine.processor, machine.cores, machine.runtime


def _file(ledger: Path) -> Path:
    return ledger.with_name(ledger.name + ".tuned.json")


def _counts(cores: int) -> list[int]:
    """Every number of workers up to 8, then doublings, and all cores."""
    return sorted({*range(1, min(cores, 8) + 1), *(8 << step for step in range(1, 6) if 8 << step < cores), cores})


def _ballots(bundle: Bundle) -> Any:
    """(N, V) each member's class for each validation image; None where the bundle does not tell."""
    try:
        found = np.array(json.loads(bundle.contents["validation.json"])["ballots"], np.int32)
    except (KeyError, TypeError, ValueError):
        return None
    return found if found.ndim == 2 and len(found) == len(bundle.manifest.members) and found.shape[1] else None


def _try(bundle: Bundle, workers: int, seconds: float) -> Trial:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(workers)
    with ProcessPoolExecutor(workers, context, _prepare, (bundle, start)) as pool:
        each = list(pool.map(_measure, [seconds] * workers))
    return Trial(workers, tuple(median(times) for times in zip(*each, strict=True)))


_bundle: Bundle
_start: Barrier


def _prepare(bundle: Bundle, start: Barrier) -> None:
    global _bundle, _start
    _bundle, _start = bundle, start


def _measure(seconds: float) -> Sequence[float]:
    """Milliseconds of each member for an image, the median batch, while all other processes do the same."""
    ensemble, rng = _bundle.load(), np.random.default_rng(1)
    pixels = {side: rng.integers(0, 256, (BATCH, side, side), np.uint8) for side in _bundle.manifest.sides}
    inputs = Inputs(pixels, np.ones((BATCH, len(_bundle.manifest.features)), np.float32))
    times: list[list[float]] = [[] for _ in ensemble.members]
    ensemble.scores(inputs)  # a new batch size makes the interpreters plan anew
    _start.wait(60)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not times[0]:
        for member, taken in zip(ensemble.members, times, strict=True):
            began = time.perf_counter()
            member.scores(inputs.pixels[member.side], inputs.features)
            taken.append(1000 * (time.perf_counter() - began) / BATCH)
    return [median(taken) for taken in times]
