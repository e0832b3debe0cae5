"""`planktow-edge export`: the ledger in the formats that archives take, one command each."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from bundle.errors import BadConfig

Format = Literal["ecotaxa", "dwca", "netcdf", "ifdo", "parquet"]


def export(
    form: Annotated[
        Format,
        typer.Argument(
            metavar="FORMAT",
            help="ecotaxa: zip for EcoTaxa. dwca: Darwin Core Archive for OBIS and GBIF. netcdf: CF. ifdo. parquet.",
            show_default=False,
        ),
    ],
    ledger: Annotated[Path, typer.Option(metavar="FILE", help="The ledger that `planktow-edge run` keeps.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Write there, whole or not at all.")],
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The watched folder, or a copy of it; for ecotaxa.")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The classifier: names of taxa, corrected counts.", show_default="one that ships"
        ),
    ] = None,
    classifier: Annotated[
        str | None,
        typer.Option(metavar="DIGEST", help="Of several in the ledger, the one whose verdicts are meant."),
    ] = None,
    survey: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A survey.toml: position, depth, volume, tows.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Images captured then or later (UTC, 2026-11-23T12:00)."),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Images captured before then.")] = None,
    width: Annotated[
        str,
        typer.Option(
            "--bin", metavar="WIDTH", help="Width of a time bin, from 1s to 366d: 10m, 1h, 1d. For netcdf and dwca."
        ),
    ] = "1h",
    title: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Of the data set.", show_default="the ledger's name")
    ] = None,
    creator: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Who made the data set; may come again.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--license", metavar="TEXT", help="Of the data set, such as CC-BY-4.0.")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A field of iFDO's header, such as image-project=X; may come again."),
    ] = None,
    max_megabytes: Annotated[
        int, typer.Option(min=1, metavar="MIB", help="Size of an EcoTaxa zip file; several are written where needed.")
    ] = 500,
) -> None:
    """Writes the ledger in a format that archives take; docs/exports.md says what is in it and how to hand it in.

    Images that quality control set aside are left out, as they are of the counts.
    It may run while the daemon does.
    """
    from edge.bins import parse_stretch, parse_width
    from edge.export.description import Description
    from edge.export.outfile import Exported
    from edge.export.source import Wanted, open_source

    from_ns, to_ns = parse_stretch(since, until)
    width_ns = parse_width(width)
    described = Description(title or ledger.stem, tuple(creator or ()), licence, _fields(field or ()))
    wanted = Wanted(ledger, bundle, classifier, survey, from_ns, to_ns)
    exported: Exported
    with open_source(wanted, time.time_ns()) as source:
        if form == "ecotaxa":
            from edge.export.ecotaxa import export_ecotaxa

            if images is None:
                raise BadConfig("ecotaxa takes no object without its image; give the watched folder with --images DIR")
            exported = export_ecotaxa(source, out, images, max_megabytes)
        elif form == "dwca":
            from edge.export.darwincore import export_dwca

            exported = export_dwca(source, out, width_ns, described)
        elif form == "netcdf":
            from edge.export.netcdf import export_netcdf

            exported = export_netcdf(source, out, width_ns, described.title)
        elif form == "ifdo":
            from edge.export.ifdo import export_ifdo

            exported = export_ifdo(source, out, described)
        else:
            from edge.export.parquet import export_parquet

            exported = export_parquet(source, out)
        accounts, notes = source.provenance().accounts, source.conditions.notes
    print(f"{', '.join(map(str, exported.files))} written: {exported.rows} {exported.what}")
    for note in (*exported.notes, *notes):
        print(f"  {note}")
    print(f"  in the whole ledger: {accounts}")


def _fields(given: list[str] | tuple[()]) -> dict[str, str]:
    fields = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name.startswith("image-") or not value:
            raise BadConfig(
                f"--field {each}: not NAME=VALUE with a name of iFDO's header; example: image-project=MyCruise"
            )
        fields[name] = value
    return fields
