"""The counts of the last minutes, by capture time, as species rules want them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from bundle.labels import UNCLASSIFIED, parse_labels
from bundle.manifest import HashedFile
from bundle.taxa import read_taxa
from bundle.vouched import read_manifest, read_vouched
from edge.counts import HOUR_NS, add_up, one_moment, read_counts
from edge.drift.drifts import read_drifts
from edge.drift.judge import Drift
from edge.survey.tows import Tow

_MINUTE_NS = 60 * 1_000_000_000
_LOOKED_AT = 100  # of the newest images: their times tell where the camera's clock stands


def recent_counts(connection: sqlite3.Connection, minutes: Iterable[float], now_ns: int) -> dict[float, dict[str, int]]:
    """For each stretch of so many minutes of capture time that ends with the newest image: label -> images.

    By capture time, and from the newest image rather than from now: a camera whose clock is wrong, or a backlog, does not
    make the sea empty. Nothing where no image was classified for so long by this host's clock. Whole hours come from the hourly
    sums, so only images of the stretch's two ends are looked at.
    """
    with one_moment(connection):
        newest = _newest(connection, now_ns)
        if newest is None:
            return {each: {} for each in minutes}
        end_ns, quiet_ns = newest
        found = {}
        for each in sorted(set(minutes)):
            width_ns = round(each * _MINUTE_NS)
            found[each] = _between(connection, end_ns - width_ns, end_ns) if quiet_ns < width_ns else {}
        return found


def recent_drifts(
    connection: sqlite3.Connection, minutes: Iterable[float], now_ns: int, bundle: Path
) -> dict[float, Drift]:
    """For each such stretch, how its images differ from the classifier's validation; where several counted, the farthest.

    bundle: the folder of the one at work. What is not known is left out. Raises BadBundle, BadConfig.
    """
    with one_moment(connection):
        newest = _newest(connection, now_ns)
        if newest is None:
            return {}
        end_ns, quiet_ns = newest
        found = {}
        for each in sorted(set(minutes)):
            width_ns = round(each * _MINUTE_NS)
            stretch = [Tow("", end_ns - width_ns, end_ns)] if quiet_ns < width_ns else []
            rows = read_drifts(connection, HOUR_NS, bundle=bundle, alone=False, tows=stretch).rows
            if rows:
                found[each] = max((row.drift for row in rows), key=_farthest)
        return found


def _farthest(drift: Drift) -> float:
    return -1.0 if drift.state == "too few" else drift.nearness


def _newest(connection: sqlite3.Connection, now_ns: int) -> tuple[int, int] | None:
    """Just after the newest capture time, and for how long no image was classified, ns; None: there is no image."""
    newest = connection.execute(
        "SELECT image.capture_ns, classified_ns FROM verdict JOIN image ON image.id = image_id"
        " ORDER BY image_id DESC LIMIT ?",
        (_LOOKED_AT,),
    ).fetchall()
    if not newest:
        return None
    captured = [capture_ns for capture_ns, _ in newest]
    end_ns = max([ns for ns in captured if ns <= now_ns + _MINUTE_NS] or captured) + 1
    return end_ns, now_ns - max(classified_ns for _, classified_ns in newest)


def _between(connection: sqlite3.Connection, from_ns: int, to_ns: int) -> dict[str, int]:
    first, last = -(-from_ns // HOUR_NS) * HOUR_NS, to_ns // HOUR_NS * HOUR_NS
    cuts = [from_ns, first, last, to_ns] if first < last else [from_ns, to_ns]
    parts = [(start, end) for start, end in pairwise(cuts) if start < end]
    return add_up(read_counts(connection, None, start, end).totals for start, end in parts)


def labels_and_groups(bundle: Path) -> tuple[tuple[str, ...], dict[str, frozenset[str]]]:
    """Of a bundle folder: its labels, and the groups that its taxa.csv makes of them; no model is loaded.

    Raises BadBundle.
    """
    manifest, _ = read_manifest(bundle)
    entry = HashedFile(manifest.labels.file, manifest.labels.sha256)
    labels = parse_labels(read_vouched(bundle, entry), str(bundle / entry.file))
    groups: dict[str, set[str]] = {}
    for label, taxon in read_taxa(bundle).items():
        groups.setdefault(taxon.group, set()).add(label)
    return (*labels, UNCLASSIFIED), {name: frozenset(its) for name, its in groups.items()}
