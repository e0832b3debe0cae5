"""The most confident mistakes as a collage: wrong labels and look-alikes show themselves here first."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from trainer.judge.evaluate import Evaluated

COLUMNS, ROWS = 5, 6


def draw_mistakes(evaluated: Evaluated) -> Figure:
    """Wrong verdicts of the hard vote, highest score first, as the members saw the image (scaled to the largest side)."""
    part, found, labels = evaluated.part, evaluated.evaluation, evaluated.run.facts.labels
    wrong = np.flatnonzero(found.verdicts != part.truth)
    worst = wrong[np.argsort(-found.verdict_scores[wrong], kind="stable")][: COLUMNS * ROWS]
    rows = max(1, -(-len(worst) // COLUMNS))
    figure = Figure(figsize=(11, 0.5 + 2.6 * rows), layout="constrained")
    for axes in figure.subplots(rows, COLUMNS, squeeze=False).flat:
        axes.set_axis_off()
    for axes, image in zip(figure.axes, worst.tolist(), strict=False):
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color="0.85")
        axes.imshow(evaluated.dataset.pixels[part.images[image]], cmap="gray", vmin=0, vmax=255)
        axes.set_title(
            f"true  {_short(labels[part.truth[image]])}\n"
            f"verdict  {_short(labels[found.verdicts[image]])}\n"
            f"score  {found.verdict_scores[image]:.2f}",
            fontsize=7,
            loc="left",
        )
    if not len(worst):
        figure.axes[0].text(0, 0.5, "no mistakes")
    return figure


def _short(label: str) -> str:
    return label if len(label) <= 28 else f"{label[:13]}…{label[-14:]}"
