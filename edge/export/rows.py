"""The counted images of the ledger, one after another: what every export of images is made from.

A few thousand rows are held at a time, however many there are.
"""

from __future__ import annotations

import math
import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bundle.labels import UNCLASSIFIED
from edge.corrections.humanlabel import HumanLabel
from edge.counts import LedgerBundle
from edge.survey.conditions import Conditions
from edge.survey.tows import Tow

_CHUNK = 2048  # rows; the conditions are asked for so many instants at a time


@dataclass(frozen=True, slots=True)
class ImageRow:
    """A counted image, its verdict, and what is known of the sea around it."""

    number: int  # of the image in the ledger
    sha256: str  # 64 hexadecimal digits: the identity
    copy: int  # above 0 only where each sighting counts
    path: str | None  # relative to the watched folder; it may lie in an archive; None: the ledger knows no file
    size: int  # bytes
    mtime_ns: int  # UTC ns
    reused: bool  # another image bore the same path, before or after
    capture_ns: int  # UTC ns
    time_source: str  # name, tag, csv or mtime
    bundle: LedgerBundle
    label: str  # what is counted: the person's label if there is one, else the verdict; `unclassified` for none
    classified: bool  # False: the members did not agree, or the person could not tell
    votes: int
    asked: int | None  # members; None: all there are
    score: float  # 0..1
    classified_ns: int  # UTC ns
    measures: Mapping[str, float]  # width, height in pixels …, as bundle.measures
    conditions: Mapping[str, float]  # by name; what is not known is left out
    tow: str  # the deployment
    machine_label: str  # the verdict
    person: str | None = None  # who gave or confirmed the label; None: nobody has looked
    labelled_ns: int | None = None  # UTC ns: when

    @property
    def identity(self) -> str:
        """The sha-256, and which copy where copies count: unlike any other row's."""
        return self.sha256 if not self.copy else f"{self.sha256}-{self.copy}"


MEASURES = {
    "width": "pixels",
    "height": "pixels",
    "sharpness": "grey levels squared",
    "dark_share": "1",
    "bright_share": "1",
    "ink_share": "1",
    "mean_grey": "grey levels",
}

_ROWS = f"""
    SELECT image.id, lower(hex(sha256)), copy, path, COALESCE(size, bytes), COALESCE(mtime_ns, 0), image.capture_ns,
        time_source, bundle_id, label, votes, asked, score, classified_ns,
        path IS NOT NULL AND EXISTS (
            SELECT 1 FROM sighting AS other WHERE other.path = sighting.path AND other.image_id IS NOT image.id
                AND other.image_id IS NOT NULL
        ), {", ".join(MEASURES)}
    FROM image JOIN verdict ON verdict.image_id = image.id
    LEFT JOIN sighting ON sighting.id = (
        SELECT id FROM sighting AS seen WHERE seen.image_id = image.id ORDER BY gone_ns IS NOT NULL, id LIMIT 1
    )
    WHERE aside IS NULL
"""
_FIRST_MEASURE = 15  # its place in a row


def read_rows(
    connection: sqlite3.Connection,
    bundles: Sequence[LedgerBundle],
    from_ns: int | None = None,
    to_ns: int | None = None,
    conditions: Conditions | None = None,
    tows: Sequence[Tow] = (),
    labels: Mapping[bytes, HumanLabel] | None = None,
) -> Iterator[ImageRow]:
    """The images that `bundles` counted, in the order of capture time; only those captured in [from_ns, to_ns), UTC ns.

    tows: deployments in the order of time. Elsewhere the tow of an image is its first folder, or else its day in UTC.
    labels: what people said of images, by content.
    """
    by_id = {bundle.id: bundle for bundle in bundles}
    query, bounds = _ROWS, []
    for condition, bound in (("image.capture_ns >= ?", from_ns), ("image.capture_ns < ?", to_ns)):
        if bound is not None:
            query += f" AND {condition}"
            bounds.append(bound)
    query += f" AND bundle_id IN ({', '.join(map(str, by_id))}) ORDER BY image.capture_ns, image.id"
    known = conditions or Conditions()
    starts = [tow.start_ns for tow in tows]
    cursor = connection.execute(query, bounds)
    while chunk := cursor.fetchmany(_CHUNK):
        around = known.at(np.array([row[6] for row in chunk], np.int64))
        for place, row in enumerate(chunk):
            here = {name: float(values[place]) for name, values in around.items() if math.isfinite(values[place])}
            human = labels.get(bytes.fromhex(row[1])) if labels else None
            yield _row(row, by_id[row[8]], here, _tow(row[6], row[3], tows, starts), human)


def _row(
    row: tuple[Any, ...], bundle: LedgerBundle, conditions: Mapping[str, float], tow: str, human: HumanLabel | None
) -> ImageRow:
    number, sha256, copy, path, size, mtime_ns, capture_ns, source, _, label, votes, asked, score, when, reused = row[
        :_FIRST_MEASURE
    ]
    measures = {name: value for name, value in zip(MEASURES, row[_FIRST_MEASURE:], strict=True) if value is not None}
    machine = bundle.label_name(label)
    counted, person, labelled_ns = machine, None, None
    if human is not None and human.label is not None:
        counted, person, labelled_ns = human.label, human.person, human.labelled_ns
    return ImageRow(
        number,
        sha256,
        copy,
        path,
        size,
        mtime_ns,
        bool(reused),
        capture_ns,
        source,
        bundle,
        counted,
        counted != UNCLASSIFIED,
        votes,
        asked,
        score,
        when,
        measures,
        conditions,
        tow,
        machine,
        person,
        labelled_ns,
    )


def _tow(capture_ns: int, path: str | None, tows: Sequence[Tow], starts: Sequence[int]) -> str:
    before = bisect_right(starts, capture_ns) - 1
    if before >= 0 and capture_ns < tows[before].end_ns:
        return tows[before].name
    folder, slash, _ = (path or "").partition("/")
    return folder if slash else str(np.datetime64(capture_ns, "ns").astype("datetime64[D]"))
