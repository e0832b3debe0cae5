"""planktow-quantize: from the trainer's members to a bundle for the camera host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bundle.command import refusals, say
from quantize.config import Scheme, read_config
from quantize.run import quantize
from quantize.table import print_result

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    members: Annotated[Path, typer.Argument(help="The folder that planktow-trainer wrote to (with training.json).")],
    data: Annotated[Path, typer.Option(help="The data set the members were trained on: FOLDER/CLASS/image.")],
    out: Annotated[Path, typer.Option(help="The bundle to write: a folder that does not exist yet.")],
    config: Annotated[
        Path | None, typer.Option(help="Settings, a TOML file. Without it: those of quantize.config.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The bundle's name. Without it: the training run's.")] = None,
    scheme: Annotated[
        Scheme | None, typer.Option(help="Overrides the configured scheme (int8, where none is configured).")
    ] = None,
) -> None:
    """Converts each member to TFLite, checks it against its Keras original on held-out images, and packs the bundle."""
    with refusals("planktow-quantize"):
        print_result(quantize(members, data, out, read_config(config, scheme), name, say))


if __name__ == "__main__":
    app()
