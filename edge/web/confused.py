"""Where one class is confused, by the bundle's own validation: what its verdicts truly were, and what it is taken for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bundle.labels import UNCLASSIFIED
from edge.estimates.validated import Validated

MOST = 8  # others that are named


@dataclass(frozen=True)
class Confused:
    """Of one label; numbers of validation images, which trained none of the members."""

    images: int  # truly of this class
    right: int  # of these: got this label
    verdicts: int  # images that got this label
    taken_for: tuple[tuple[str, int], ...]  # this class got these labels, the most frequent first
    truly: tuple[tuple[str, int], ...]  # images with this label were of these classes


def confused(validated: Validated, label: str) -> Confused | None:
    """None where the bundle does not know the label."""
    if label not in validated.labels:
        return None
    at = validated.labels.index(label)
    row, column = validated.confusion[at], validated.confusion[:, at]
    return Confused(
        int(row.sum()),
        int(row[at]),
        int(column.sum()),
        _others(row, (*validated.labels, UNCLASSIFIED), at),
        _others(column, validated.labels, at),
    )


def _others(counts: np.ndarray, labels: tuple[str, ...], own: int) -> tuple[tuple[str, int], ...]:
    order = np.argsort(-counts, kind="stable")
    return tuple((labels[at], int(counts[at])) for at in order.tolist() if counts[at] and at != own)[:MOST]
