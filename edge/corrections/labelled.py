"""Images with people's labels, in the ledger and as a folder to train on."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadConfig, BadImage
from bundle.imagefile import IMAGE_SUFFIXES, inspect
from bundle.labels import UNCLASSIFIED
from bundle.whole import whole_folder
from edge.bins import utc_text
from edge.corrections.classfolder import class_folders
from edge.corrections.history import read_labels
from edge.corrections.humanlabel import HumanLabel
from edge.export.imagebytes import read_content
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.shards.shards import Shards

MANIFEST = "labels.csv"
COLUMNS = ("sha256", "file", "label", "machine_label", "person", "time", "path")


@dataclass(frozen=True)
class Labelled:
    """One image with its label."""

    said: HumanLabel
    number: int | None  # in the ledger; None: it does not have it
    path: str | None  # the name under which it was seen first


@dataclass(frozen=True)
class Trainable:
    """What an export did."""

    images: int
    folders: Mapping[str, str]  # label -> folder
    missing: int  # images that are not in the folder of images any more
    unknown: int  # labels of images that the ledger does not have
    open: int  # images of which the person could not tell


def read_labelled(ledger: Path) -> list[Labelled]:
    """Every label that holds, in the order in which they were given. Raises BadConfig."""
    labels = sorted(read_labels(ledger).values(), key=lambda each: each.labelled_ns)
    with closing(open_ledger_readonly(ledger)) as connection:
        return [Labelled(said, *_found(connection, said.sha256)) for said in labels]


def export_trainable(ledger: Path, images: Path, out: Path) -> Trainable:
    """Writes OUT/LABEL/sha256.ext, byte for byte, and OUT/labels.csv: all of it or nothing.

    images: the watched folder, or a copy of it. Images of which a person could not tell are left out: nothing can be learnt
    from them. Raises BadConfig.
    """
    if not images.is_dir():
        raise BadConfig(f"{images}: no such folder; give the watched folder, or a copy of it, with --images")
    if out.exists():
        raise BadConfig(f"{out}: exists already; give a new folder with --out")
    every = read_labelled(ledger)
    if not every:
        raise BadConfig(f"{ledger}: nobody has labelled an image; look at some on the page /look first")
    usable = [each for each in every if each.said.label != UNCLASSIFIED]
    folders = class_folders({each.said.label or "" for each in usable})
    written = missing = 0
    rows: list[tuple[str, ...]] = []
    try:
        with closing(open_ledger_readonly(ledger)) as connection, Shards(images) as shards, whole_folder(out) as whole:
            for each in usable:
                data = None
                if each.number is not None:
                    data = read_content(each.number, each.said.sha256.hex(), images, shards, connection)
                file = ""
                if data is None:
                    missing += each.number is not None
                else:
                    file = f"{folders[each.said.label or '']}/{each.said.sha256.hex()}{_suffix(each.path, data)}"
                    (whole / file).parent.mkdir(exist_ok=True)
                    (whole / file).write_bytes(data)
                    written += 1
                rows.append(row_of(each, file))
            if not written:
                raise BadConfig(
                    f"{images}: not one of the {len(usable)} labelled images is there as it was counted; "
                    "give the watched folder, or a copy of it, with --images"
                )
            (whole / MANIFEST).write_text(table(rows), encoding="utf-8")
    except OSError as error:
        raise BadConfig(
            f"{out}: cannot be written ({error.strerror or error}); check the disk and the folder"
        ) from None
    used = {row[1].partition("/")[0] for row in rows}
    return Trainable(
        written,
        {label: folder for label, folder in folders.items() if folder in used},
        missing,
        sum(each.number is None for each in usable),
        len(every) - len(usable),
    )


def row_of(each: Labelled, file: str = "") -> tuple[str, ...]:
    """In the order of COLUMNS."""
    said = each.said
    time = utc_text(said.labelled_ns)
    return (said.sha256.hex(), file, said.label or "", said.machine_label or "", said.person, time, each.path or "")


def table(rows: list[tuple[str, ...]]) -> str:
    """CSV with the head COLUMNS."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def _found(connection: sqlite3.Connection, sha256: bytes) -> tuple[int | None, str | None]:
    row = connection.execute(
        "SELECT image.id, (SELECT path FROM sighting WHERE image_id = image.id ORDER BY id LIMIT 1)"
        " FROM image WHERE sha256 = ? ORDER BY copy LIMIT 1",
        (sha256,),
    ).fetchone()
    return (None, None) if row is None else (int(row[0]), row[1])


def _suffix(path: str | None, data: bytes) -> str:
    """The one it has if the trainer reads it, else that of its content."""
    suffix = Path(path or "").suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return suffix
    try:
        return f".{inspect(data).format}"
    except BadImage:
        return ".png"  # it was decoded once; the trainer's own check will say what it makes of it


def lines(done: Trainable, out: Path) -> Iterator[str]:
    """What the export did, for a person."""
    yield f"{out} written: {done.images} images in {len(done.folders)} class folders, and {MANIFEST}"
    for label, folder in done.folders.items():
        if label != folder:
            yield f"  the label '{label}' is the folder {folder}: not every disk takes its own name"
    if done.missing:
        yield f"  {done.missing} labelled images are not in the folder of images any more and were left out"
    if done.unknown:
        yield f"  {done.unknown} labels are of images that this ledger does not have"
    if done.open:
        yield f"  {done.open} images of which people could not tell were left out"
