"""The plots of a report, as PNG: told apart by shape and lightness too, for print and for the colour-blind."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator

from quantize.comparison import AS_SHIPPED, Choice, ClassRecall, Pace, Report, Variant
from quantize.front import front, one_core
from quantize.report import spell

FRONT, VARIANTS, CLASSES = "front.png", "size-and-latency.png", "class-recall.png"
DOTS_PER_INCH = 150
# A label is text, whatever a dollar sign in it would mean to Matplotlib.
STYLE: dict[Any, Any] = {"text.parse_math": False, "axes.spines.top": False, "axes.spines.right": False, "font.size": 9}
# Colours of Okabe and Ito 2008, chosen for the colour-blind; with a marker each.
INKS = {
    "int8": ("#0072b2", "o"),
    "int16x8": ("#009e73", "s"),
    "dynamic": ("#e69f00", "^"),
    "float16": ("#cc79a7", "D"),
    "float32": ("#595959", "v"),
    AS_SHIPPED: ("#000000", "*"),
}
OTHER_INK = ("#d55e00", "X")  # of a scheme that is newer than this table
LOST_INK, GAINED_INK = "#d55e00", "#0072b2"
FEW_IMAGES = 10  # a class with fewer changes by more than 10 points when one verdict does
CHANGED = 24  # classes in a plot that can be read


def draw_plots(report: Report) -> dict[str, bytes]:
    """The PNG files by name; a plot with nothing to show is left out."""
    plots: dict[str, Callable[[], Figure]] = {}
    if report.choices:
        plots[FRONT] = lambda: draw_front(report)
    if report.variants:
        plots[VARIANTS] = lambda: draw_variants(report.variants)
    if changed := most_changed(report.classes):
        plots[CLASSES] = lambda: draw_classes(changed)
    return {name: _png(draw) for name, draw in plots.items()}


def draw_front(report: Report) -> Figure:
    """Every choice by its latency on one core and its accuracy; the numbers on the front are the rows of the table."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    best = front(report.choices, one_core)
    lowest, highest = min(choice.accuracy for choice in best), max(choice.accuracy for choice in best)
    floor = lowest - max(highest - lowest, 0.02)
    shown = [choice for choice in report.choices if choice.accuracy >= floor]
    for scheme in dict.fromkeys(choice.scheme for choice in shown):
        ink, marker = _ink(scheme)
        of = [choice for choice in shown if choice.scheme == scheme]
        area = 90 if marker == "*" else 34
        axes.scatter(*_places(of), s=area, color=ink, marker=marker, label=scheme, edgecolor="white", linewidth=0.5)
    axes.plot(*_places(best), drawstyle="steps-post", color="0.2", linewidth=1, zorder=0, label="the front")
    axes.axhline(100 * report.keras.accuracy, color="0.5", linewidth=0.8, linestyle=":", label="Keras, all members")
    axes.set_xscale("log")
    axes.margins(x=0.08, y=0.12)
    _plain_numbers(axes)
    axes.set_xlabel("milliseconds per image, one core (log scale); faster is further left")
    axes.set_ylabel("right verdicts on validation images, %")
    axes.grid(alpha=0.25, which="both")
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=8, columnspacing=1.2, handletextpad=0.4)
    if hidden := len(report.choices) - len(shown):
        axes.set_title(f"not shown: {hidden} below {100 * floor:.0f} %", fontsize=8, color="0.4", loc="right")
    notes = {choice: f"{number}" for number, choice in enumerate(best, start=1)}
    if report.bundle in shown:
        axes.scatter(*_places([report.bundle]), s=150, facecolor="none", edgecolor="black", linewidth=1.3, zorder=3)
        notes[report.bundle] = f"{notes.get(report.bundle, '')} ships".lstrip()
    _note(figure, axes, notes)
    return figure


