"""What the images of a stretch of time look like, in the bins of a bundle's reference."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bundle.reference import BALLOTS, MEASURES, VOTED, Ballots, Reference

Key = tuple[Ballots | None, str]  # how the members were asked, where that matters; name


@dataclass(frozen=True, eq=False)
class Seen:
    """M images that were counted, column by column."""

    capture_ns: NDArray[np.int64]  # (M,) UTC ns
    label: NDArray[np.int64]  # (M,) class index, or -1 for unclassified
    asked: NDArray[np.int64]  # (M,) members asked
    votes: NDArray[np.float64]  # (M,) share of the members asked, 0..1
    score: NDArray[np.float64]  # (M,) 0..1
    measures: NDArray[np.float64]  # (M, 7) in the order of MEASURES

    def __len__(self) -> int:
        return len(self.label)

    def only(self, chosen: NDArray[np.bool_]) -> Seen:
        """Some of them."""
        return Seen(
            self.capture_ns[chosen],
            self.label[chosen],
            self.asked[chosen],
            self.votes[chosen],
            self.score[chosen],
            self.measures[chosen],
        )


@dataclass(eq=False)
class Tally:
    """Images in a reference's bins: it takes the same room however many are added.

    Only images of labels that the reference knows are looked at; `labels` counts all.
    """

    reference: Reference
    labels: NDArray[np.int64] = field(init=False)  # (C + 1,) images by verdict, unclassified last
    bins: dict[Key, NDArray[np.int64]] = field(init=False)  # (E + 1,) images by bin
    decided_early: int = 0  # images for which not all members were asked

    def __post_init__(self) -> None:
        self.labels = np.zeros(len(self.reference.labels) + 1, np.int64)
        self.bins = {}

    def add(self, seen: Seen) -> None:
        """Counts these images too."""
        reference = self.reference
        rows = np.where(seen.label < 0, len(reference.labels), seen.label)
        self.labels += np.bincount(rows, minlength=len(self.labels))
        self.decided_early += int(np.count_nonzero(seen.asked < len(reference.order)))
        seen = seen.only(reference.images[rows] > 0)
        for ballots in BALLOTS:
            for name, values in zip(VOTED, (seen.votes, seen.score), strict=True):
                self._count((ballots, name), values)
        for place, name in enumerate(MEASURES):
            self._count((None, name), seen.measures[:, place])

    @property
    def ballots(self) -> Ballots:
        """How the members were asked, to judge by the images: where one was decided early, so could all be."""
        return "enough" if self.decided_early else "all"

    def histogram(self, name: str) -> NDArray[np.int64]:
        """(E + 1,) images by bin, of a name in the reference's `histograms(ballots)`."""
        key: Key = (self.ballots if name in VOTED else None, name)
        if key not in self.bins:
            return np.zeros(len(self.reference.histograms(self.ballots)[name].edges) + 1, np.int64)
        return self.bins[key]

    def _count(self, key: Key, values: NDArray[np.float64]) -> None:
        ballots, name = key
        histogram = self.reference.histograms(ballots or "all")[name]
        counted = np.bincount(histogram.bins(values), minlength=len(histogram.edges) + 1)
        self.bins[key] = self.bins[key] + counted if key in self.bins else counted
