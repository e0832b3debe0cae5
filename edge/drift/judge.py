"""The rule: are these images, species for species, like those that the classifier was validated on? Pure.

Other species are no fault: a bloom changes sizes and scores as a blind lamp does. So the day is held against validation
images weighted to the day's own verdicts: of 80 % copepods and 20 % jellies, against 80 % of what copepods looked like
and 20 % of what jellies did. What differs then are looks, not species; that the species differ is said apart, and is no warning.

For each thing seen (votes, score, each measure) the distance is Kolmogorov-Smirnov's: the greatest difference of the two
cumulative distributions, on the reference's bins; the share of the day's images that lie where they should not. With n
images of the day, r_l reference images of label l and w_l its share of the day, the reference is worth
m = 1 / sum(w_l² / r_l) images (Kish 1965, effective sample size), and chance alone makes distances of about
sqrt(1/n + 1/m) (Smirnov 1948). The limit is TOLERANCE + FACTOR * sqrt(1/n + 1/m). TOLERANCE is what a change of species
does within one verdict, since true copepods and what is taken for one do not look alike; FACTOR was calibrated on
validation images for one false warning in a hundred tows at most, of nine things seen together (docs/drift.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bundle.reference import Histogram
from edge.drift.tally import Tally

TOLERANCE = 0.10  # share of the images
FACTOR = 1.25
FEWEST = 50  # images
MOST_LIMIT = 0.40  # with a higher one hardly anything would be noticed
OTHER_SPECIES = 0.30  # share of the images, beyond chance

State = Literal["too few", "as validated", "other species", "other looks"]


@dataclass(frozen=True)
class Shift:
    """One thing seen: how far it lies from what it should be."""

    name: str
    distance: float  # 0..1, Kolmogorov-Smirnov
    limit: float  # beyond it: a warning
    at: float  # the value at which the two differ most:
    below: float  # the share of the day's images that lie below it,
    expected_below: float  # and of validation images of the same verdicts
    divergence: float  # 0..1, Jensen-Shannon in bits, for those who know it; no rule looks at it

    @property
    def lower(self) -> bool:
        """Whether the values lie lower than they should, rather than higher."""
        return self.below > self.expected_below

    @property
    def beyond(self) -> bool:
        return self.distance > self.limit


@dataclass(frozen=True)
class Drift:
    """What the rule says of one stretch of time."""

    images: int  # counted
    compared: int  # of these, with a label that validation images have
    worth: float  # so many independent reference images the comparison rests on
    species: float  # 0..1: share of the verdicts that would have to be others, to be composed as in validation
    species_by_chance: float  # what chance makes of that
    shifts: tuple[Shift, ...]  # votes, score, measures

    @property
    def beyond(self) -> tuple[Shift, ...]:
        """What warns, the farthest first."""
        return tuple(sorted((each for each in self.shifts if each.beyond), key=lambda each: -each.distance))

    @property
    def nearness(self) -> float:
        """The greatest distance as a multiple of its limit; from 1 on, a warning. 0 where nothing could be compared."""
        return max((each.distance / each.limit for each in self.shifts), default=0.0)

    @property
    def limit(self) -> float:
        """Of each distance."""
        return limit(self.compared, self.worth)

    @property
    def state(self) -> State:
        """The whole in two words."""
        if self.compared < max(FEWEST, self.images / 2) or self.limit > MOST_LIMIT:
            return "too few"
        if self.beyond:
            return "other looks"
        return "other species" if self.species > self.species_by_chance + OTHER_SPECIES else "as validated"


def judge(tally: Tally) -> Drift:
    """Holds what was tallied against the tally's own reference."""
    reference = tally.reference
    known = reference.images > 0
    here = np.where(known, tally.labels, 0)
    compared, images = int(here.sum()), int(tally.labels.sum())
    if not compared:
        return Drift(images, 0, 0.0, 0.0, 0.0, ())
    weights = here / compared
    per_image = weights / np.maximum(reference.images, 1)  # what one reference image of each label counts for
    worth = float(1 / np.sum(weights * per_image))
    shifts = tuple(
        _shift(name, tally.histogram(name) / compared, per_image @ histogram.counts, histogram, limit(compared, worth))
        for name, histogram in reference.histograms(tally.ballots).items()
    )
    return Drift(images, compared, worth, *_species(tally.labels, reference.images), shifts)


def limit(images: int, worth: float) -> float:
    """The distance beyond which `images` compared with a reference worth so many are other."""
    return TOLERANCE + FACTOR * sqrt(1 / images + 1 / worth) if images and worth else 1.0


def _shift(
    name: str, found: NDArray[np.float64], expected: NDArray[np.float64], histogram: Histogram, most: float
) -> Shift:
    below, expected_below = np.cumsum(found)[:-1], np.cumsum(expected)[:-1]  # each edge
    farthest = int(np.abs(below - expected_below).argmax())
    return Shift(
        name,
        distance=float(abs(below[farthest] - expected_below[farthest])),
        limit=most,
        at=float(histogram.edges[farthest]),
        below=float(below[farthest]),
        expected_below=float(expected_below[farthest]),
        divergence=_jensen_shannon(found, expected),
    )


def _species(labels: NDArray[np.int64], reference: NDArray[np.int64]) -> tuple[float, float]:
    """Half the sum of the differences of shares, and what that would be by chance, were the shares the same."""
    day, then = labels.sum(), reference.sum()
    pooled = (labels + reference) / (day + then)
    by_chance = float(np.sqrt(2 / np.pi * pooled * (1 - pooled) * (1 / day + 1 / then)).sum()) / 2
    return float(np.abs(labels / day - reference / then).sum()) / 2, by_chance


def _jensen_shannon(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """In bits (Lin 1991): 0 where the two are the same, 1 where they share nothing."""
    middle = (one + other) / 2
    return float((_relative(one, middle) + _relative(other, middle)) / 2)


def _relative(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    there = one > 0
    return float(np.sum(one[there] * np.log2(one[there] / other[there])))
