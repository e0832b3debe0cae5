"""Which images of a label stand on its page: the latest, the most and the least certain that are still in the folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from bundle.labels import UNCLASSIFIED
from bundle.vote import NO_LABEL
from edge.corrections.looked import Looked
from edge.counts import HOUR_NS, LedgerBundle

EACH = 12
LOOKED_AT_MOST = 200_000  # images of all labels, in the newest hours that hold this one: some 0.4 s

_HOURS = """
    SELECT hour_ns, SUM(CASE WHEN bundle_id = ?1 AND label = ?2 THEN images ELSE 0 END) AS its, SUM(images)
    FROM hourly WHERE images > 0 AND hour_ns > ?3 - 3600000000000 AND hour_ns < ?4
    GROUP BY hour_ns HAVING its > 0 ORDER BY hour_ns DESC
"""
_IMAGES = """
    SELECT image.id, capture_ns, votes, COALESCE(asked, 0), score
    FROM image CROSS JOIN verdict ON verdict.image_id = image.id
    WHERE aside IS NULL AND EXISTS (SELECT 1 FROM sighting WHERE sighting.image_id = image.id AND gone_ns IS NULL)
"""
_OF_HOUR = f"{_IMAGES} AND bundle_id = ? AND verdict.label = ? AND capture_ns >= ? AND capture_ns < ?"
_ONE = f"{_IMAGES} AND image.id = ?"


@dataclass(frozen=True)
class Specimen:
    """One image of the label."""

    image: int  # the ledger's number
    capture_ns: int
    votes: int
    asked: int  # 0: not known
    score: float

    @property
    def certainty(self) -> tuple[float, float]:
        """More is more certain: whom most of the asked members agree on, then the higher score."""
        return self.votes / max(self.asked, 1), self.score


@dataclass(frozen=True)
class Gallery:
    """Up to EACH images in each way; one may stand in several."""

    latest: tuple[Specimen, ...]
    most: tuple[Specimen, ...]
    least: tuple[Specimen, ...]
    by_people: tuple[Specimen, ...]  # that people called so, the latest first
    considered: int  # images of the label that were chosen from, those still in the folder
    everything: bool  # whether these are all that there are


def choose(
    connection: sqlite3.Connection,
    bundles: Sequence[LedgerBundle],
    label: str,
    from_ns: int | None = None,
    to_ns: int | None = None,
    looked: Sequence[Looked] = (),
) -> Gallery:
    """Of the verdicts of these bundles, captured in [from_ns, to_ns), UTC ns.

    looked: images that people have labelled; what they called otherwise is left out.
    """
    since, until = -(2**62) if from_ns is None else from_ns, 2**62 if to_ns is None else to_ns
    otherwise = {each.image_id for each in looked if each.label != label}
    found: list[Specimen] = []
    everything = True
    for bundle in bundles:
        number = _index(bundle, label)
        if number is None:
            continue
        looked_at = 0
        for hour_ns, _, images in connection.execute(_HOURS, (bundle.id, number, since, until)).fetchall():
            if looked_at and looked_at + images > LOOKED_AT_MOST:
                everything = False
                break
            looked_at += images
            ends = max(hour_ns, since), min(hour_ns + HOUR_NS, until)
            rows = (Specimen(*row) for row in connection.execute(_OF_HOUR, (bundle.id, number, *ends)))
            found += (each for each in rows if each.image not in otherwise)
    named = [each.image_id for each in looked if each.label == label and since <= each.capture_ns < until]
    people = [Specimen(*row) for image in named for row in connection.execute(_ONE, (image,))]
    ranked = sorted(found, key=lambda each: each.certainty)
    return Gallery(
        _latest(found),
        tuple(ranked[::-1][:EACH]),
        tuple(ranked[:EACH]),
        _latest(people),
        len(found),
        everything,
    )


def _latest(found: Sequence[Specimen]) -> tuple[Specimen, ...]:
    return tuple(sorted(found, key=lambda each: (-each.capture_ns, -each.image))[:EACH])


def _index(bundle: LedgerBundle, label: str) -> int | None:
    if label == UNCLASSIFIED:
        return NO_LABEL
    return bundle.labels.index(label) if label in bundle.labels else None
