"""The scores of a sample of the images that a report counts, from the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from bundle.vote import NO_LABEL
from edge.counts import Counts, at_work
from edge.estimates.scored import Sampler, Scored
from edge.keptscores import unpack

SAMPLE = 20_000  # images for the totals: their own chance is far below the classifier's errors
BIN_SAMPLE, BINS_SAMPLE = 500, 100_000  # images for a bin, and for all bins together
_AT_ONCE = 500  # images in one query


def read_scores(
    connection: sqlite3.Connection,
    bundle_id: int,
    class_count: int,
    from_ns: int | None,
    to_ns: int | None,
    limit: int = SAMPLE,
    without: Collection[bytes] = (),
) -> Scored | None:
    """At most `limit` of the images of that bundle in the counts, captured in [from_ns, to_ns), UTC ns: every n-th.

    without: the sha-256 of images that are not asked for. None where any image that was looked at has no scores: it is of a
    version that kept none, and those that have some would be no fair sample.
    """
    packed: list[bytes] = []
    labels: list[int] = []
    chosen = _every_nth(connection, from_ns, to_ns, limit)
    for first in range(0, len(chosen), _AT_ONCE):
        part = chosen[first : first + _AT_ONCE].tolist()
        rows = connection.execute(
            "SELECT sha256, label, scores FROM verdict CROSS JOIN image ON image.id = image_id"
            f" WHERE image_id IN ({','.join('?' * len(part))}) AND bundle_id = ? AND aside IS NULL",
            [*part, bundle_id],
        )
        for sha256, label, scores in rows:
            if sha256 in without:
                continue
            if scores is None:
                return None
            packed.append(scores)
            labels.append(class_count if label == NO_LABEL else label)
    return Scored(unpack(packed, class_count), np.array(labels, np.int64))


def sampler(connection: sqlite3.Connection, counts: Counts, without: Collection[bytes] = ()) -> Sampler | None:
    """The scores of a sample of the images that `counts` counts; None where not one bundle alone gave the verdicts.

    without: the sha-256 of images whose label people gave. To be asked in the moment of the ledger in which it was counted.
    """
    working = at_work(counts)
    if len(working) != 1:
        return None
    (bundle,) = working
    of_bin = min(BIN_SAMPLE, BINS_SAMPLE // max(len(counts.bins), 1))

    def sample(number: int | None) -> Scored | None:
        start, end, limit = counts.from_ns, counts.to_ns, SAMPLE
        if number is not None:
            each, limit = counts.bins[number], of_bin
            start = each.start_ns if start is None else max(start, each.start_ns)
            end = each.end_ns if end is None else min(end, each.end_ns)
        return read_scores(connection, bundle.id, len(bundle.labels), start, end, limit, without)

    return sample


def _every_nth(connection: sqlite3.Connection, from_ns: int | None, to_ns: int | None, limit: int) -> NDArray[np.int64]:
    """Numbers of images, in the order of capture, or of arrival where there is no bound: nothing need then be looked through."""
    if from_ns is None and to_ns is None:
        (last,) = connection.execute("SELECT COALESCE(MAX(image_id), 0) FROM verdict").fetchone()
        numbers = np.arange(1, last + 1) if last <= limit else np.linspace(1, last, limit).astype(np.int64)
        return numbers.astype(np.int64)
    bounds = (-(2**63) if from_ns is None else from_ns, 2**63 - 1 if to_ns is None else to_ns - 1)
    found = connection.execute("SELECT id FROM image WHERE capture_ns BETWEEN ? AND ? ORDER BY capture_ns", bounds)
    every = np.fromiter((number for (number,) in found), np.int64)
    if len(every) <= limit:
        return every
    return every[np.linspace(0, len(every) - 1, limit).astype(np.int64)]
