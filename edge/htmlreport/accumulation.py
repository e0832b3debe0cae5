"""How many labels were found against how many images were counted: has the sampling seen what there is?

The curve that is expected, had the images come in random order, is the rarefaction curve: of N images with N_i of label
i, n drawn without replacement hold sum_i (1 - C(N - N_i, n) / C(N, n)) labels (Hurlbert 1971, The nonconcept of species
diversity, Ecology 52:577-586).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge.htmlreport.markup import Markup
from edge.htmlreport.palette import ACCENT, SECOND
from edge.htmlreport.scale import count_ticks, tick_text, ticks
from edge.htmlreport.svg import Frame, across_axis, drawing, path, value_axis

_POINTS = 60


def expected_labels(totals: Sequence[int], drawn: int, unlabelled: int = 0) -> float:
    """How many labels `drawn` of all images hold on average, 0 <= drawn <= all.

    totals: images of each label; unlabelled: images without one, which are drawn too.
    """
    whole = sum(totals) + unlabelled
    found = 0.0
    for images in totals:
        if images:
            missed = whole - images
            found += 1.0 if missed < drawn else 1.0 - math.exp(_log_choose(missed, drawn) - _log_choose(whole, drawn))
    return found


def accumulation(found: Sequence[int], totals: Sequence[int], unlabelled: int = 0) -> Markup:
    """found: for each label in turn, after how many images (1 is the first) it was first seen; the rest as above."""
    frame = Frame(400, 210, bottom=42)
    whole = sum(totals) + unlabelled
    most = max(len(found), 1)
    values = count_ticks(most)
    across, up = frame.across(0, max(whole, 1)), frame.up(0, max(most * 1.05, values[-1]))
    steps = [(across(0), up(0))]
    for number, images in enumerate(found, start=1):
        steps += [(across(images), steps[-1][1]), (across(images), up(number))]
    steps.append((across(whole), steps[-1][1]))
    draws = sorted({round(whole * (point / _POINTS) ** 2) for point in range(_POINTS + 1)})
    curve = [(across(drawn), up(expected_labels(totals, drawn, unlabelled))) for drawn in draws]
    half = expected_labels(totals, whole // 2, unlabelled)
    marks = [(value, tick_text(value)) for value in ticks(0, max(whole, 1), 5)]
    return drawing(
        frame,
        f"Labels found against images counted: {len(found)} in {whole} images; half of the images would show {half:.0f}",
        value_axis(frame, up, values),
        path(steps, ACCENT, 2),
        path(curve, SECOND, 1.5, "5 3"),
        across_axis(frame, across, marks, "images counted"),
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
