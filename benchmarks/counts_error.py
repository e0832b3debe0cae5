"""How far raw and corrected counts are from the truth, and how often the 95 % interval holds it, on simulated tows.

    python -m benchmarks.counts_error [--tows 100] [--part test] [--verdicts-only] [--quapy] [--bundle DIR] [--images DIR]

Tows are made of images that trained no member, drawn with replacement: --tows of each of six compositions and four sizes (200
to 20,000 images; numbers are Poisson). Compositions: as in training; Dirichlet with concentrations 0.05, 0.3 and 1 over the
classes; four classes with nine tenths; rare and common flipped.

--part test        the counts are corrected by the bundle's validation record, the tows are of test images. Nothing was
                   tuned on these.
--part validation  cross-fitting: the confusion is of one half of the validation images, the tows of the other, a new
                   split for each of --tows rounds. All that is tuned was tuned here.

raw        what the classifier says
plain ACC  adjusted classify-and-count: the inverse of the confusion table, cut at 0
by table   the confusion table as reports use it, where the ledger has no scores
corrected  as reports correct: blended with what the images' scores say. The members score the images first, half a minute;
           --verdicts-only leaves that out, and `corrected` is then `by table`
--quapy    adds QuaPy's ACC, and its EMQ on the same scores (pip install quapy)

Error: Bray-Curtis dissimilarity of counted and true organisms per label, 0 to 1. Coverage: share of labels with at least one
organism expected whose expected number the interval holds. Width: (high - low) / expected, median. The images of a class
are few (1 to 150), and the same ones come again and again within a tow: that test images differ from validation's by
chance acts as an error that the whole tow shares.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.heldout import KINDS, SIZES, Held, SimulatedTow, inherited_confusion, read_held, tows
from benchmarks.scored import kept_scores
from benchmarks.table import show
from bundle.command import refusals
from bundle.errors import BadData
from edge.estimates.correction import POINT, corrected, draw_matrices, row_posterior
from edge.estimates.estimate import REPLICATES
from edge.estimates.intervals import WIDE, intervals, lowest_recall
from edge.estimates.quantify import calibrated
from edge.estimates.scored import Scored, blended
from edge.estimates.validated import Validated, read_validated
from edge.shipped import DEFAULT, shipped_bundle

Counts = NDArray[np.float64]  # (T, C) for T tows


@dataclass(frozen=True, eq=False)
class Round:
    """T tows, the images that they are made of, and what they are corrected by."""

    validated: Validated
    held: Held
    tows: Sequence[SimulatedTow]

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(C, C+1)."""
        return self.validated.confusion

    @property
    def verdicts(self) -> Counts:
        """(T, C+1)."""
        return np.array([tow.verdicts for tow in self.tows], np.float64)

    @property
    def present(self) -> Counts:
        """(T, C) organisms."""
        return np.array([tow.present for tow in self.tows], np.float64)

    def scored(self, tow: SimulatedTow) -> Scored | None:
        """All images of a tow with their scores, as often as they came."""
        if self.held.scores is None:
            return None
        return Scored(np.repeat(self.held.scores, tow.times, axis=0), np.repeat(self.held.verdict, tow.times))


Method = Callable[[Round], Counts]


@dataclass(frozen=True, eq=False)
class Judged:
    """T tows: kinds and sizes, the error of each method, and of each label expected: tow, hit, relative width."""

    kinds: NDArray[np.str_]
    sizes: NDArray[np.int64]
    errors: dict[str, NDArray[np.float64]]  # (T,) each
    tow: NDArray[np.int64]  # (L,) for the L labels expected in all tows
    hit: NDArray[np.bool_]
    above: NDArray[np.bool_]  # the truth is above the interval
    width: NDArray[np.float64]
    share: NDArray[np.float64]  # of the tow
    support: NDArray[np.int64]  # validation images of the class


def raw(round_: Round) -> Counts:
    """What the classifier says."""
    return round_.verdicts[:, :-1]


def plain_acc(round_: Round) -> Counts:
    """Adjusted classify-and-count (Forman 2008): the pseudo-inverse of the plain shares, cut at 0, scaled to the sum."""
    rows, verdicts = _shares(round_.confusion), round_.verdicts
    found = np.clip(verdicts @ np.linalg.pinv(rows), 0, None)
    return found / found.sum(axis=1, keepdims=True) * verdicts.sum(axis=1, keepdims=True)