def draw_variants(variants: Sequence[Variant]) -> Figure:
    """Size as bars; latency as marks, since it spans a factor of a hundred and a bar has no logarithm."""
    figure = Figure(figsize=(8, 1.3 + 0.24 * len(variants)), layout="constrained")
    sizes, times = figure.subplots(1, 2, sharey=True)
    members = list(dict.fromkeys(variant.member for variant in variants))
    rows = [row + 0.7 * members.index(variant.member) for row, variant in enumerate(variants)]
    for row, variant in zip(rows, variants, strict=True):
        ink, _ = _ink(variant.scheme)
        sizes.barh(row, variant.size_bytes / 1e6, 0.75, color=ink, label=variant.scheme)
        sizes.annotate(
            spell.size(variant.size_bytes),
            (variant.size_bytes / 1e6, row),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
        _range(times, row, variant, ink)
    sizes.set_yticks(
        rows, [f"{each.member}  {each.scheme}{'  (ships)' if each.chosen else ''}" for each in variants], fontsize=8
    )
    for tick, variant in zip(sizes.get_yticklabels(), variants, strict=True):
        tick.set_fontweight("bold" if variant.chosen else "normal")
    sizes.set_ylim(rows[-1] + 0.6, -0.6)
    sizes.margins(x=0.2)
    sizes.set_xlabel("size, MB")
    times.set_xscale("log")
    times.margins(x=0.12)
    _plain_numbers(times)
    times.set_xlabel("milliseconds per image (log scale)")
    times.grid(alpha=0.25, which="both", axis="x")
    for axes in (sizes, times):
        axes.tick_params(axis="y", length=0)
    handles = [
        times.scatter([], [], s=30, color="0.3", marker="o", label="one core, best batch"),
        times.scatter([], [], s=30, color="0.3", marker="|", label="one core, one image at a time"),
        times.scatter([], [], s=30, facecolor="white", edgecolor="0.3", marker="o", label="all cores, best batch"),
    ]
    figure.legend(handles=handles, fontsize=8, frameon=False, loc="outside lower center", ncols=3)
    return figure


def most_changed(classes: Sequence[ClassRecall]) -> list[ClassRecall]:
    """The classes for the plot: of those with FEW_IMAGES and more the most changed, from most lost to most gained."""
    enough = [each for each in classes if each.images >= FEW_IMAGES and each.change]
    return sorted(sorted(enough, key=lambda each: -abs(each.change))[:CHANGED], key=lambda each: each.change)


def draw_classes(classes: Sequence[ClassRecall]) -> Figure:
    """Recall before and after, a line for each class."""
    figure = Figure(figsize=(8, 1.5 + 0.23 * len(classes)), layout="constrained")
    axes = figure.subplots()
    rows = range(len(classes))
    for row, each in zip(rows, classes, strict=True):
        ink = LOST_INK if each.change < 0 else GAINED_INK
        axes.plot([100 * each.keras, 100 * each.shipped], [row, row], color=ink, linewidth=2, zorder=1)
    keras, shipped = ([100 * getattr(each, kind) for each in classes] for kind in ("keras", "shipped"))
    inks = [LOST_INK if each.change < 0 else GAINED_INK for each in classes]
    axes.scatter(keras, rows, s=30, facecolor="white", edgecolor="0.3", zorder=2)
    axes.scatter(shipped, rows, s=30, color=inks, zorder=3)
    axes.set_yticks(rows, [f"{each.label} ({each.images})" for each in classes], fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("recall, % of the class's held-out images that the ensemble finds (their number behind the name)")
    axes.grid(alpha=0.25)
    handles = [
        axes.scatter([], [], s=30, facecolor="white", edgecolor="0.3", label="Keras"),
        axes.scatter([], [], s=30, color=LOST_INK, label="as it ships: lost"),
        axes.scatter([], [], s=30, color=GAINED_INK, label="as it ships: gained"),
    ]
    figure.legend(handles=handles, fontsize=8, frameon=False, loc="outside lower center", ncols=3)
    return figure


def _png(draw: Callable[[], Figure]) -> bytes:
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a script that the font lacks: boxes will do
        file = io.BytesIO()
        draw().savefig(file, format="png", dpi=DOTS_PER_INCH)
        return file.getvalue()


def _ink(scheme: str) -> tuple[str, str]:
    return INKS.get(scheme, OTHER_INK)


def _places(choices: Sequence[Choice]) -> tuple[list[float], list[float]]:
    return [choice.milliseconds_one for choice in choices], [100 * choice.accuracy for choice in choices]


def _note(figure: Figure, axes: Axes, notes: Mapping[Choice, str]) -> None:
    """Names choices above and to the left, where one on the front has no neighbours; higher where a name is already."""
    figure.draw_without_rendering()  # only now is it known where a point is on paper
    taken: list[tuple[float, float, float]] = []  # left, right and lower edge of a name, in points
    for choice, text in notes.items():
        place = choice.milliseconds_one, 100 * choice.accuracy
        x, y = axes.transData.transform(place) * 72 / figure.dpi
        right, low = x - 5, y + 5
        left = right - 6 * len(text)
        while any(left < other[1] and other[0] < right and abs(low - other[2]) < 9 for other in taken):
            low += 3
        taken.append((left, right, low))
        axes.annotate(
            text,
            place,
            xytext=(right - x, low - y),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=8,
            fontweight="bold",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
            in_layout=False,
        )


def _range(axes: Axes, row: float, variant: Variant, ink: str) -> None:
    one, every = variant.one_core, variant.all_cores
    axes.plot([one.single, every.best], [row, row], color=ink, linewidth=1.2, zorder=1)
    axes.scatter(one.single, row, s=60, color=ink, marker="|", zorder=2)
    axes.scatter(every.best, row, s=30, facecolor="white", edgecolor=ink, zorder=3)
    axes.scatter(one.best, row, s=30, color=ink, zorder=4)
    axes.annotate(
        _milliseconds(one),
        (max(one.single, one.best), row),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
    )


def _milliseconds(pace: Pace) -> str:
    return f"{spell.significant(pace.best)} ms"


def _plain_numbers(axes: Axes) -> None:
    """1, 2, 5, 10, 20 on a logarithmic axis: powers of ten are spelled in the mathematics that STYLE turns off."""
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 20 * low else (1, 1.5, 2, 3, 4, 5, 7)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
