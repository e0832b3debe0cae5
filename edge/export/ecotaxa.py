"""Images with their predicted labels for EcoTaxa: zip files with a table and the images, below its limit of an upload.

The rules are those of EcoTaxa's own importer (ecotaxa_back, BO/TSVFile.py, and the help of its import page): the table's
name begins with `ecotaxa`, its second line holds [t] or [f] for each column, a table in UTF-8 begins with a byte order
mark, `img_file_name` and `object_id` are compulsory, and an acquisition belongs to one sample.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from glob import escape
from pathlib import Path

from bundle.errors import BadConfig, BadImage
from edge.bins import utc_text
from edge.counts import one_moment
from edge.export.imagebytes import as_web_image, read_image
from edge.export.lognames import log_names
from edge.export.outfile import Exported, check_out, partial_name, take_its_place
from edge.export.rows import MEASURES, ImageRow
from edge.export.source import Source
from edge.export.zipwithtable import ZipWithTable
from edge.shards.shards import Shards

MEGABYTES = 500  # EcoTaxa takes zip files below 500 MiB (ecotaxa_front, templates/files_macros.html)
_LEAST_MEGABYTES = 1
_MIB = 1 << 20

_TEXT, _NUMBER = "[t]", "[f]"
_COLUMNS = {
    "img_file_name": _TEXT,
    "img_rank": _NUMBER,
    "object_id": _TEXT,
    "object_lat": _NUMBER,
    "object_lon": _NUMBER,
    "object_date": _TEXT,
    "object_time": _TEXT,
    "object_depth_min": _NUMBER,
    "object_depth_max": _NUMBER,
    "object_annotation_category": _TEXT,
    "object_annotation_status": _TEXT,
    "object_annotation_date": _TEXT,
    "object_annotation_time": _TEXT,
    "object_annotation_person_name": _TEXT,
    "object_score": _NUMBER,
    "object_votes": _NUMBER,
    "object_asked": _NUMBER,
    "object_label": _TEXT,
    "object_file": _TEXT,
    "object_time_source": _TEXT,
    **{f"object_{name}": _NUMBER for name in MEASURES},
}
_PLACE = ("latitude", "longitude", "depth")  # conditions with a column of their own
_PARENTS = {
    "sample_id": _TEXT,
    "acq_id": _TEXT,
    "process_id": _TEXT,
    "process_software": _TEXT,
    "process_bundle": _TEXT,
    "process_bundle_sha256": _TEXT,
}


def export_ecotaxa(source: Source, out: Path, images: Path, max_megabytes: int = MEGABYTES) -> Exported:
    """One zip file `out`, or several beside it, numbered, of less than `max_megabytes` MiB each.

    Images that are no longer in the folder `images` are left out and counted. Raises BadConfig.
    """
    if not images.is_dir():
        raise BadConfig(f"{images}: no such folder; give the watched folder, or a copy of it, with --images")
    if max_megabytes < _LEAST_MEGABYTES:
        raise BadConfig(f"--max-megabytes {max_megabytes}: at least {_LEAST_MEGABYTES}")
    check_out(out)
    with one_moment(source.connection), Shards(images) as shards, _Parts(out, source, max_megabytes * _MIB) as parts:
        missing = unreadable = 0
        for row in source.rows():
            data = read_image(row, images, shards, source.connection)
            if data is None:
                missing += 1
                continue
            try:
                data, suffix = as_web_image(data)
            except BadImage:
                unreadable += 1
                continue
            parts.add(row, data, suffix)
        if not parts.rows:
            raise BadConfig(
                f"{images}: not one of the {missing + unreadable} counted images is there as it was counted; "
                "give the watched folder, or a copy of it, with --images"
            )
        files = parts.finish()
    notes = []
    if missing:
        notes.append(
            f"{missing} counted images are not in {images} any more (deleted, moved or rewritten since) and were left out: "
            "EcoTaxa takes no object without its image"
        )
    if unreadable:
        notes.append(f"{unreadable} images cannot be decoded and were left out")
    numbered = out.parent.glob(f"{escape(out.stem)}_[0-9][0-9][0-9]{escape(out.suffix)}")
    if older := sorted({*numbered, *([out] if out.exists() else [])} - set(files)):
        notes.append(f"of an earlier export, and not of this one: {', '.join(map(str, older))}")
    return Exported(files, parts.rows, "images", tuple(notes))


class _Parts:
    """The zip files of one export: a context manager that leaves none behind unless `finish` was called."""

    def __init__(self, out: Path, source: Source, max_bytes: int) -> None:
        self.rows = 0
        self._out, self._source, self._max_bytes = out, source, max_bytes
        self._provenance = source.provenance()
        extra = [name for name in source.conditions.names if name not in _PLACE]
        taken = {column.removeprefix("object_") for column in _COLUMNS}
        self._conditions = {f"object_{column}": name for name, column in log_names(extra, taken).items()}
        self._columns = {**_COLUMNS, **dict.fromkeys(self._conditions, _NUMBER), **_PARENTS}
        self._done: list[Path] = []
        self._part: ZipWithTable | None = None

    def __enter__(self) -> _Parts:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._part is not None:
            self._part.abandon()
        for partial in self._done:
            partial.unlink(missing_ok=True)

    def add(self, row: ImageRow, data: bytes, suffix: str) -> None:
        """Into the zip file at hand, or a new one. Raises BadConfig for an image that no zip file could hold."""
        name = row.identity + suffix
        cells = self._cells(row, name)
        try:
            if self._part is None or not self._part.has_room(len(data), cells):
                self._close_part()
                self._part = self._new_part()
                if not self._part.has_room(len(data), cells):
                    raise BadConfig(
                        f"{row.path}: {len(data)} bytes, more than a zip file of {self._max_bytes // _MIB} MiB holds; "
                        "give a larger --max-megabytes"
                    )
            self._part.add(name, data, cells)
        except OSError as error:
            raise self._refused(error) from None
        self.rows += 1

    def finish(self) -> tuple[Path, ...]:
        """Gives the zip files their names: `out` where it is one, else with a number each."""
        try:
            self._close_part()
            count = len(self._done)
            names = [
                self._out if count == 1 else self._out.with_name(f"{self._out.stem}_{number:03d}{self._out.suffix}")
                for number in range(1, count + 1)
            ]
            for partial, name in zip(self._done, names, strict=True):
                take_its_place(partial, name)
        except OSError as error:
            raise self._refused(error) from None
        return tuple(names)

    def _new_part(self) -> ZipWithTable:
        number = len(self._done) + 1
        partial = partial_name(self._out.with_name(f"{self._out.name}.{number}"))
        # EcoTaxa remembers tables by their names, and can pass by those that it had.
        table = f"ecotaxa_{_plain(self._out.stem)}_{number:03d}.tsv"
        return ZipWithTable(partial, table, self._columns, self._max_bytes, self._provenance)

    def _close_part(self) -> None:
        if self._part is not None:
            part, self._part = self._part, None
            self._done.append(part.path)
            part.close()

    def _refused(self, error: OSError) -> BadConfig:
        return BadConfig(f"{self._out}: cannot be written ({error.strerror or error}); check the disk and the folder")

    def _cells(self, row: ImageRow, name: str) -> Sequence[str]:
        taken = utc_text(row.capture_ns)
        depth = _number(row.conditions.get("depth"))
        taxon = self._source.taxon(row.bundle, row.label)
        short = row.bundle.digest[:12]
        category = taxon.ecotaxa or taxon.display_name or row.label
        return [
            name,
            "1",
            row.identity,
            _number(row.conditions.get("latitude")),
            _number(row.conditions.get("longitude")),
            _date(taken),
            _clock(taken),
            depth,
            depth,
            *_annotation(row, category),
            _number(row.score),
            str(row.votes),
            _number(row.asked),
            row.label,
            row.path or "",
            row.time_source,
            *(_number(row.measures.get(measure)) for measure in MEASURES),
            *(_number(row.conditions.get(condition)) for condition in self._conditions.values()),
            row.tow,
            f"{row.tow}_{short}",
            f"planktow_{row.tow}_{short}",
            self._provenance.software,
            row.bundle.name,
            row.bundle.digest,
        ]


def _annotation(row: ImageRow, category: str) -> Sequence[str]:
    """Category, status, date, time and person."""
    if not row.classified:
        return [""] * 5
    if row.person is not None and row.labelled_ns is not None:
        when = utc_text(row.labelled_ns)
        return category, "validated", _date(when), _clock(when), row.person
    when = utc_text(row.classified_ns)
    return category, "predicted", _date(when), _clock(when), str(row.bundle)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _date(utc: str) -> str:
    return utc[:10].replace("-", "")


def _clock(utc: str) -> str:
    return utc[11:19].replace(":", "")


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "_", name).strip("_").removeprefix("ecotaxa_") or "export"
