"""Abstention judged by what it does to counts: more `unclassified`, fewer errors, and which is better for the community.

    python -m benchmarks.abstention [--tows 10] [--scores] [--bundle DIR] [--images DIR] [--seed 1]

The bundle's validation images only. `min_votes` from the recorded ballots; thresholds of the score with --scores, for which
the members score the images first (a minute or two): verdicts below the threshold become `unclassified`. The votes are what
the bundle's rule gives; a threshold is laid over min_votes 1.

coverage    share of images that have a label
accuracy    of those
validation  Bray-Curtis error of the raw counts of all validation images
raw         mean error of raw counts on simulated tows (all compositions and sizes of benchmarks.counts_error, cross-fitted)
corrected   the same of counts corrected by the confusion table, where `unclassified` is a verdict like others
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.counts_error import bray_curtis, by_table, raw, rounds_of
from benchmarks.heldout import Held, read_held
from benchmarks.scored import kept_scores
from benchmarks.table import show
from bundle.command import refusals
from bundle.errors import BadData
from edge.estimates.quantify import calibrated
from edge.shipped import DEFAULT, shipped_bundle

THRESHOLDS = (0.3, 0.5, 0.7, 0.9)


def votes_for(ballots: NDArray[np.int64], verdict: NDArray[np.int64]) -> NDArray[np.int64]:
    """(M,) how many of the members' ballots (N, M) are for the verdict."""
    return (ballots == verdict).sum(axis=0)


def abstaining(held: Held, sure: NDArray[np.bool_]) -> Held:
    """The verdicts that are not sure become `unclassified`."""
    return replace(held, verdict=np.where(sure, held.verdict, held.classes))


def judged(held: Held, tows: int, seed: int) -> tuple[float, float, float, float, float]:
    """Coverage, accuracy, and the three errors of the head of this file."""
    named = held.verdict < held.classes
    right = (held.verdict == held.truth)[named]
    counts = held.confusion()
    whole = bray_curtis(counts.sum(axis=0)[None, :-1], counts.sum(axis=1)[None, :])[0]
    errors: dict[str, list[NDArray[np.float64]]] = {"raw": [], "ours": []}
    for each in rounds_of(held, None, tows, np.random.default_rng(seed)):
        errors["raw"].append(bray_curtis(raw(each), each.present))
        errors["ours"].append(bray_curtis(by_table(each), each.present))
    plain, mended = (float(np.concatenate(parts).mean()) for parts in errors.values())
    return float(named.mean()), float(right.mean()) if len(right) else 0.0, float(whole), plain, mended


def rules(held: Held, ballots: NDArray[np.int64], score: NDArray[np.float64] | None) -> Iterator[tuple[str, Held]]:
    """Each rule's name and the verdicts under it."""
    votes = votes_for(ballots, held.verdict)
    for least in range(1, len(ballots) + 1):
        yield f"min_votes {least}", abstaining(held, votes >= least)
    for threshold in THRESHOLDS if score is not None else ():
        assert score is not None
        yield f"score ≥ {threshold}", abstaining(held, score >= threshold)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tows", type=int, default=10, help="splits; each gives a tow of 6 compositions and 4 sizes")
    parser.add_argument("--scores", action="store_true", help="thresholds of the score too")
    parser.add_argument("--bundle", type=Path, help="else planktonset-121")
    parser.add_argument("--images", type=Path, default=Path("data/planktonset-dev"), help="folders by class")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with refusals("abstention"):
        bundle = given.bundle or shipped_bundle(DEFAULT)
        held = read_held(bundle, given.images, "validation")
        ballots = np.array(json.loads((bundle / "validation.json").read_bytes())["ballots"])
        if ballots.shape[1] != len(held.truth):
            raise BadData("some validation images are missing or in two class folders; give the whole data set")
        score = None
        if given.scores:
            temperature = json.loads((bundle / "validation.json").read_bytes())["calibration"]["ensemble"][
                "temperature"
            ]
            scores = calibrated(kept_scores(bundle, given.images, "validation"), temperature)
            score = scores[np.arange(len(scores)), np.minimum(held.verdict, held.classes - 1)]
        rows = Table(title=f"Abstention; {bundle.name}, {len(held.truth):,} validation images")
        for name in ("rule", "coverage", "accuracy", "validation", "raw", "corrected"):
            rows.add_column(name, justify="left" if name == "rule" else "right")
        for name, under in rules(held, ballots, score):
            coverage, accuracy, *found = judged(under, given.tows, given.seed)
            rows.add_row(name, f"{coverage:.1%}", f"{accuracy:.1%}", *(f"{error:.4f}" for error in found))
        show(rows)


if __name__ == "__main__":
    main()
