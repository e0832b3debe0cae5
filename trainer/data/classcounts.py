"""The plot of class sizes: how many images of each class train, steer and judge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike

from trainer.picture import INK, write_picture

_ROW_INCHES = 0.19


def write_class_counts(path: Path, title: str, labels: Sequence[str], counts: ArrayLike) -> None:
    """Writes `draw_class_counts` to `path` as PNG, whole. Raises OSError."""
    write_picture(path, lambda: draw_class_counts(title, labels, counts))


def draw_class_counts(
    title: str,
    labels: Sequence[str],
    counts: ArrayLike,
    parts: Sequence[str] = ("train", "validation", "test"),
) -> Figure:
    """A row for each class, the largest first: bars for its parts, and its number of images.

    counts: (C, P) images of each class in each of at most three parts; or (C,), for data that is not divided. Each bar
    begins at the axis: stacked ones could not be read on a logarithmic scale.
    """
    table = np.asarray(counts, int).reshape(len(labels), -1)
    totals = table.sum(axis=1)
    order = np.argsort(-totals, kind="stable")
    figure = Figure(figsize=(8, 1.3 + _ROW_INCHES * len(order)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(order))
    thickness = 0.76 / table.shape[1]
    for part in range(table.shape[1]):
        offset = (part - (table.shape[1] - 1) / 2) * thickness
        images = table[order, part]
        name = f"{parts[part]}: {images.sum():,} images"
        axes.barh(places + offset, images, height=thickness, color=INK[part], label=name)
    largest = table.max(axis=1)[order]
    for place, index in enumerate(order):
        axes.annotate(
            f"{totals[index]:,}",
            (max(largest[place], 0.8), place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    axes.set_xscale("log")
    axes.set_xlim(0.8, 2 * max(largest, default=1))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter("")
    if len(order) > 40:  # the axis below is then out of sight
        axes.tick_params(axis="x", top=True, labeltop=True)
    axes.set_yticks(places, [labels[index] for index in order], fontsize=7.5)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    axes.grid(axis="x", alpha=0.25)
    axes.set_xlabel("images (logarithmic; the number is that of the whole class)")
    axes.set_title(title, loc="left", fontsize=10)
    if table.shape[1] > 1:
        axes.legend(loc="lower right", fontsize=8, frameon=True, edgecolor="none")
    return figure
