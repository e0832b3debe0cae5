"""The closing table: what was made and what it is worth, for the person who decides whether it goes to sea."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

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
