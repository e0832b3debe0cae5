"""What was counted and sampled in each tow."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edge.counts import Counts
from edge.htmlreport.facts import chunks
from edge.reported import clipped
from edge.survey.tows import Tow
from edge.survey.volume import Sampled


@dataclass(frozen=True)
class Towed:
    """One tow as the page has it."""

    tow: Tow
    images: int  # counted
    most: str  # the label most frequent in it; nothing where none was found
    sampled: Sampled


def count_tows(
    connection: sqlite3.Connection,
    counts: Counts,
    labels: Sequence[str],
    tows: Sequence[Tow],
    sampled_in: Callable[[Sequence[tuple[int, int]]], tuple[Sampled, ...]],
) -> list[Towed]:
    """What was counted and sampled in each tow, of what lies in the stretch asked for.

    labels: as `report_labels`. The tows do not overlap and stand in order of time.
    """
    if not tows:
        return []
    starts = np.array([tow.start_ns for tow in tows], np.int64)
    ends = np.array([tow.end_ns for tow in tows], np.int64)
    tally = np.zeros((len(tows), len(labels)), np.int64)
    for chunk in chunks(connection, counts, labels):
        at = np.searchsorted(starts, chunk.capture_ns, side="right") - 1
        inside = (at >= 0) & (chunk.capture_ns < ends[at])
        np.add.at(tally, (at[inside], chunk.label[inside]), 1)
    named = tally[:, :-1]  # `unclassified` is the last
    stretches = [
        (start, max(start, end))
        for start, end in clipped([(tow.start_ns, tow.end_ns) for tow in tows], counts.from_ns, counts.to_ns)
    ]
    return [
        Towed(tow, int(all_), labels[int(row.argmax())] if row.any() else "", sampled)
        for tow, all_, row, sampled in zip(tows, tally.sum(axis=1), named, sampled_in(stretches), strict=True)
    ]
