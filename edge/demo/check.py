"""Whether the ledger holds what was dropped: nothing missing, nothing twice, nothing that should have been refused."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bundle.errors import BadImage
from bundle.folder import Bundle
from bundle.labels import UNCLASSIFIED
from bundle.vote import NO_LABEL
from edge.counts import Accounting
from edge.demo.camera import Drop, Expected


@dataclass(frozen=True)
class Found:
    """One image in the ledger: with a label (or `unclassified`) it was counted, with a reason rejected."""

    label: str | None
    reason: str | None
    detail: str | None


def fault_of(bundle: Bundle, data: bytes) -> str | None:
    """What is wrong with an image file's bytes, in a word; None where nothing is."""
    try:
        bundle.prepare(data)
    except BadImage as error:
        return error.reason
    return None


def read_found(connection: sqlite3.Connection) -> dict[str, Found]:
    """Every image of the ledger by its sha-256."""
    rows = connection.execute(
        "SELECT image.sha256, image.reason, image.detail, verdict.label, bundle.labels FROM image"
        " LEFT JOIN verdict ON verdict.image_id = image.id LEFT JOIN bundle ON bundle.id = verdict.bundle_id"
    )
    found = {}
    for sha256, reason, detail, label, labels in rows:
        name = None if label is None else UNCLASSIFIED if label == NO_LABEL else json.loads(labels)[label]
        found[sha256.hex()] = Found(name, reason, detail)
    return found


def faults(expected: Expected, found: Mapping[str, Found], accounting: Accounting, drops: Iterable[Drop]) -> list[str]:
    """One line for each thing that is not as it must be; empty when all is well."""
    names = {drop.sha256: f"{drop.name} ({drop.kind})" for drop in drops}
    counted = {sha256 for sha256, each in found.items() if each.label is not None}
    rejected = {sha256 for sha256, each in found.items() if each.reason is not None}
    told = []
    for what, wrong in (
        ("not counted", expected.counted - counted),
        ("counted, but is no good image", counted - expected.counted),
        ("not rejected", expected.rejected - rejected),
        ("rejected, but is a good image", rejected & expected.counted),
    ):
        told += [f"{names.get(sha256, sha256[:12])}: {what}" for sha256 in sorted(wrong)]
    seen = len(expected.counted) + len(expected.rejected)
    wanted = Accounting(
        seen=seen,
        counted=len(expected.counted),
        rejected=len(expected.rejected),
        waiting=0,
        dropped=0,
        duplicates=expected.duplicates,
    )
    if accounting != wanted:
        told.append(
            f"the ledger says {accounting}, duplicates {accounting.duplicates}; "
            f"it must say {wanted}, duplicates {wanted.duplicates}"
        )
    return told
