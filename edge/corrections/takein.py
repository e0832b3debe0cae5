"""Labels that were given elsewhere, from a CSV file: a row for each image, all of them or none."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadConfig
from edge.bins import parse_instant
from edge.corrections.history import add_labels, read_labels
from edge.corrections.humanlabel import HumanLabel, checked_label, checked_person
from edge.corrections.labelsfile import labels_file
from edge.counts import read_bundles
from edge.ledger.ledger import stored
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.track.columns import DELIMITERS

FAULTS_TOLD = 10
_WANTED = "its first line must name the columns: sha256 or path, label, and person (or give --person)"


@dataclass(frozen=True)
class TakenIn:
    """What an import did."""

    added: int
    same: int  # stood there already, by the same person
    unknown_labels: Mapping[str, int]  # labels that no classifier of the ledger has -> images


def take_in(ledger: Path, file: Path, person: str | None, now_ns: int, skip_unknown: bool = False) -> TakenIn:
    """Adds the labels of `file` to those of the ledger.

    person: for rows without one. A column `time` (ISO 8601) is when; else it is now. skip_unknown: rows of images that the
    ledger does not have are passed by. Raises BadConfig, with the faults of all rows, and then nothing is added.
    """
    rows = _rows(file)
    faults: list[str] = []
    said: dict[bytes, tuple[int, HumanLabel]] = {}
    with closing(open_ledger_readonly(ledger)) as connection:
        bundles = {bundle.id: bundle for bundle in read_bundles(connection)}
        for number, row in rows:
            try:
                found = _image(connection, row)
            except _Unknown as missing:
                if not skip_unknown:
                    faults.append(f"row {number}: {missing}")
                continue
            except BadConfig as fault:
                faults.append(f"row {number}: {fault}")
                continue
            sha256, bundle_id, label = found
            bundle = bundles[bundle_id]
            try:
                each = HumanLabel(
                    sha256,
                    checked_label(row.get("label", "")),
                    checked_person(row.get("person", "") or person or ""),
                    bundle.label_name(label),
                    bundle.digest,
                    parse_instant(row["time"]) if row.get("time") else now_ns,
                )
            except BadConfig as fault:
                faults.append(f"row {number}: {fault}")
                continue
            before = said.setdefault(sha256, (number, each))
            if before[1].label != each.label:
                faults.append(f"row {number}: says '{each.label}' of the image of which row {before[0]} says "
                              f"'{before[1].label}'")  # fmt: skip
    if faults:
        more = f"; and {len(faults) - FAULTS_TOLD} more" if len(faults) > FAULTS_TOLD else ""
        raise BadConfig(f"{file}: nothing was taken in. {'; '.join(faults[:FAULTS_TOLD])}{more}")
    there = read_labels(ledger)
    fresh = [each for _, each in said.values() if not _same(there.get(each.sha256), each)]
    if fresh:
        add_labels(labels_file(ledger), fresh)
    known = {label for bundle in bundles.values() for label in (*bundle.labels, bundle.label_name(-1))}
    unknown: dict[str, int] = {}
    for each in fresh:
        if each.label is not None and each.label not in known:
            unknown[each.label] = unknown.get(each.label, 0) + 1
    return TakenIn(len(fresh), len(said) - len(fresh), unknown)


class _Unknown(Exception):
    """An image that the ledger does not have."""


def _rows(file: Path) -> list[tuple[int, dict[str, str]]]:
    """(line number, cells by column name) of each row."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise BadConfig(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise BadConfig(f"{file}: not UTF-8 text; save it as CSV in UTF-8") from None
    try:
        for delimiter in DELIMITERS:
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            head = [cell.strip().lower() for cell in next(reader, [])]
            if "label" in head and ("sha256" in head or "path" in head):
                rows = [(reader.line_num, row) for row in reader if any(row)]
                return [(number, _cells(head, row)) for number, row in rows]
    except csv.Error as error:
        raise BadConfig(f"{file}: not CSV ({error}); save it as CSV in UTF-8") from None
    raise BadConfig(f"{file}: {_WANTED}")


def _cells(head: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    return {name: cell.strip() for name, cell in zip(head, row, strict=False)}


def _image(connection: sqlite3.Connection, row: Mapping[str, str]) -> tuple[bytes, int, int]:
    """(sha-256, bundle, class index) of the image that the row means. Raises _Unknown and BadConfig."""
    given: list[bytes | str]
    told, path = row.get("sha256", "").lower(), row.get("path", "")
    if told:
        try:
            sha256 = bytes.fromhex(told)
        except ValueError:
            sha256 = b""
        if len(sha256) != 32:
            raise BadConfig(f"'{told}' is no sha-256 of 64 hexadecimal digits")
        where, given = "sha256 = ?", [sha256]
    elif path:
        where, given = "image.id IN (SELECT image_id FROM sighting WHERE path = ?)", [stored(path)]
    else:
        raise BadConfig("neither a sha256 nor a path")
    found = connection.execute(
        f"SELECT DISTINCT sha256, bundle_id, label, reason FROM image LEFT JOIN verdict ON image_id = image.id WHERE {where}",
        given,
    ).fetchall()
    what = told or path
    if not found:
        raise _Unknown(f"the ledger does not have the image {what}")
    if len({each[0] for each in found}) > 1:
        raise BadConfig(f"{len(found)} images bore the name {path}; give their sha256")
    sha256, bundle_id, label, reason = found[0]
    if bundle_id is None:
        raise BadConfig(f"the image {what} was rejected ({reason}) and is not counted")
    return sha256, bundle_id, label


def _same(there: HumanLabel | None, each: HumanLabel) -> bool:
    return there is not None and (there.label, there.person) == (each.label, each.person)
