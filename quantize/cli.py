"""planktow-quantize: from the trainer's members to a bundle for the camera host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bundle.command import command_group, say
from bundle.manifest import Scheme

app = command_group(
    "From the trainer's members to a bundle for the camera host. `planktow-quantize RUN …` is short for "
    "`planktow-quantize convert RUN …`.",
    usual="convert",
)


@app.command()
def convert(
    members: Annotated[Path, typer.Argument(help="The folder that planktow-trainer wrote to (with training.json).")],
    data: Annotated[Path, typer.Option(help="The data set the members were trained on: FOLDER/CLASS/image.")],
    out: Annotated[Path, typer.Option(help="The bundle to write: a folder that does not exist yet.")],
    config: Annotated[
        Path | None, typer.Option(help="Settings, a TOML file. Without it: those of quantize.config.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The bundle's name. Without it: the training run's.")] = None,
    scheme: Annotated[
        Scheme | None, typer.Option(help="Of all members, whatever the configuration says (int8 without one).")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="The report's folder, which does not exist yet. Without it: OUT-report.")
    ] = None,
) -> None:
    """Converts each member to TFLite, holds it against its Keras original, packs the bundle, and reports."""
    from quantize.config import read_config
    from quantize.run import quantize
    from quantize.table import print_result

    print_result(quantize(members, data, out, read_config(config, scheme), name, say, report))


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="The bundle to check.")],
    data: Annotated[Path, typer.Option(help="The data set its members were trained on: FOLDER/CLASS/image.")],
    images: Annotated[
        int | None,
        typer.Option(help="At most so many of each part (below 1,000 the result is coarse). Without it: all."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Of each interpreter. Without it: all cores.")] = None,
) -> None:
    """Checks on this machine that a bundle still gives the verdicts that it was shipped with. Needs no TensorFlow."""
    from quantize.verified import print_verification
    from quantize.verify import verify as check

    checked = check(bundle, data, images, threads, say)
    print_verification(checked)
    if not checked.passed:
        raise typer.Exit(1)


@app.command()
def taxa(
    bundle: Annotated[Path, typer.Argument(help="The bundle; it is left as it is.")],
    file: Annotated[
        Path, typer.Argument(help="CSV: label, display_name, group, aphia_id, ecotaxa, living (docs/bundle.md).")
    ],
    out: Annotated[Path, typer.Option(help="The bundle to write: a folder that does not exist yet.")],
) -> None:
    """Writes a bundle anew with groups and names for its labels. Its verdicts are the same, its digest is another."""
    from quantize.taxa import with_taxa

    written = with_taxa(bundle, file, out)
    typer.echo(f"wrote {written.manifest.name} to {out}, digest {written.digest[:12]}")


if __name__ == "__main__":
    app()
