"""planktow-quantize: from the trainer's members to a bundle for the camera host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

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


@app.command()
def rejudge(
    bundle: Annotated[Path, typer.Argument(help="The bundle; it is left as it is.")],
    data: Annotated[Path, typer.Option(help="The data set its members were trained on: FOLDER/CLASS/image.")],
    out: Annotated[Path, typer.Option(help="The bundle to write: a folder that does not exist yet.")],
    background: Annotated[
        Literal["as_is", "white"],
        typer.Option(help="white: greys are scaled so that each image's own background is white, whatever the light."),
    ] = "white",
) -> None:
    """Writes a bundle anew that prepares images otherwise, its members judged anew on the images held out.

    Accept it only if it is not worse: the accuracy before and after is printed. Needs no TensorFlow.
    """
    import dataclasses

    from bundle.folder import open_bundle
    from quantize.rejudge import accuracies
    from quantize.rejudge import rejudge as judge_anew

    before = open_bundle(bundle)
    written = judge_anew(bundle, data, out, dataclasses.replace(before.manifest.input, background=background), say)
    now = accuracies(written)
    for part, was in accuracies(before).items():
        typer.echo(f"{part}: hard vote {was:.2%} before, {now[part]:.2%} now")
    typer.echo(f"wrote {written.manifest.name} to {out}, digest {written.digest[:12]}")


@app.command()
def combine(
    bundles: Annotated[list[Path], typer.Argument(help="The bundles; they are left as they are.")],
    data: Annotated[Path, typer.Option(help="The data set their members were trained on: FOLDER/CLASS/image.")],
    out: Annotated[Path, typer.Option(help="The bundle to write: a folder that does not exist yet.")],
    size: Annotated[int, typer.Option(help="How many members it has.")] = 3,
    name: Annotated[str | None, typer.Option(help="The bundle's name. Without it: the first one's.")] = None,
) -> None:
    """Chooses members of several bundles by the vote they cast together, and writes them as one.

    They were trained on the same images and prepare them alike. Needs no TensorFlow.
    """
    from quantize.combine import combine as make_one
    from quantize.table import print_combination

    print_combination(make_one(bundles, data, out, size, name, say))


@app.command()
def inherit(
    bundle: Annotated[Path, typer.Argument(help="The bundle whose members have learnt validation images, too.")],
    forebear: Annotated[
        Path, typer.Option("--from", help="The bundle of the same networks whose members had not learnt them.")
    ],
    out: Annotated[Path, typer.Option(help="The bundle to write: a folder that does not exist yet.")],
    name: Annotated[str | None, typer.Option(help="The bundle's name. Without it: the one's it inherits from.")] = None,
) -> None:
    """Writes a bundle anew with the calibration of another, made before the validation images were learnt.

    Confusion counts, temperatures and reference.json come from there; the test images say how far the two are apart.
    """
    from quantize.inherit import inherit as take_over

    made = take_over(bundle, forebear, out, name)
    typer.echo(f"calibrated by what {forebear} said of {made.images} validation images")
    typer.echo(f"hard vote on the test images: {made.before:.2%} there, {made.now:.2%} now")
    if not made.with_reference:
        typer.echo(f"{forebear} has no reference.json, so planktow-edge drift has nothing to hold the sea against")
    typer.echo(f"wrote {made.bundle.manifest.name} to {out}, digest {made.bundle.digest[:12]}")


@app.command()
def reference(
    bundle: Annotated[Path, typer.Argument(help="The bundle; its files are left as they are.")],
    data: Annotated[Path, typer.Option(help="The data set its members were trained on: FOLDER/CLASS/image.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write.", show_default="reference.json in the bundle's folder")
    ] = None,
) -> None:
    """Keeps what a bundle's validation images look like, which `planktow-edge drift` holds against the sea.

    The file stands beside the bundle's own and names its digest, which stays what it was. Needs no TensorFlow.
    """
    from bundle.errors import BadBundle
    from bundle.folder import open_bundle
    from bundle.reference import REFERENCE, write_reference
    from quantize.reference import make_reference

    made = make_reference(bundle, data, say)
    file = out or bundle / REFERENCE
    try:
        write_reference(file, made, open_bundle(bundle).manifest.name)
    except OSError as error:
        raise BadBundle(f"{file}: cannot be written ({error.strerror}); give another one with --out") from None
    typer.echo(f"wrote {file}: {made.images.sum()} validation images, of the bundle {made.digest[:12]}")


if __name__ == "__main__":
    app()
