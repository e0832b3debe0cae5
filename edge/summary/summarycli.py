"""`planktow-edge summary`: the day in a page, or in an e-mail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bundle.errors import BadConfig


def summary(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The edge.toml of the daemon.")],
    day: Annotated[
        str | None, typer.Option(metavar="DATE", help="A day in UTC: 2026-11-23.", show_default="yesterday")
    ] = None,
    form: Annotated[
        Literal["text", "html"], typer.Option("--format", help="text: under 4 kB, for an e-mail. html: one page.")
    ] = "text",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Write there; in a folder summary-DATE.txt and summary-DATE.html, whatever --format.",
        ),
    ] = None,
) -> None:
    """The summary of one UTC day: counts and how they changed, gaps, rejects, problems, alerts, disks.

    It may run while the daemon does.
    """
    import time
    from contextlib import closing

    from edge.bins import parse_instant, utc_text
    from edge.config import read_config
    from edge.ledger.ledgerfile import open_ledger_readonly
    from edge.printed import put
    from edge.situation import read_situation
    from edge.summary.summary import DAY_NS, day_before, read_summary
    from edge.summary.summaryhtml import summary_html
    from edge.summary.summarytext import summary_text

    settings = read_config(config)
    now_ns = time.time_ns()
    day_ns = day_before(now_ns) if day is None else parse_instant(day)
    if day_ns % DAY_NS:
        raise BadConfig(f"--day {day}: not a day; give a date such as 2026-11-23")
    if day_ns > now_ns:
        raise BadConfig(f"--day {day}: has not begun; give an earlier one")
    situation = read_situation(settings.ledger, settings.watch, settings.out, now_ns)
    with closing(open_ledger_readonly(settings.ledger)) as connection:
        found = read_summary(connection, settings.ledger, settings.bundle, day_ns, situation)
    if out is not None and (out.is_dir() or not (out.suffix or out.exists())):
        _make(out)
        stem = f"summary-{utc_text(day_ns)[:10]}"
        put(summary_text(found), out / f"{stem}.txt")
        put(summary_html(found), out / f"{stem}.html")
        print(f"{out / stem}.txt and .html written")
    else:
        put(summary_text(found) if form == "text" else summary_html(found), out)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)  # not its parents: a disk that is not mounted must not be filled in its place
    except OSError as error:
        raise BadConfig(f"{folder}: cannot be made ({error.strerror}); check the folder above it") from None
