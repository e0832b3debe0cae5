"""The report as lines over its bins: one a label, or one a group of labels with an interval of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bundle.labels import UNCLASSIFIED
from edge.estimates.estimate import Estimate
from edge.estimates.poisson import garwood, weighted
from edge.reported import Reported
from edge.survey.volume import Concentration, concentration
from edge.web.asked import By


@dataclass(frozen=True)
class Point:
    """One line in one bin, or one tow, [start_ns, end_ns)."""

    start_ns: int
    end_ns: int
    estimate: Estimate
    per_m3: Concentration | None


@dataclass(frozen=True)
class Line:
    """All of one label or group. A bin in which nothing was classified has no point: no observation is not a zero."""

    name: str  # the label, or the group
    title: str  # what people call it
    labels: tuple[str, ...]
    total: Estimate
    total_per_m3: Concentration | None
    points: tuple[Point, ...]


def group_of(reported: Reported, label: str) -> str:
    """The label's group; the label itself where no table of taxa says."""
    taxon = reported.taxa.get(label)
    return taxon.group if taxon else label


def default_by(reported: Reported) -> By:
    """Groups, where the bundle has any."""
    return "group" if len({taxon.group for taxon in reported.taxa.values()}) > 1 else "label"


def members(reported: Reported, by: By) -> dict[str, tuple[str, ...]]:
    """Name -> its labels, of all that was found, the most frequent name first; `unclassified` is the last."""
    totals = reported.counts.totals
    found: dict[str, tuple[str, ...]] = {}
    for label in reported.ranked:
        name = label if by == "label" else group_of(reported, label)
        found[name] = (*found.get(name, ()), label)
    ordered = sorted(found, key=lambda name: -sum(totals[label] for label in found[name]))
    last = {UNCLASSIFIED: (UNCLASSIFIED,)} if totals.get(UNCLASSIFIED) else {}
    return {name: found[name] for name in ordered} | last


def title_of(reported: Reported, name: str, by: By) -> str:
    """With a capital letter, as headings have it."""
    told = reported.name(name) if by == "label" else name
    return told[:1].upper() + told[1:]


def lines(reported: Reported, by: By, names: Sequence[str]) -> list[Line]:
    """Of those names that were found, in the order given."""
    every = members(reported, by)
    made = []
    for name in names:
        labels = every.get(name, ())
        if not labels:
            continue
        total = joined_estimate(reported.estimates.totals, labels)
        points = []
        for number, each in enumerate(reported.counts.bins):
            if not any(label in reported.estimates.bins[number] for label in labels):
                continue
            here = joined_estimate(reported.estimates.bins[number], labels)
            dense = concentration(here, reported.sampled_bins[number]) if reported.sampled_bins else None
            points.append(Point(each.start_ns, each.end_ns, here, dense))
        dense = None if reported.sampled is None else concentration(total, reported.sampled)
        made.append(Line(name, title_of(reported, name, by), labels, total, dense, tuple(points)))
    return made


def joined_estimate(estimates: Mapping[str, Estimate], labels: Sequence[str]) -> Estimate:
    """Of several labels together.

    Values add up, intervals do not. The raw one is that of the sum (Poisson counts add up to one). Of the corrected one the
    lower ends add up: what is mistaken for one label of a group is mistaken for its others too, and they are too many together.
    The distances to the upper ends add up in squares, as independent ones do (variance estimates recovery: Zou & Donner 2008,
    Stat. Med. 27, 1693-1702), to no more than the upper limit of all images. Of 2,820 groups of several labels in 144 simulated
    tows of test images (docs/counts.md has what such tows are) 97.0 % of the intervals held the truth; with squares at
    both ends 92.0 %.
    """
    parts = [estimates[label] for label in labels if label in estimates]
    if len(parts) == 1:
        return parts[0]
    raw = sum(each.raw for each in parts)
    raised = _sum([each.raised for each in parts])
    if raised is None:
        raw_low, raw_high = None, None
    elif raw:
        raw_low, raw_high = weighted([raw], [raised / raw])
    else:
        raw_low, raw_high = 0.0, max((each.raw_high or 0.0 for each in parts), default=None)
    value = _sum([each.corrected for each in parts])
    if value is None or any(each.low is None or each.high is None for each in parts):
        return Estimate(raw, raised, raw_low, raw_high, value, None, None)
    low = sum(each.low or 0.0 for each in parts)
    above = math.sqrt(sum(((each.high or 0.0) - (each.corrected or 0.0)) ** 2 for each in parts))
    every = garwood(sum(each.raised or 0.0 for each in estimates.values()))[1]
    return Estimate(raw, raised, raw_low, raw_high, value, min(low, value), max(min(value + above, every), value))


def _sum(values: Sequence[float | None]) -> float | None:
    return None if any(value is None for value in values) else float(sum(value or 0.0 for value in values))
