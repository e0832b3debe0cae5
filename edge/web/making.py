"""Makes a file to download: whole in a private folder of its own, which is gone before the first byte is sent."""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from bundle.errors import BadConfig
from edge.bins import utc_text
from edge.counts import one_moment
from edge.export.description import Description
from edge.export.outfile import Exported
from edge.export.source import Source, Wanted, open_source
from edge.htmlreport.spell import whole
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.report import FORMATS
from edge.reported import read_reported
from edge.survey.surveyfile import Survey, read_survey
from edge.web.offers import LABELS, REPORTS, Offer, Options
from edge.web.place import Place
from edge.web.reading import folder_of
from edge.web.stretch import Most, Plan, images_within, plan

MOST = Most(bins=1000, images=5_000_000)  # half a minute or two, in a thread that stands back
LEAVE_BYTES = 1 << 30  # of the temporary folder's disk, which may be the ledger's
SMALL_BYTES = 50 << 20  # is not worth looking at the disk
_ROW_BYTES = 400  # an image in a table, about
MEGABYTES = 500  # of a part for EcoTaxa


def make(place: Place, offer: Offer, options: Options) -> BinaryIO:
    """The finished file, open at its beginning; its name is gone already, so that nothing of it stays behind.

    Raises BadConfig, BadBundle.
    """
    folder = Path(tempfile.mkdtemp(prefix="planktow-"))  # only this user may look into it
    try:
        out = folder / f"made{offer.suffix}"
        if offer in LABELS:
            _labels(place, offer, out)
        else:
            (_report if offer in REPORTS else _export)(place, offer, options, out)
        return out.open("rb")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def file_name(place: Place, offer: Offer, options: Options, now_ns: int) -> str:
    """planktow-ledger-20261125T100000Z.csv: letters that every system takes; the stretch of time, if one was asked for."""
    parts = ["planktow", place.ledger.stem, offer.name.partition(".")[0]]
    if options.asked.from_ns is not None:
        parts.append(f"from {_short(options.asked.from_ns)}")
    if options.asked.to_ns is not None:
        parts.append(f"to {_short(options.asked.to_ns)}")
    parts.append(_short(now_ns))
    told = "-".join(re.sub(r"[^A-Za-z0-9_]+", "-", part).strip("-") for part in parts)
    return f"{told[:120]}{offer.suffix}"


def _short(instant_ns: int) -> str:
    return utc_text(instant_ns)[:19].replace("-", "").replace(":", "") + "Z"


def _report(place: Place, offer: Offer, options: Options, out: Path) -> None:
    survey = read_survey(place.survey) if place.survey else None
    with closing(open_ledger_readonly(place.ledger)) as connection, one_moment(connection):
        made = _plan(connection, options, survey is not None or offer.suffix == ".html")
        if options.by_tow and survey is None:
            raise BadConfig("bins of tows need a survey.toml, and this page was given none; choose a width")
        bundle = folder_of(connection, place, options.asked.classifier)
        if offer.suffix == ".html":
            out.write_text(_html(connection, place, options, made, bundle, survey), encoding="utf-8")
            return
        reported = read_reported(
            connection,
            made.width_ns,
            made.from_ns,
            made.to_ns,
            classifier=options.asked.classifier,
            bundle=bundle,
            survey=survey,
            by_tow=options.by_tow,
        )
    form = {".txt": "table"}.get(offer.suffix, offer.suffix[1:])
    out.write_text(FORMATS[form](reported), encoding="utf-8")


def _html(
    connection: sqlite3.Connection,
    place: Place,
    options: Options,
    made: Plan,
    bundle: Path | None,
    survey: Survey | None,
) -> str:
    from edge.htmlreport.write import html_report

    return html_report(
        connection,
        place.ledger,
        made.width_ns,
        made.from_ns,
        made.to_ns,
        place.now_ns(),
        classifier=options.asked.classifier,
        bundle=bundle,
        survey=survey,
        survey_file=place.survey,
        images=place.watch if options.samples else None,
        by_tow=options.by_tow,
    )