def by_table(round_: Round) -> Counts:
    """As reports correct totals without scores."""
    confusion = round_.confusion
    matrices = draw_matrices(row_posterior(confusion, POINT), REPLICATES // 2, np.random.default_rng(0))
    return np.concatenate([corrected(part, confusion, matrices) for part in _parts(round_.verdicts)])


def ours(round_: Round) -> Counts:
    """As reports correct totals."""
    centres = by_table(round_)
    return np.array(
        [
            blended(tow.verdicts.astype(np.float64), centre, round_.scored(tow), round_.validated, None)
            for tow, centre in zip(round_.tows, centres, strict=True)
        ]
    )


def quapy_acc(round_: Round) -> Counts:
    """QuaPy's ACC with its default solver (`minimize`, on the simplex), from the same shares. Raises BadData without it."""
    try:
        from quapy.functional import normalize_prevalence
        from quapy.method.aggregative import ACC
    except ImportError:
        raise BadData("QuaPy is not installed; pip install quapy, or leave --quapy out") from None
    square = _shares(round_.confusion)[:, :-1]
    found = []
    for verdict in round_.verdicts:  # QuaPy knows no `unclassified`
        named = verdict[:-1] / max(verdict[:-1].sum(), 1)
        shares = ACC.solve_adjustment(
            class_conditional_rates=square.T, unadjusted_counts=named, method="inversion", solver="minimize"
        )
        found.append(normalize_prevalence(shares, method="clip") * verdict.sum())
    return np.array(found)


def quapy_emq(round_: Round) -> Counts:
    """QuaPy's EMQ on the scores of all images, calibrated as ours are, from the shares of validation."""
    from quapy.method.aggregative import EMQ

    assert round_.validated.temperature is not None
    prior = round_.confusion.sum(axis=1) + 0.5
    found = []
    for tow in round_.tows:
        scored = round_.scored(tow)
        assert scored is not None
        likely = calibrated(scored.scores, round_.validated.temperature)
        found.append(np.asarray(EMQ.EM(prior / prior.sum(), likely)[0]) * len(likely))
    return np.array(found)


def _shares(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """(C, C+1) plain shares of each class's verdicts; a class without images is taken for itself."""
    images = confusion.sum(axis=1, keepdims=True)
    return np.where(images > 0, confusion / np.maximum(images, 1), np.eye(*confusion.shape))


def bray_curtis(one: Counts, other: Counts) -> NDArray[np.float64]:
    """(T,) dissimilarity of counts, 0 to 1 (Bray & Curtis 1957); 0 where both are empty."""
    whole = (one + other).sum(axis=1)
    return np.divide(np.abs(one - other).sum(axis=1), whole, out=np.zeros(len(one)), where=whole > 0)


def judge(rounds: Sequence[Round], methods: dict[str, Method], seed: int) -> Judged:
    """Every method on every tow of every round; the interval is judged about `corrected`."""
    errors: dict[str, list[NDArray[np.float64]]] = {name: [] for name in methods}
    labels: list[tuple[NDArray[np.generic], ...]] = []
    random, before = np.random.default_rng(seed), 0
    for each in rounds:
        confusion, verdicts = each.confusion, each.verdicts
        expected = np.array([tow.expected for tow in each.tows])
        found = {name: method(each) for name, method in methods.items()}
        for name, counts in found.items():
            errors[name].append(bray_curtis(counts, each.present))
        wide = draw_matrices(row_posterior(confusion, WIDE), REPLICATES // 2, random)
        low, high = intervals(verdicts, np.ones(len(verdicts)), wide, lowest_recall(confusion), random)
        low, high = np.minimum(low, found["corrected"]), np.maximum(high, found["corrected"])
        tow, label = np.nonzero(expected >= 1)
        truth = expected[tow, label]
        inside = (low[tow, label] <= truth) & (truth <= high[tow, label])
        share, support = truth / expected.sum(axis=1)[tow], confusion.sum(axis=1)[label]
        width = (high - low)[tow, label] / truth
        labels.append((tow + before, inside, truth > high[tow, label], width, share, support))
        before += len(each.tows)
    every = [tow for each in rounds for tow in each.tows]
    return Judged(
        np.array([tow.kind for tow in every]),
        np.array([tow.size for tow in every]),
        {name: np.concatenate(parts) for name, parts in errors.items()},
        *(np.concatenate(column) for column in zip(*labels, strict=True)),
    )


def groups(judged: Judged) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Name and tows: all, by composition, by size."""
    yield "all tows", np.ones(len(judged.sizes), bool)
    for kind in KINDS:
        yield kind, judged.kinds == kind
    for size in sorted(set(judged.sizes.tolist())):
        yield f"{size:,} images", judged.sizes == size


def table(judged: Judged, title: str) -> Table:
    """Mean errors, and coverage, by group."""
    rows = Table(title=title)
    rows.add_column("tows", no_wrap=True)
    for name in judged.errors:
        rows.add_column(name, justify="right")
    for name in ("corrected - raw", "better", "coverage", "truth above", "width"):
        rows.add_column(name, justify="right")
    plain, mended = judged.errors["raw"], judged.errors["corrected"]
    for name, chosen in groups(judged):
        if not chosen.any():
            continue
        labels = chosen[judged.tow]
        cells = [f"{error[chosen].mean():.4f}" for error in judged.errors.values()]
        cells.append(f"{(mended - plain)[chosen].mean():+.4f}")
        cells.append(f"{(mended < plain)[chosen].mean():.0%}")
        cells += [f"{judged.hit[labels].mean():.1%}", f"{judged.above[labels].mean():.1%}"]
        rows.add_row(name, *cells, f"{np.median(judged.width[labels]):.2f}")
    gain = mended - plain
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else float("nan")
    rows.caption = (
        f"{len(gain):,} tows, {len(judged.hit):,} labels; corrected - raw {gain.mean():+.4f} "
        f"(standard error {error:.4f}), {gain.mean() / plain.mean():+.1%} of the raw error"
    )
    return rows


def label_table(judged: Judged) -> Table:
    """Coverage by the label's share of its tow and by its validation images."""
    rows = Table(title="Coverage by label")
    for name in ("labels with", "labels", "coverage", "truth above", "width"):
        rows.add_column(name, justify="left" if name == "labels with" else "right")
    share, support = judged.share, judged.support
    chosen = {
        "under 0.1 % of the tow": share < 0.001,
        "0.1 to 1 %": (share >= 0.001) & (share < 0.01),
        "1 to 5 %": (share >= 0.01) & (share < 0.05),
        "5 % and more": share >= 0.05,
        "  of these, 10 or more validation images": (share >= 0.05) & (support >= 10),
        "under 3 validation images": support < 3,
        "3 to 9": (support >= 3) & (support < 10),
        "10 to 29": (support >= 10) & (support < 30),
        "30 and more": support >= 30,
    }
    for name, those in chosen.items():
        if those.any():
            hit, above = judged.hit[those].mean(), judged.above[those].mean()
            rows.add_row(
                name, f"{those.sum():,}", f"{hit:.1%}", f"{above:.1%}", f"{np.median(judged.width[those]):.2f}"
            )
    return rows


def rounds_of(
    validation: Held,
    test: Held | None,
    each: int,
    random: np.random.Generator,
    sizes: Sequence[int] = SIZES,
    temperature: float | None = None,
    confusion: NDArray[np.int64] | None = None,
) -> list[Round]:
    """With `test`, one round of `each` tows of a kind and size; without, `each` rounds that split the validation images.

    confusion: (C, C+1) that the test tows are corrected by, where it is not that of `validation`, since the bundle inherited it.
    """

    def validated(counts: NDArray[np.int64]) -> Validated:
        return Validated(tuple(map(str, range(validation.classes))), counts, temperature)

    if test is not None:
        counts = validation.confusion() if confusion is None else confusion
        return [Round(validated(counts), test, list(tows(test, each, random, sizes)))]
    found = []
    for _ in range(each):
        one, other = validation.halves(random)
        found.append(Round(validated(one.confusion()), other, list(tows(other, 1, random, sizes))))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tows", type=int, default=100, help="of each of 6 compositions and 4 sizes")
    parser.add_argument("--part", choices=("test", "validation"), default="test")
    parser.add_argument("--verdicts-only", action="store_true", help="without scores")
    parser.add_argument("--quapy", action="store_true", help="QuaPy's ACC and EMQ too")
    parser.add_argument("--bundle", type=Path, help="a bundle with test verdicts; else planktonset-121")
    parser.add_argument("--images", type=Path, default=Path("data/planktonset-dev"), help="folders by class")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with refusals("counts_error"):
        bundle = given.bundle or shipped_bundle(DEFAULT)
        held = {part: read_held(bundle, given.images, part) for part in ("validation", "test")}
        methods: dict[str, Method] = {"raw": raw, "plain ACC": plain_acc, "by table": by_table, "corrected": ours}
        temperature = None
        if not given.verdicts_only:
            scores = kept_scores(bundle, given.images, given.part)
            if len(scores) != len(held[given.part].truth):
                raise BadData(f"some {given.part} images are in two class folders; scores cannot be told apart")
            held[given.part] = replace(held[given.part], scores=scores)
            validated = read_validated(bundle)
            temperature = None if validated is None else validated.temperature
        if given.quapy:
            methods |= {"QuaPy ACC": quapy_acc} | ({} if temperature is None else {"QuaPy EMQ": quapy_emq})
        random = np.random.default_rng(given.seed)
        test = held["test"] if given.part == "test" else None
        rounds = rounds_of(
            held["validation"], test, given.tows, random, SIZES, temperature, inherited_confusion(bundle)
        )
        title = f"Mean Bray-Curtis error and coverage; {bundle.name}, {given.part} images, seed {given.seed}"
        judged = judge(rounds, methods, given.seed)
        show(table(judged, title))
        show(label_table(judged))


def _parts(verdicts: Counts, size: int = 128) -> Iterator[Counts]:
    for first in range(0, len(verdicts), size):
        yield verdicts[first : first + size]


if __name__ == "__main__":
    main()
