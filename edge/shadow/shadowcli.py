"""`planktow-edge shadow`: how a second bundle would have counted, and where it disagrees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edge.shadow.shadow import Comparison

_PAIRS = 20  # lines of the table


def shadow(
    ledger: Annotated[Path, typer.Option(metavar="FILE", help="The ledger that `planktow-edge run` keeps.")],
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Images captured then or later (UTC, 2026-11-23T12:00)."),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Images captured before then.")] = None,
    form: Annotated[
        Literal["table", "csv", "json"],
        typer.Option("--format", help="csv: one row per pair of labels, those that agree too; # begins a comment."),
    ] = "table",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there, whole or not at all.")] = None,
) -> None:
    """How a second bundle (table shadow in edge.toml) would have counted the same images, and where the two disagree.

    Only images that both classified and that count are compared; labels are matched by name. Where a shadow saw a share of
    the images, its counts are of that share, and so are those beside them.
    The csv has the columns shadow, counted_label, shadow_label, images.
    It may run while the daemon does.
    """
    from contextlib import closing

    from edge.bins import parse_stretch
    from edge.ledger.ledgerfile import open_ledger_readonly
    from edge.printed import put
    from edge.screen import show, to_text
    from edge.shadow.shadow import read_comparisons

    from_ns, to_ns = parse_stretch(since, until)
    with closing(open_ledger_readonly(ledger)) as connection:
        found = read_comparisons(connection, from_ns, to_ns)
    if form == "csv":
        put(_csv(found), out)
    elif form == "json":
        put(_json(found), out)
    elif out:
        put(to_text(_tables(found)), out)
    else:
        show(_tables(found))


def _tables(found: tuple[Comparison, ...]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    if not found:
        return Text("No image was seen by a second bundle in this time; name one under [shadow] in edge.toml.")
    return Group(*(part for each in found for part in _table(each)))


def _table(found: Comparison) -> list[RenderableType]:
    from rich.text import Text

    from edge.screen import table

    told = table(f"{found.shadow} beside {', '.join(map(str, found.counting))}")
    told.caption = (
        f"Both saw {found.images} of {found.counted} images counted ({found.seen_share or 0:.1%}); "
        f"they agree on {found.agreement or 0:.1%} of them."
    )
    told.add_column("label")
    for name in ("counted", "by the shadow", "difference", "both"):
        told.add_column(name, justify="right")
    for each in found.labels:
        if each.counted or each.shadow:
            told.add_row(each.label, str(each.counted), str(each.shadow), f"{each.difference:+d}", str(each.agreed))
    if not found.pairs:
        return [told]
    pairs = table("Where they disagree")
    for name in ("counted as", "the shadow says"):
        pairs.add_column(name)
    pairs.add_column("images", justify="right")
    for pair in found.pairs[:_PAIRS]:
        pairs.add_row(pair.counted, pair.shadow, str(pair.images))
    rest = found.pairs[_PAIRS:]
    if not rest:
        return [told, pairs]
    more = f"and {len(rest)} more pairs, {sum(pair.images for pair in rest)} images (--format csv has all)"
    return [told, pairs, Text(more)]


def _csv(found: tuple[Comparison, ...]) -> str:
    import csv
    import io

    text = io.StringIO()
    for each in found:
        text.write(f"# {each.shadow.name} {each.shadow.digest}: {each.images} of {each.counted} images counted\n")
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)  # a label may hold a #
    writer.writerow(("shadow", "counted_label", "shadow_label", "images"))
    for each in found:
        name = str(each.shadow)
        same = [(label.label, label.label, label.agreed) for label in each.labels if label.agreed]
        writer.writerows((name, *row) for row in same)
        writer.writerows((name, pair.counted, pair.shadow, pair.images) for pair in each.pairs)
    return text.getvalue()


def _json(found: tuple[Comparison, ...]) -> str:
    from dataclasses import asdict

    from bundle.whole import json_bytes

    told: list[dict[str, Any]] = [
        {
            "shadow": {"name": each.shadow.name, "digest": each.shadow.digest},
            "counting": [{"name": bundle.name, "digest": bundle.digest} for bundle in each.counting],
            "images": each.images,
            "counted": each.counted,
            "agreed": each.agreed,
            "agreement": each.agreement,
            "labels": [
                {**asdict(label), "difference": label.difference, "agreement": label.agreement} for label in each.labels
            ],
            "pairs": [asdict(pair) for pair in each.pairs],
        }
        for each in found
    ]
    return json_bytes({"shadows": told}).decode()
