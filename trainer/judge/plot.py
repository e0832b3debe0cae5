"""The plots of an evaluation, as PNG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.data.classcounts import write_class_counts
from trainer.judge.evaluate import Evaluated
from trainer.judge.evaluation import Belief, ClassResult, Evaluation
from trainer.judge.matrix import draw_matrix
from trainer.judge.mistakes import draw_mistakes
from trainer.picture import INK, write_picture

FULL_INK, _, SECOND_INK = INK
NAMED = 6  # classes that are named in a plot of all


def write_plots(evaluated: Evaluated, out: Path) -> None:
    """Writes the PNG files to the folder `out`. Raises OSError."""
    run, found = evaluated.run, evaluated.evaluation
    labels, name = run.facts.labels, run.facts.name
    judged = f"{len(evaluated.part.images)} {evaluated.part.name} images"
    write_class_counts(
        out / "class-counts.png",
        f"{name}: {evaluated.counts.sum()} images of {len(labels)} classes",
        labels,
        evaluated.counts,
    )
    names = [member.stem for member in run.facts.members]
    histories = [member.get("history") or () for member in run.table["members"]]
    plots: dict[str, tuple[Callable[[], Figure], str]] = {
        "training-curves.png": (
            lambda: draw_curves(names, histories),
            "training curves (thick: validation, thin: training)",
        ),
        "confusion.png": (
            lambda: draw_matrix(found.confusion, labels),
            f"hard vote on {judged},\nclasses that are confused beside each other",
        ),
        "reliability.png": (lambda: draw_reliability(found), f"how far a score can be believed, {judged}"),
        "accuracy-by-class-size.png": (lambda: draw_by_class_size(found.classes), judged),
        "confident-mistakes.png": (
            lambda: draw_mistakes(evaluated),
            f"hard vote on {judged}, the wrong verdicts with the highest scores",
        ),
    }
    for file, (draw, title) in plots.items():
        write_picture(out / file, lambda draw=draw, title=title: _titled(draw(), f"{name}: {title}"))


def draw_curves(names: Sequence[str], histories: Sequence[Sequence[Mapping[str, float]]]) -> Figure:
    """Accuracy and loss against the epoch: training thin, validation thick, a colour for each member."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    for axes, key in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        for member, (name, history) in enumerate(zip(names, histories, strict=True)):
            colour = f"C{member % 10}"
            for prefix, width, label in (("", 0.8, None), ("val_", 1.8, name)):
                known = [entry for entry in history if f"{prefix}{key}" in entry and "epoch" in entry]
                epochs, values = [e["epoch"] for e in known], [e[f"{prefix}{key}"] for e in known]
                axes.plot(epochs, values, color=colour, linewidth=width, label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(key)
        axes.grid(alpha=0.25)
    figure.axes[0].legend(fontsize=7, frameon=False, loc="lower right")
    return figure


def draw_reliability(found: Evaluation) -> Figure:
    """How often verdicts of a score are right: the diagonal is a score that can be taken at its word."""
    figure = Figure(figsize=(8.4, 5), layout="constrained")
    above, below = figure.subplots(2, 2, height_ratios=(4, 1), sharex=True)
    soft = found.soft
    assert soft.tempered is not None
    for column, (title, beliefs) in enumerate(
        (
            ("hard vote (what the camera host counts by)", ((found.hard.as_given, "as given", FULL_INK),)),
            (
                f"soft vote, T = {soft.temperature:.2f}",
                ((soft.as_given, "as given", FULL_INK), (soft.tempered, "at temperature T", SECOND_INK)),
            ),
        )
    ):
        above[column].plot([0, 1], [0, 1], color="0.6", linewidth=0.8, linestyle="--")
        for number, (belief, name, ink) in enumerate(beliefs):
            _reliability_line(above[column], belief, name, ink)
            _score_counts(below[column], belief, ink, number, len(beliefs))
        above[column].set_title(title, fontsize=9)
        above[column].legend(fontsize=8, frameon=False, loc="lower right")
        above[column].set_ylim(0, 1)
        below[column].set_xlabel("score of the verdict")
    above[0].set_ylabel("share of right verdicts")
    below[0].set_ylabel("images")
    return figure


def draw_by_class_size(classes: Sequence[ClassResult]) -> Figure:
    """Recall of each class against the images it was trained on, and of all images of classes of about that size."""
    figure, axes = figure_of(8, 5)
    shown = [each for each in classes if each.score.images]
    size = np.array([max(each.train_images, 1) for each in shown])
    images = np.array([each.score.images for each in shown])
    right = np.array([each.score.right for each in shown])
    axes.scatter(
        size,
        right / images,
        s=8 + 3 * images,
        color=FULL_INK,
        alpha=0.35,
        linewidth=0,
        label="a class (area: its images here; named: most images lost)",
    )
    octave = np.floor(np.log2(size)).astype(int)
    steps = np.unique(octave)
    pooled = [right[octave == step].sum() / images[octave == step].sum() for step in steps]
    axes.plot(
        2.0 ** (steps + 0.5), pooled, color=SECOND_INK, marker="o", label="all images of classes of about that size"
    )
    axes.set_xscale("log")
    _plain_numbers(axes)
    axes.set_ylim(-0.08, 1.04)
    lost = images - right
    for index in np.argsort(-lost, kind="stable")[:NAMED].tolist():
        if lost[index]:
            axes.annotate(
                shown[index].label,
                (size[index], right[index] / images[index]),
                xytext=(0, -3 - (8 + 3 * images[index]) ** 0.5 / 2),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=6.5,
            )
    axes.set_xlabel("training images of the class (log scale)")
    axes.set_ylabel("recall by hard vote")
    axes.grid(alpha=0.25)
    legend = figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=2)
    legend.legend_handles[0].set_sizes([30])  # not as large as the largest class
    return figure


def figure_of(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one plot, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _plain_numbers(axes: Axes) -> None:
    """10 and 1000 on a logarithmic axis: powers of ten are spelled in the mathematics that STYLE turns off."""
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")


def _titled(figure: Figure, title: str) -> Figure:
    figure.suptitle(title, fontsize=11)
    return figure


def _reliability_line(axes: Axes, belief: Belief, name: str, ink: str) -> None:
    axes.plot(
        [each.mean_score for each in belief.bins],
        [each.accuracy for each in belief.bins],
        color=ink,
        marker="o",
        markersize=4,
        label=f"{name}: calibration error {belief.calibration_error:.3f}",
    )


def _score_counts(axes: Axes, belief: Belief, ink: str, number: int, of: int) -> None:
    for each in belief.bins:
        width = (each.high - each.low) / of
        axes.bar(each.low + number * width, each.images, width * 0.9, align="edge", color=ink)
