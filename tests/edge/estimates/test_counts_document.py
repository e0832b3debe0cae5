"""The worked example of docs/counts.md is what the code computes."""

from pathlib import Path

import numpy as np
import pytest

from edge.counts import Accounting, Counts, LedgerBundle, add_up, count_verdicts
from edge.estimates.correction import trust, unfold
from edge.estimates.estimate import estimate
from edge.estimates.validated import Validated

LABELS = ("copepod", "jelly", "krill")
CONFUSION = np.array([[192, 4, 0, 4], [16, 80, 2, 2], [2, 6, 40, 2]])
VERDICTS = np.array([532, 1236, 190, 42])


@pytest.fixture(scope="module")
def page():
    return (Path(__file__).parents[3] / "docs" / "counts.md").read_text(encoding="utf-8")


def line(*cells):
    return "| " + " | ".join(f"{cell:.0f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |\n"


def test_the_confusion_and_the_verdicts_are_those_of_the_example(page):
    for label, row in zip(LABELS, CONFUSION, strict=True):
        assert line(label, *row, row.sum()) in page
    assert line("raw count", *VERDICTS) in page


def test_the_steps_are_as_told(page):
    rows = CONFUSION / CONFUSION.sum(axis=1, keepdims=True)
    raw = VERDICTS[:3] / VERDICTS[:3].sum()
    for steps in (1, 2, 20):
        found = unfold(VERDICTS[None], rows, raw[None], steps)[0]
        assert line(steps, *(float(each) for each in found)) in page
    called = 2000 * raw * rows[:, 0]
    assert f"{called.sum():.0f} would have been called copepod" in page
    assert "\n{:.0f} would be of copepods, {:.0f} of jellies and {:.0f} of krill".format(*called) in page


def test_the_report_says_what_the_page_says(page):
    bundle = LedgerBundle(1, "example", "ab" * 32, LABELS)
    verdicts = [(0, 1, label if label < 3 else -1, int(images)) for label, images in enumerate(VERDICTS)]
    by_bundle, bins = count_verdicts(verdicts, [bundle], None)
    totals = add_up(share for _, share in by_bundle)
    counts = Counts(Accounting(2000, 2000, 0, 0, 0, 0), {}, totals, by_bundle, bins)
    found = estimate(counts, Validated(LABELS, CONFUSION)).totals
    for label in LABELS:
        each = found[label]
        assert line(label, each.raw, each.corrected, f"{each.low:.0f} to {each.high:.0f}") in page
    assert f"In the example it is {trust(VERDICTS[None], CONFUSION)[0, 0]:.2f}." in page
