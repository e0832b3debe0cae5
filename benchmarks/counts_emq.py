"""Expectation maximisation on scores (EMQ) beside the correction by confusion counts, on the same simulated tows.

    python -m benchmarks.counts_emq [--tows 4] [--quapy] [--bundle DIR] [--images DIR] [--seed 1]

Tows as in benchmarks.counts_error, of test images, of 200, 1,000 and 5,000 images; here the images themselves are drawn, for
their scores. The members score the test images first: a minute or two. EMQ starts from the shares of validation's
classes, which are those of training. --quapy adds QuaPy's EMQ on the same scores (pip install quapy).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.counts_error import bray_curtis, ours, plain_acc, raw
from benchmarks.heldout import KINDS, Held, read_held, tows
from benchmarks.scored import mean_scores
from benchmarks.table import show
from bundle.command import refusals
from bundle.errors import BadData
from edge.estimates.quantify import emq
from edge.shipped import DEFAULT, shipped_bundle

SIZES = (200, 1_000, 5_000)
Shares = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def quapy_emq(posteriors: NDArray[np.float64], prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """QuaPy's EMQ. Raises BadData without it."""
    try:
        from quapy.method.aggregative import EMQ
    except ImportError:
        raise BadData("QuaPy is not installed; pip install quapy, or leave --quapy out") from None
    return np.asarray(EMQ.EM(prior, posteriors)[0])


def errors(
    validation: Held, test: Held, scores: NDArray[np.float64], each: int, methods: dict[str, Shares], seed: int
) -> tuple[list[str], list[int], dict[str, NDArray[np.float64]]]:
    """Kinds and sizes of the tows, and each method's Bray-Curtis errors. scores (M, C) of the test images."""
    random = np.random.default_rng(seed)
    confusion = validation.confusion()
    prior = (confusion.sum(axis=1) + 0.5) / (confusion.sum() + 0.5 * validation.classes)
    of_class = [np.flatnonzero(test.truth == label) for label in range(test.classes)]
    kinds, sizes = [], []
    said, truth, shared = [], [], {name: [] for name in methods}
    for tow in tows(test, each, random, SIZES):
        drawn = [random.choice(of_class[label], tow.present[label]) for label in np.flatnonzero(tow.present)]
        images, times = np.unique(np.concatenate(drawn), return_counts=True)
        kinds.append(tow.kind)
        sizes.append(tow.size)
        said.append(np.bincount(test.verdict[images], weights=times, minlength=test.classes + 1))
        truth.append(tow.present)
        for name, method in methods.items():
            shared[name].append(method(np.repeat(scores[images], times, axis=0), prior) * times.sum())
    verdicts, present = np.array(said), np.array(truth, np.float64)
    found = {"raw": raw(confusion, verdicts), "plain ACC": plain_acc(confusion, verdicts)}
    found |= {"corrected": ours(confusion, verdicts)}
    found |= {name: np.array(counts) for name, counts in shared.items()}
    return kinds, sizes, {name: bray_curtis(counts, present) for name, counts in found.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tows", type=int, default=4, help="of each of 6 compositions and 3 sizes")
    parser.add_argument("--quapy", action="store_true", help="QuaPy's EMQ too")
    parser.add_argument("--bundle", type=Path, help="a bundle with test verdicts; else planktonset-121")
    parser.add_argument("--images", type=Path, default=Path("data/planktonset-dev"), help="folders by class")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with refusals("counts_emq"):
        bundle = given.bundle or shipped_bundle(DEFAULT)
        validation, test = (read_held(bundle, given.images, part) for part in ("validation", "test"))
        scores = mean_scores(bundle, given.images, "test")
        if len(scores) != len(test.truth):
            raise BadData("some test images are in two class folders; scores cannot be told apart")
        methods: dict[str, Shares] = {"EMQ": emq}
        if given.quapy:
            methods["QuaPy EMQ"] = quapy_emq
        kinds, sizes, found = errors(validation, test, scores, given.tows, methods, given.seed)
        rows = Table(title=f"Mean Bray-Curtis error; {bundle.name}, {len(kinds)} tows of test images")
        rows.add_column("tows")
        for name in found:
            rows.add_column(name, justify="right")
        chosen = {"all tows": np.ones(len(kinds), bool)}
        chosen |= {kind: np.array(kinds) == kind for kind in KINDS}
        chosen |= {f"{size:,} images": np.array(sizes) == size for size in SIZES}
        for name, those in chosen.items():
            rows.add_row(name, *(f"{error[those].mean():.4f}" for error in found.values()))
        show(rows)


if __name__ == "__main__":
    main()
