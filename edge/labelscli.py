"""`planktow-edge labels`: what people said of images, to look at, to train on, and from elsewhere."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

labels_app = typer.Typer(
    help="Labels that people gave or confirmed on the page /look: list, export to train on, import.",
    no_args_is_help=True,
)

_Ledger = Annotated[Path, typer.Option(metavar="FILE", help="The ledger that `planktow-edge run` keeps.")]


@labels_app.command(name="list")
def list_labels(
    ledger: _Ledger,
    form: Annotated[Literal["table", "csv"], typer.Option("--format", help="csv has every image.")] = "table",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there, whole or not at all.")] = None,
) -> None:
    """The labels that hold: how many images each, how many the machine had called so.

    The csv can be taken in by `labels import`, on another host too.
    """
    from edge.corrections.labelled import read_labelled, row_of, table
    from edge.corrections.summary import labels_table
    from edge.printed import put
    from edge.screen import show, to_text

    every = read_labelled(ledger)
    if form == "csv":
        put(table([row_of(each) for each in every]), out)
    elif out is not None:
        put(to_text(labels_table(every)), out)
    else:
        show(labels_table(every))


@labels_app.command()
def export(
    ledger: _Ledger,
    images: Annotated[Path, typer.Option(metavar="DIR", help="The watched folder, or a copy of it.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder, written whole or not at all.")],
) -> None:
    """Writes DIR/LABEL/image for every labelled image, byte for byte, to train on with `planktow-trainer`.

    labels.csv beside the class folders says of each image: sha256, file, label, machine_label, person, time, path.
    """
    from edge.corrections.labelled import export_trainable, lines

    for line in lines(export_trainable(ledger, images, out), out):
        print(line)


@labels_app.command(name="import")
def import_labels(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Columns: sha256 or path, label, person, time.")],
    ledger: _Ledger,
    person: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who gave the labels, where no column says.")
    ] = None,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Pass by images that the ledger does not have.")
    ] = False,
) -> None:
    """Takes in labels that were given elsewhere: all rows, or none and the faults of each.

    They count from the next report on. To import a file twice is to import it once.
    """
    from edge.corrections.takein import take_in

    done = take_in(ledger, file, person, time.time_ns(), skip_unknown)
    print(f"{done.added} labels taken in, {done.same} stood there already")
    for label, images in done.unknown_labels.items():
        print(f"  no classifier of this ledger has the label '{label}' ({images} images): it counts as one of its own")
