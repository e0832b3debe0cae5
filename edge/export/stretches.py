"""The counts of each time bin or tow, with all that is known of it: what the exports of counts are made from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bundle.errors import BadBundle
from edge.counts import Accounting, Counts, LedgerBundle, add_up, one_moment, read_counts
from edge.estimates.estimate import Estimate, Estimates, estimate
from edge.estimates.validated import Validated, read_validated
from edge.export.source import Source
from edge.reported import clipped
from edge.scoresample import sampler
from edge.survey.conditions import Conditions
from edge.survey.volume import Sampled, sampled

_LOOKS = 121  # instants of a stretch at which the conditions are asked for: twice a minute in an hour


@dataclass(frozen=True)
class Around:
    """The conditions of a stretch: at its middle where they are places, else the mean; and the span of depths."""

    values: Mapping[str, float]  # by name; what is not known is left out
    shallowest: float | None = None  # m
    deepest: float | None = None  # m


@dataclass(frozen=True)
class Stretch:
    """A time bin or a tow, [start_ns, end_ns)."""

    name: str | None  # the tow's; None: a bin
    start_ns: int
    end_ns: int
    estimates: Mapping[str, Estimate]  # every label looked for, zeros included; empty where nothing was classified
    bundles: tuple[LedgerBundle, ...]  # at work in it
    dropped: int  # images left out under overload
    sampled: Sampled
    around: Around
    verified: Mapping[str, int]  # images whose label people gave or confirmed, by it


@dataclass(frozen=True)
class Stretches:
    """All of an export."""

    every: tuple[Stretch, ...]
    labels: tuple[str, ...]  # in the order of the bundles' labels, `unclassified` last
    accounting: Accounting
    note: str | None  # why there is no corrected count


def read_bins(source: Source, width_ns: int) -> Stretches:
    """One for each bin in which images were classified or dropped."""
    counts, estimates = _read(source, width_ns, source.wanted.from_ns, source.wanted.to_ns)
    spans = _inside(source, [(each.start_ns, each.end_ns) for each in counts.bins])
    stretches = tuple(
        Stretch(
            None,
            start_ns,
            end_ns,
            {label: estimates.bins[place][label] for label in each.counts},
            each.bundles,
            each.dropped,
            volume,
            look_around(source.conditions, start_ns, end_ns),
            each.verified,
        )
        for place, (each, (start_ns, end_ns), volume) in enumerate(
            zip(counts.bins, spans, _sampled(source, spans), strict=True)
        )
    )
    return Stretches(stretches, tuple(counts.totals), counts.accounting, estimates.note)


def read_tows(source: Source, width_ns: int) -> Stretches:
    """One for each tow of the survey, as far as it lies in the stretch of time asked for.

    width_ns: of the bins in which dropped images are made up for.
    """
    spans = _inside(source, [(tow.start_ns, tow.end_ns) for tow in source.tows])
    inside = [(tow, span) for tow, span in zip(source.tows, spans, strict=True) if span[0] < span[1]]
    volumes = _sampled(source, [span for _, span in inside])
    stretches, shares, note = [], [], None
    for (tow, (start_ns, end_ns)), volume in zip(inside, volumes, strict=True):
        counts, estimates = _read(source, width_ns, start_ns, end_ns)
        at_work = [(bundle, share) for bundle, share in counts.by_bundle if sum(share.values())]
        looked_for = add_up(share for _, share in at_work)
        stretches.append(
            Stretch(
                tow.name,
                start_ns,
                end_ns,
                {label: estimates.totals[label] for label in looked_for},
                tuple(bundle for bundle, _ in at_work),
                sum(each.dropped for each in counts.bins),
                volume,
                look_around(source.conditions, start_ns, end_ns),
                counts.verified,
            )
        )
        shares.append(counts.totals)
        note = note or estimates.note
    accounting = source.provenance().accounting
    return Stretches(tuple(stretches), tuple(add_up(shares)), accounting, note)


def look_around(conditions: Conditions, start_ns: int, end_ns: int) -> Around:
    """What the logs say of [start_ns, end_ns), UTC ns."""
    if not conditions.names:
        return Around({})
    seen = conditions.at(np.linspace(start_ns, end_ns - 1, _LOOKS).astype(np.int64))
    middle, values = _LOOKS // 2, dict[str, float]()
    for name, series in seen.items():
        known = np.flatnonzero(np.isfinite(series))
        if not len(known):
            continue
        nearest = known[np.abs(known - middle).argmin()]
        is_place = name in (
            "latitude",
            "longitude",
        )  # the mean of two longitudes may lie on the other side of the earth
        values[name] = float(series[nearest]) if is_place else float(series[known].mean())
    depths = seen.get("depth", np.array([math.nan]))
    depths = depths[np.isfinite(depths)]
    return Around(values, *(None, None) if not len(depths) else (float(depths.min()), float(depths.max())))


def _read(source: Source, width_ns: int, from_ns: int | None, to_ns: int | None) -> tuple[Counts, Estimates]:
    only = source.wanted.classifier
    labels = source.labels
    validated, fault = _validated(source)
    with one_moment(source.connection):
        counts = read_counts(source.connection, width_ns, from_ns, to_ns, bundle=only, labels=labels)
        estimates = estimate(counts, validated, scored=sampler(source.connection, counts, labels))
    return counts, replace(
        estimates, note=f"{estimates.note or 'no corrected counts'} ({fault})"
    ) if fault else estimates


def _validated(source: Source) -> tuple[Validated | None, str | None]:
    """Of the one bundle that counted; else None, and the fault of its record if it has one: raw counts are still true."""
    if len(source.bundles) != 1:
        return None, None
    folder = source.folders.get(source.bundles[0].digest)
    try:
        return (None if folder is None else read_validated(folder)), None
    except BadBundle as fault:
        return None, str(fault)


def _sampled(source: Source, spans: Sequence[tuple[int, int]]) -> tuple[Sampled, ...]:
    if source.survey is None:
        return sampled(source.connection, spans, None)
    return source.survey.sampled(source.connection, spans, source.conditions)


def _inside(source: Source, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return clipped(spans, source.wanted.from_ns, source.wanted.to_ns)
