"""The closing tables: what was made and what it is worth, for the person who decides whether it goes to sea."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from quantize.combine import Combination
from quantize.run import Result


def print_result(result: Result) -> None:
    """Prints the table and where bundle and report are to standard output."""
    bundle = result.bundle
    validation = result.validation["validation"]
    table = Table(title=f"{bundle.manifest.name}: top-1 on {validation['images']} validation images")
    table.add_column("member", overflow="fold")
    table.add_column("architecture", overflow="fold")
    table.add_column("scheme")
    for heading in ("kB", "Keras", "TFLite", "agreement"):
        table.add_column(heading, justify="right")
    for made in result.members:
        table.add_row(
            made.trained.stem,
            made.trained.architecture,
            made.scheme,
            f"{len(made.model) / 1000:.0f}",
            _percent(made.checks.keras_accuracy),
            _percent(made.checks.tflite_accuracy),
            _percent(made.checks.agreement),
        )
    console = Console(soft_wrap=True)  # a path that is cut at 80 columns cannot be copied
    console.print(table)
    for made in result.members:
        if made.in_float:
            console.print(f"{made.trained.stem} keeps in float32: {', '.join(made.in_float)}", highlight=False)
    for part in ("validation", "test"):
        if result.validation[part]:
            console.print(_ensemble(part, result.validation[part], result), highlight=False)
    console.print(f"gates   all {len(result.findings)} hold", highlight=False)
    console.print(f"report  {result.report}", highlight=False)
    console.print(f"bundle  {bundle.path} ({bundle.size_bytes / 1000:.0f} kB)", highlight=False)
    console.print(f"digest  {bundle.digest}", highlight=False)


def _ensemble(part: str, figures: dict[str, Any], result: Result) -> str:
    rule = result.bundle.manifest.vote.rule
    keras, scores = figures[rule]["keras"], figures[rule]["tflite"]
    return (
        f"{rule} vote of {len(result.members)} on {figures['images']} {part} images: {_percent(scores['accuracy'])} top-1, "
        f"{_percent(scores['balanced_accuracy'])} balanced, {_percent(scores['macro_f1'])} macro-F1, "
        f"count error {_percent(scores['count_error'])} (Keras: {_percent(keras['accuracy'])} top-1, "
        f"count error {_percent(keras['count_error'])})"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def print_combination(made: Combination) -> None:
    """Prints how the members were chosen and what they are worth together to standard output."""
    images = made.validation[0].images
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        f"{len(made.steps)} of {len(made.pool)} members, chosen by their hard vote on {images} validation images"
    )
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("member", overflow="fold")
    for heading in ("kB", "alone", "hard vote", "gain", "log loss, soft"):
        table.add_column(heading, justify="right", no_wrap=True)
    for step in made.steps:
        member = made.pool[step.member]
        table.add_row(
            escape(member.name),
            f"{len(member.model) / 1000:.0f}",
            _percent(made.validation[step.member].accuracy),
            _percent(step.accuracy),
            "" if step.gain is None else f"{100 * step.gain:+.1f}",
            f"{step.log_loss:.3f}",
        )
    console.print(table)
    chosen = {step.member for step in made.steps}
    for place, member in enumerate(made.pool):
        if place not in chosen:
            console.print(f"left out: {escape(member.name)}, {_percent(made.validation[place].accuracy)} alone")
    test = made.hard_test
    if test is not None:
        console.print(
            f"hard vote on {test.images} test images, looked at after the choice: {_percent(test.accuracy)} top-1, "
            f"{_percent(test.balanced_accuracy)} balanced, {_percent(test.macro_f1)} macro-F1"
        )
    console.print(f"bundle  {escape(str(made.bundle.path))} ({made.bundle.size_bytes / 1000:.0f} kB)")
    console.print(f"digest  {made.bundle.digest}")