def _labels(place: Place, offer: Offer, out: Path) -> None:
    """Of the whole ledger: people look at few images."""
    from edge.corrections.labelled import export_trainable, read_labelled, row_of, table

    if offer.suffix == ".csv":
        out.write_text(table([row_of(each) for each in read_labelled(place.ledger)]), encoding="utf-8")
        return
    if place.watch is None:
        raise BadConfig("the folder of images is not known to this page; start it with --watch DIR")
    folder = out.with_name("labelled")
    export_trainable(place.ledger, place.watch, folder)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            archive.write(file, file.relative_to(folder))


def _export(place: Place, offer: Offer, options: Options, out: Path) -> None:
    asked = options.asked
    with closing(open_ledger_readonly(place.ledger)) as connection:
        made = _plan(connection, options, every_image=True)
        _require_room(connection, offer, made, out.parent)
        bundle = folder_of(connection, place, asked.classifier)
    described = Description(options.title or place.ledger.stem, options.creators, options.licence)
    wanted = Wanted(place.ledger, bundle, asked.classifier, place.survey, made.from_ns, made.to_ns)
    with open_source(wanted, place.now_ns()) as source:
        exported = _exporter(place, offer, made, described)(source, out)
    if len(exported.files) > 1:
        _join(exported.files, out)
    elif exported.files != (out,):
        exported.files[0].rename(out)


def _exporter(place: Place, offer: Offer, made: Plan, described: Description) -> Callable[[Source, Path], Exported]:
    """The function that writes this format; only its own libraries are loaded."""
    if offer.name == "ecotaxa.zip":
        from edge.export.ecotaxa import export_ecotaxa

        if place.watch is None:
            raise BadConfig("the folder of images is not known to this page; start it with --watch DIR")
        watch = place.watch
        return lambda source, out: export_ecotaxa(source, out, watch, MEGABYTES)
    if offer.name == "dwca.zip":
        from edge.export.darwincore import export_dwca

        return lambda source, out: export_dwca(source, out, made.width_ns, described)
    if offer.name == "counts.nc":
        from edge.export.netcdf import export_netcdf

        return lambda source, out: export_netcdf(source, out, made.width_ns, described.title)
    if offer.name == "ifdo.json":
        from edge.export.ifdo import export_ifdo

        return lambda source, out: export_ifdo(source, out, described)
    from edge.export.parquet import export_parquet

    return export_parquet


def _plan(connection: sqlite3.Connection, options: Options, every_image: bool) -> Plan:
    made = plan(connection, options.asked, every_image, MOST)
    if made.shortened:
        raise BadConfig(
            f"{whole(images_within(connection, None, None))} images are too many to make a file of while the daemon counts; "
            "choose a shorter stretch, or run the command on the host"
        )
    return made


def _require_room(connection: sqlite3.Connection, offer: Offer, made: Plan, folder: Path) -> None:
    """A file that would fill the disk under the daemon is not begun."""
    needed = made.images * _ROW_BYTES
    if "images" in offer.needs:
        since = -(2**63) if made.from_ns is None else made.from_ns
        until = 2**63 - 1 if made.to_ns is None else made.to_ns
        (size,) = connection.execute(
            "SELECT COALESCE(SUM(bytes), 0) FROM image WHERE capture_ns >= ? AND capture_ns < ?", (since, until)
        ).fetchone()
        needed += 2 * int(size)  # the parts, and the zip around them
    free = shutil.disk_usage(folder).free
    if needed > SMALL_BYTES and free - needed < LEAVE_BYTES:
        raise BadConfig(
            f"the file may need {needed >> 20} MiB while it is made, and the disk of the temporary folder has {free >> 20} MiB "
            "free; choose a shorter stretch"
        )


def _join(files: tuple[Path, ...], out: Path) -> None:
    """Several parts as one file; each part is deleted once it is in."""
    partial = out.with_name("joined")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as joined:
        for number, file in enumerate(files, start=1):
            joined.write(file, f"ecotaxa-part-{number:02d}.zip")
            file.unlink()
    partial.rename(out)
