"""Does the training wait for its images? The same model fed from memory and through the augmenting feed, in turn.

    python -m benchmarks.trainer_pipeline [--run RUN.toml] [--member NAME] [--rounds 7] [--steps 40]

Both fits get the run's first member (or --member) at the run's precision; images are noise of the run's side, since a warp costs
the same whatever it shows. "in memory" hands out ready batches, with nothing to do; "feed" is what training uses. The
last line is the feed alone, with no model behind it. Prints the median of the rounds and the ratio of neighbours.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from bundle.preprocess import FEATURES
from trainer.config import MemberRun, read_run
from trainer.data.dataset import Dataset, Findings
from trainer.devices import Devices
from trainer.feed import Batch, TrainingFeed
from trainer.network.architectures import build
from trainer.network.native import native
from trainer.optimizer import optimizer_for

RUN = Path(__file__).parents[1] / "trainer" / "runs" / "planktonset-121" / "run.toml"
CLASSES = 121


def main() -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--run", type=Path, default=RUN)
    options.add_argument("--member")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--steps", type=int, default=40)
    chosen = options.parse_args()
    run = read_run(chosen.run)
    member = next(each for each in run.members if chosen.member in (None, each.name))
    feed = TrainingFeed(noise(member, chosen.steps), np.arange(chosen.steps * member.batch), member, run.input)
    model = compiled(member, feed.steps)
    ready = [feed.at(0, step) for step in range(feed.steps)]
    fit = {
        "in memory": images_per_second(
            lambda: train(model, (batch for batch in ready), chosen.steps), feed, chosen.steps
        ),
        "feed": images_per_second(lambda: train(model, feed.from_epoch(0), chosen.steps), feed, chosen.steps),
    }
    for measure in fit.values():
        next(measure)  # the first fit compiles
    rates: dict[str, list[float]] = {name: [] for name in fit}
    for _ in range(chosen.rounds):
        for name, measure in fit.items():
            rates[name].append(next(measure))
    alone = images_per_second(lambda: exhaust(feed.from_epoch(1), chosen.steps), feed, chosen.steps)
    rates["feed, no model"] = list(islice(alone, chosen.rounds))
    show(rates, member)


def noise(member: MemberRun, steps: int) -> Dataset:
    """Images of noise, as many as `steps` batches."""
    random = np.random.default_rng(0)
    count, side = steps * member.batch, member.side
    return Dataset(
        labels=tuple(f"class{index}" for index in range(CLASSES)),
        hashes=tuple(f"{index:064x}" for index in range(count)),
        origins=("",) * count,
        files=tuple(f"{index}.png" for index in range(count)),
        classes=random.integers(0, CLASSES, count, dtype=np.int32),
        pixels=random.integers(0, 256, (count, side, side), dtype=np.uint8),
        features=random.normal(size=(count, len(FEATURES))).astype(np.float32),
        digest="",
        findings=Findings(count, (), (), ()),
    )


def compiled(member: MemberRun, steps: int) -> keras.Model:
    """The member's network as the trainer compiles it."""
    keras.config.set_dtype_policy(member.precision)
    features = np.random.default_rng(0).normal(size=(100, len(FEATURES))).astype(np.float32)
    model = native(build(member.network, member.side, CLASSES, features, member.name))
    model.compile(
        optimizer_for(member, steps), "categorical_crossentropy", metrics=["accuracy"], jit_compile=Devices().xla()
    )
    return model


def train(model: keras.Model, batches: Iterator[Batch], steps: int) -> None:
    """One epoch."""
    model.fit(batches, steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False)


def exhaust(batches: Iterator[Batch], steps: int) -> None:
    """Makes the batches and throws them away."""
    for _ in islice(batches, steps):
        pass


def images_per_second(work: Callable[[], None], feed: TrainingFeed, steps: int) -> Iterator[float]:
    """Times `work`, which goes through `steps` batches, once for each value asked for."""
    while True:
        began = time.perf_counter()
        work()
        yield steps * feed.batch / (time.perf_counter() - began)


def show(rates: dict[str, list[float]], member: MemberRun) -> None:
    """The table."""
    network = member.network.architecture
    table = Table(
        title=f"{network}, {member.side} px, batch {member.batch}, {member.precision}, {keras.backend.backend()}"
    )
    for column in ("images from", "images/s, median", "lowest", "highest", "ratio to memory"):
        table.add_column(column, justify="left" if column == "images from" else "right")
    for name, each in rates.items():
        ratio = statistics.median(ours / base for ours, base in zip(each, rates["in memory"], strict=True))
        table.add_row(
            name, *(f"{value:,.0f}" for value in (statistics.median(each), min(each), max(each))), f"{ratio:.3f}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
