"""`planktow-edge drift`: whether the sea still looks like the images that the classifier was validated on."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

WARNED = 1  # exit code where a stretch of time looks other, for scripts


def drift(
    ledger: Annotated[Path, typer.Option(metavar="FILE", help="The ledger that `planktow-edge run` keeps.")],
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The classifier that counted, with its reference.json.",
            show_default="those of the ledger that ship",
        ),
    ] = None,
    width: Annotated[
        str,
        typer.Option(
            "--bin",
            metavar="WIDTH",
            help="Width of a time bin, from 1s to 366d: 1h, 1d; or tow: the bins are the survey's tows.",
        ),
    ] = "1d",
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Images captured then or later (UTC, 2026-11-23T12:00)."),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Images captured before then.")] = None,
    survey: Annotated[Path | None, typer.Option(metavar="FILE", help="A survey.toml with a table [tows].")] = None,
    form: Annotated[
        Literal["table", "csv", "json"], typer.Option("--format", help="csv and json have every number.")
    ] = "table",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there, whole or not at all.")] = None,
) -> None:
    """Holds what was counted against the images that the classifier was validated on: votes, scores, sizes, sharpness, light.

    Each stretch of time is compared with validation images of its own verdicts, so that other species alone are no warning.
    docs/drift.md says how, how often it is wrong, and what to do. It may run while the daemon does.

    Exit code 1 where a stretch looks other.
    """  # fmt: skip
    from bundle.errors import BadConfig
    from edge.bins import parse_stretch, parse_width
    from edge.drift.drifts import read_drifts
    from edge.drift.read import DAY_NS
    from edge.drift.shown import FORMATS, drift_table
    from edge.ledger.ledgerfile import open_ledger_readonly
    from edge.printed import put
    from edge.screen import show
    from edge.survey.surveyfile import read_survey

    from_ns, to_ns = parse_stretch(since, until)
    by_tow = width == "tow"
    width_ns = DAY_NS if by_tow else parse_width(width)
    with closing(open_ledger_readonly(ledger)) as connection:
        tows = None
        if by_tow:
            tows = () if survey is None else read_survey(survey).deployments(connection)
            if not tows:
                raise BadConfig("bins of tows need tows; give a --survey with a table [tows]")
        drifts = read_drifts(connection, width_ns, from_ns, to_ns, bundle=bundle, tows=tows)
    if form == "table" and out is None:
        show(drift_table(drifts))
    else:
        put(FORMATS[form](drifts), out)
    if any(row.drift.state == "other looks" for row in drifts.rows):
        raise typer.Exit(WARNED)
