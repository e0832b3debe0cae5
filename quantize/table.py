"""The closing table: what was made and what it is worth, for the person who decides whether it goes to sea."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from quantize.run import Result
from quantize.validation import HeldOut, vote_scores


def print_result(result: Result) -> None:
    """Prints the table and where the bundle is to standard output."""
    bundle = result.bundle
    table = Table(title=f"{bundle.manifest.name}: top-1 on {len(result.validation.truth)} validation images")
    table.add_column("member", overflow="fold")
    table.add_column("architecture", overflow="fold")
    table.add_column("scheme")
    for heading in ("kB", "Keras", "TFLite", "agreement"):
        table.add_column(heading, justify="right")
    for made, member in zip(result.members, bundle.manifest.members, strict=True):
        checks = member.checks
        table.add_row(
            made.trained.stem,
            member.architecture,
            member.scheme,
            f"{len(made.model) / 1000:.0f}",
            _percent(checks.keras_accuracy),
            _percent(checks.tflite_accuracy),
            _percent(checks.agreement),
        )
    console = Console(soft_wrap=True)  # a path that is cut at 80 columns cannot be copied
    console.print(table)
    for part, held_out in (("validation", result.validation), ("test", result.test)):
        if len(held_out.truth):
            console.print(_ensemble(part, held_out, result), highlight=False)
    console.print(f"bundle  {bundle.path} ({bundle.size_bytes / 1000:.0f} kB)", highlight=False)
    console.print(f"digest  {bundle.digest}", highlight=False)


def _ensemble(part: str, held_out: HeldOut, result: Result) -> str:
    vote, labels = result.bundle.manifest.vote, result.bundle.labels
    scores = vote_scores(held_out.truth, held_out.tflite, vote, labels)
    keras = vote_scores(held_out.truth, held_out.keras, vote, labels)
    return (
        f"{vote.rule} vote of {len(result.members)} on {len(held_out.truth)} {part} images: {_percent(scores.accuracy)} top-1, "
        f"{_percent(scores.balanced_accuracy)} balanced, {_percent(scores.macro_f1)} macro-F1 "
        f"(Keras: {_percent(keras.accuracy)} top-1)"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
