"""planktow-trainer: from a folder of labelled images to Keras members."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from bundle.command import command_group, say, typed

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


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


if __name__ == "__main__":
    app()
