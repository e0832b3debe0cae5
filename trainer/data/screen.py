"""The report on a data set as a person reads it before training."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trainer.data.report import NEAR_EMPTY, ClassSize, DataReport, Spread
from trainer.data.split import PARTS, SMALLEST_SPLIT

MOST_LINES = 5  # of each kind of finding; the record has all
LARGEST, SMALLEST = 5, 10  # classes shown of a data set that has many


def print_data_report(report: DataReport) -> None:
    """Prints the report to standard output."""
    console = Console(soft_wrap=True, highlight=False)
    findings = report.findings
    console.print(
        f"{escape(report.folder)}: {findings.files:,} image files, {report.images:,} images that can be used, "
        f"{len(report.classes)} classes"
    )
    if report.augmented or report.augmented_unused:
        console.print(
            f"and {report.augmented:,} augmented copies for training, {report.augmented_unused:,} copies unused "
            "(their origins do not train here)"
        )
    if report.classes:
        console.print(_sizes(report))
        console.print(_classes(report))
    _print_findings(console, report)
    for fault in report.faults:
        console.print(f"[bold red]cannot train[/]  {escape(fault)}")


def _sizes(report: DataReport) -> Table:
    table = Table("", *(heading for heading in ("smallest", "median", "largest")), box=SIMPLE_HEAD)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, spread in (
        ("images of a class", report.class_sizes),
        ("width, pixels", report.width),
        ("height, pixels", report.height),
        ("long side, pixels", report.long_side),
    ):
        if spread is not None:
            table.add_row(name, *_numbers(spread))
    return table


def _numbers(spread: Spread) -> tuple[str, str, str]:
    return f"{spread.smallest:,}", f"{spread.median:,.10g}", f"{spread.largest:,}"


def _classes(report: DataReport) -> Table:
    table = Table("class", "images", "train", "validation", "test", "", box=SIMPLE_HEAD)
    table.columns[0].overflow = "fold"
    for column in table.columns[1:5]:
        column.justify = "right"
    ordered = sorted(report.classes, key=lambda size: -size.images)
    hidden = ordered[LARGEST:-SMALLEST] if len(ordered) > 1.5 * (LARGEST + SMALLEST) else []
    for size in ordered:
        if size in hidden:
            if size is hidden[0]:
                table.add_row(f"… {len(hidden)} classes between", *[""] * 5)
            continue
        table.add_row(
            escape(size.label), f"{size.images:,}", *(f"{getattr(size, part):,}" for part in PARTS), _note(size)
        )
    table.add_section()
    total = ("all", f"{report.images:,}", *(f"{report.part(part):,}" for part in PARTS), "")
    table.add_row(*total, style="bold")
    return table


def _note(size: ClassSize) -> str:
    if size.images < SMALLEST_SPLIT:
        return "all for training" if size.images else "no image"
    return "few" if size.images < NEAR_EMPTY else ""


def _print_findings(console: Console, report: DataReport) -> None:
    findings = report.findings
    console.print(
        f"the split: validation {report.shares.validation:g} and test {report.shares.test:g} of the images, each by its hash"
    )
    if report.class_ratio is not None:
        console.print(f"the largest class has {report.class_ratio:,.3g} times the images of the smallest")
    _print_names(console, f"fewer than {NEAR_EMPTY} images", report.near_empty)
    _print_names(console, "too small for validation and test, so never judged", report.all_for_training)
    _print_lines(console, "duplicates, which count once", findings.duplicates)
    _print_lines(console, "the same content in two classes, both left out", findings.conflicts)
    _print_lines(console, "unreadable, left out", findings.unreadable)
    if report.other_files:
        others = ", ".join(f"{count:,} {suffix}" for suffix, count in report.other_files.items())
        console.print(f"files that are not read: {escape(others)}")


def _print_names(console: Console, what: str, names: Sequence[str]) -> None:
    if names:
        console.print(f"{what}: {_count(len(names), 'class', 'classes')}: {escape(', '.join(names))}")


def _print_lines(console: Console, what: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    console.print(f"{what}: {_count(len(lines), 'file', 'files')}")
    for line in lines[:MOST_LINES]:
        console.print(f"  {escape(line)}")
    if len(lines) > MOST_LINES:
        console.print(f"  … and {len(lines) - MOST_LINES:,} more (--out writes all to data-report.json)")


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
