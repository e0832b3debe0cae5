"""What the counts say of the water: each label's raw, raised and corrected number in a stretch, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from bundle.labels import UNCLASSIFIED
from edge.counts import Counts, LedgerBundle, at_work
from edge.estimates.correction import POINT, Floats, corrected, draw_matrices, row_posterior, sets_at_once
from edge.estimates.intervals import WIDE, intervals, lowest_recall
from edge.estimates.poisson import garwood, weighted
from edge.estimates.scored import Sampler, blended
from edge.estimates.validated import Validated
from edge.raising import Raising

REPLICATES = 400  # of the totals
BIN_DRAWS = 4_000_000  # numbers drawn for all bins together: replicates x bins x labels
MOST, FEWEST = 200, 80  # replicates of a bin

SEVERAL = "There is no corrected count: {0} classifiers gave these verdicts. Choose one with --classifier."
NO_VALIDATION = (
    "There is no corrected count: no validation of the classifier is at hand (a bundle's validation.json says "
    "which classes it confuses). Counts are raw."
)
OTHER_LABELS = "There is no corrected count: the labels of the validation are not those of the classifier {0}."


@dataclass(frozen=True)
class Estimate:
    """Of one label in one stretch; numbers of images, each of one organism.

    `raised` and all after it are of the images offered: those left out under overload are made up for. `corrected` sums over
    labels to all of them, for each image is of some class: `unclassified` itself is corrected to 0. None: not known.
    """

    raw: int  # images with that verdict
    raised: float | None
    raw_low: float | None  # 95 %: Poisson (Garwood 1936) and the draw under overload; no error of the classifier
    raw_high: float | None
    corrected: float | None  # with the classifier's known errors taken out
    low: (
        float | None
    )  # 95 %: Poisson, confusion, validation's finiteness, raising, and the volume where its sd was given
    high: float | None


@dataclass(frozen=True)
class Estimates:
    """Of all labels."""

    totals: Mapping[str, Estimate]
    bins: tuple[Mapping[str, Estimate], ...]  # parallel to Counts.bins
    note: str | None  # why there is no corrected count, a sentence for a person


def estimate(
    counts: Counts,
    validated: Validated | None,
    seed: int = 0,
    relative_volume_sd: float = 0.0,
    scored: Sampler | None = None,
) -> Estimates:
    """Estimates of `counts`; corrected ones where one bundle gave all verdicts and `validated` is its own.

    scored: the scores that were kept of images, which better the corrected counts. Images whose label people gave or
    confirmed are known: the classifier's errors are taken out of the others.

    Bins are corrected each by itself, drawn towards the composition of the whole: they need not add up to the totals, and
    their sums have narrower intervals than adding ends would say. The same seed gives the same numbers. Raises ValueError
    for a negative or non-finite `relative_volume_sd`.
    """
    if not 0 <= relative_volume_sd < np.inf:
        raise ValueError(f"relative_volume_sd is a number from 0, not {relative_volume_sd}")
    strata = [_Stratum(each.counts, each.raising, each.verified) for each in counts.bins] or [_whole(counts)]
    plain = Estimates(
        _plain_totals(counts.totals, strata), tuple(_plain(each) for each in strata[: len(counts.bins)]), None
    )
    working = at_work(counts)
    note = _why_not(working or [bundle for bundle, _ in counts.by_bundle[:1]], validated)
    if note is not None or validated is None:
        return Estimates(plain.totals, plain.bins, note)
    return _with_corrections(plain, strata, validated, seed, relative_volume_sd, scored)


@dataclass(frozen=True)
class _Stratum:
    """The raw counts of one bin and how they are raised."""

    counts: Mapping[str, int]
    raising: Raising
    verified: Mapping[str, int]  # of the counts: what people said

    def machine(self, labels: Sequence[str]) -> list[int]:
        """(C+1) images that are the classifier's to be wrong about, `unclassified` last. Where a person could not tell either,
        the image is one of these."""
        known = {**self.verified, UNCLASSIFIED: 0}
        return [self.counts.get(label, 0) - known.get(label, 0) for label in (*labels, UNCLASSIFIED)]


def _whole(counts: Counts) -> _Stratum:
    """All as one bin. Images left out are known without bins only where no stretch was asked for."""
    everything = counts.from_ns is None and counts.to_ns is None
    dropped = counts.accounting.dropped if everything else 0
    return _Stratum(counts.totals, Raising(sum(counts.totals.values()), dropped), counts.verified)


def _why_not(working: Sequence[LedgerBundle], validated: Validated | None) -> str | None:
    if len(working) > 1:
        return SEVERAL.format(len(working))
    if validated is None or not validated.confusion.any():
        return NO_VALIDATION
    if working and working[0].labels != validated.labels:
        return OTHER_LABELS.format(working[0])
    return None


def _plain(stratum: _Stratum) -> dict[str, Estimate]:
    """Without correction."""
    factor = stratum.raising.factor
    found = {}
    for label, raw in stratum.counts.items():
        low, high = (None, None) if factor is None else weighted([raw], [factor])
        found[label] = Estimate(raw, stratum.raising.estimate(raw), low, high, None, None, None)
    return found


def _plain_totals(totals: Mapping[str, int], strata: Sequence[_Stratum]) -> dict[str, Estimate]:
    """Each bin raised by its own factor; images left out of bins where nothing was classified, by the mean composition."""
    weights = _weights(strata)
    found = {}
    for label, raw in totals.items():
        if weights is None:
            found[label] = Estimate(raw, None, None, None, None, None, None)
            continue
        shares: dict[float, float] = {}  # factor -> images: most bins have the same
        for stratum, weight in zip(strata, weights, strict=True):
            if weight > 0:
                shares[weight] = shares.get(weight, 0) + stratum.counts.get(label, 0)
        shares = shares or {1.0: 0}
        low, high = weighted(list(shares.values()), list(shares))
        raised = sum(weight * images for weight, images in shares.items())
        found[label] = Estimate(raw, float(raised), low, high, None, None, None)
    return found


def _weights(strata: Sequence[_Stratum]) -> list[float] | None:
    """How many offered images each classified one of a stratum stands for; 0 for a stratum with none. None: not known."""
    factors = [each.raising.factor if each.raising.classified else None for each in strata]
    offered = [each.raising.classified + each.raising.dropped for each in strata]
    seen = sum(images for images, factor in zip(offered, factors, strict=True) if factor is not None)
    if not seen:
        return None if sum(offered) else [0.0] * len(strata)
    beyond = sum(offered) / seen
    return [0.0 if factor is None else factor * beyond for factor in factors]


def _with_corrections(
    plain: Estimates,
    strata: Sequence[_Stratum],
    validated: Validated,
    seed: int,
    relative_sd: float,
    scored: Sampler | None,
) -> Estimates:
    labels, random = validated.labels, np.random.default_rng(seed)
    weights = _weights(strata)
    if weights is None:
        return plain
    verdicts = np.array([each.machine(labels) for each in strata], np.float64).reshape(len(strata), len(labels) + 1)
    factors = np.array(weights)
    raised = (factors @ verdicts)[None, :]
    squares = (factors**2 @ verdicts).sum()
    factor = squares / raised.sum() if raised.sum() else 1.0  # of the images that the totals are as uncertain as
    points = draw_matrices(row_posterior(validated.confusion, POINT), REPLICATES // 2, random)
    wide = draw_matrices(row_posterior(validated.confusion, WIDE), REPLICATES, random)
    recall = lowest_recall(validated.confusion)
    whole = corrected(raised, validated.confusion, points)
    whole[0] = blended(raised[0], whole[0], scored(None) if scored else None, validated, None)
    low, high = intervals(raised / factor, np.array([factor]), wide, recall, random, relative_sd)
    known = _known(strata, weights)
    total = _joined(plain.totals, labels, whole[0], low[0], high[0], known)
    if not plain.bins:
        return Estimates(total, (), None)
    few = int(np.clip(BIN_DRAWS // (len(strata) * len(labels)), FEWEST, MOST))
    own = np.array([each.raising.factor or 0.0 for each in strata])
    base = whole[0] / whole.sum() if whole.sum() else None
    held = verdicts * own[:, None]
    centre = _in_parts(held, validated.confusion, points[:few], base)
    if scored:
        for number in range(len(strata)):
            centre[number] = blended(held[number], centre[number], scored(number), validated, base)
    low, high = intervals(verdicts, own, wide[:few], recall, random, relative_sd)
    bins = tuple(
        _joined(plain.bins[number], labels, centre[number], low[number], high[number], _known([each], [own[number]]))
        for number, each in enumerate(strata)
    )
    return Estimates(total, bins, None)


def _in_parts(
    verdicts: Floats, confusion: NDArray[np.int64], matrices: NDArray[np.float32], base: Floats | None
) -> Floats:
    size = sets_at_once(len(confusion))
    parts = [
        corrected(verdicts[first : first + size], confusion, matrices, base) for first in range(0, len(verdicts), size)
    ]
    return np.concatenate(parts)


@dataclass(frozen=True)
class _Known:
    """Images of one label as people gave it, raised; its 95 % interval knows of chance alone."""

    value: float
    low: float
    high: float


def _known(strata: Sequence[_Stratum], weights: Sequence[float]) -> dict[str, _Known]:
    found = {}
    for label in dict.fromkeys(label for each in strata for label in each.verified if label != UNCLASSIFIED):
        images = [float(each.verified.get(label, 0)) for each in strata]
        value = sum(weight * each for weight, each in zip(weights, images, strict=True))
        found[label] = _Known(value, *(weighted(images, list(weights)) if value else garwood(0)))
    return found


def _joined(
    plain: Mapping[str, Estimate],
    labels: Sequence[str],
    centre: Floats,
    low: Floats,
    high: Floats,
    known: Mapping[str, _Known],
) -> dict[str, Estimate]:
    """With the corrected numbers; the interval is widened where it leaves its own estimate out.

    What is known comes on top; the ends of the sum lie at distances that add up in squares (Zou & Donner 2008).
    """
    place = dict(zip(labels, count()))
    found = {}
    for label, each in plain.items():
        if label in place:
            at = place[label]
            value = float(centre[at])
            ends = min(float(low[at]), value), max(float(high[at]), value)
        elif label == UNCLASSIFIED or label in known:
            value, ends = 0.0, (0.0, 0.0)
        else:  # of another bundle that gave no verdict
            found[label] = each
            continue
        if label in known:
            more = known[label]
            below, above = value - ends[0], ends[1] - value
            value += more.value
            ends = (
                max(value - float(np.hypot(below, more.value - more.low)), 0.0),
                value + float(np.hypot(above, more.high - more.value)),
            )
        found[label] = Estimate(each.raw, each.raised, each.raw_low, each.raw_high, value, *ends)
    return found
