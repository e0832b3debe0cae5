"""The confusion matrix, with its classes in an order that puts what is confused side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

INCHES_A_CLASS = 0.15
FEW = 5  # images that each class is given beside its own, so that one confused image of two ties no lasting bond
MOST_LABELS = 160  # above it labels would be too small to read, and are left out


def draw_matrix(counts: NDArray[np.int64], labels: Sequence[str]) -> Figure:
    """counts (C, C): row the true class, column the verdict; a cell's ink is its share of the row."""
    order = order_by_confusion(counts)
    ordered = counts[np.ix_(order, order)]
    share = ordered / np.maximum(ordered.sum(axis=1, keepdims=True), 1)
    classes = len(order)
    side = 3 + INCHES_A_CLASS * min(classes, MOST_LABELS) if classes > 20 else 3 + 0.4 * classes
    figure = Figure(figsize=(side + 1, side + 0.4), layout="constrained")  # the colour bar; the title
    axes = figure.subplots()
    drawn = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    size = 6.5 if classes > 20 else 9
    for axis, rotation in ((axes.xaxis, 90), (axes.yaxis, 0)):
        if classes <= MOST_LABELS:
            axis.set_ticks(range(classes), [labels[index] for index in order], fontsize=size, rotation=rotation)
        else:
            axis.set_ticks([])
        axis.set_tick_params(length=0)
    axes.set_xticks(np.arange(-0.5, classes), minor=True)
    axes.set_yticks(np.arange(-0.5, classes), minor=True)
    axes.grid(which="minor", color="0.92", linewidth=0.3)
    axes.tick_params(which="minor", length=0)
    for row, column in zip(*np.nonzero(ordered), strict=True):
        ink = "white" if share[row, column] > 0.35 else "black"
        number = ordered[row, column]
        axes.text(
            column, row, f"{number}", ha="center", va="center", fontsize=size * (0.7 if classes > 20 else 1), color=ink
        )
    axes.set_xlabel("verdict")
    axes.set_ylabel("true class (an empty row has no image here)")
    figure.colorbar(drawn, ax=axes, shrink=0.4, label="share of the true class's images", pad=0.01)
    return figure


def order_by_confusion(counts: NDArray[np.int64]) -> list[int]:
    """The classes as the leaves of a tree of confusion: (C,) indices.

    Average linkage (Sokal and Michener 1958) on the similarity share(a called b) + share(b called a): the two most confused
    groups are joined until one is left, each time turned so that the two classes that meet are as alike as can be.
    Classes that are confused with none come last, in their own order.
    """
    share = counts / (counts.sum(axis=1, keepdims=True) + FEW)
    alike = share + share.T
    np.fill_diagonal(alike, 0)
    groups: dict[int, list[int]] = {index: [index] for index in range(len(counts))}
    linkage = alike.copy()
    while len(groups) > 1:
        one, other = np.unravel_index(int(linkage.argmax()), linkage.shape)
        if linkage[one, other] <= 0:
            break
        one, other = min(one, other), max(one, other)
        sizes = len(groups[one]), len(groups[other])
        joined = (linkage[one] * sizes[0] + linkage[other] * sizes[1]) / sum(sizes)
        linkage[one], linkage[:, one] = joined, joined
        linkage[other], linkage[:, other], linkage[one, one] = 0, 0, 0
        groups[one] = _meeting(groups[one], groups.pop(other), alike)
    return [
        index for group in sorted(groups.values(), key=lambda group: (len(group) == 1, group[0])) for index in group
    ]


def _meeting(left: list[int], right: list[int], alike: NDArray[np.float64]) -> list[int]:
    """The two rows of classes end to end, each as it is or turned round."""
    ways = [(a, b) for a in (left, left[::-1]) for b in (right, right[::-1])]
    a, b = max(ways, key=lambda way: alike[way[0][-1], way[1][0]])
    return a + b
