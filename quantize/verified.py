"""The closing tables of `verify`: for the person who decides whether this host may count with this bundle."""

from __future__ import annotations

from pathlib import PurePosixPath

from rich.console import Console
from rich.table import Table

from quantize.verification import Verification


def print_verification(verification: Verification) -> None:
    """Prints the tables, the images whose verdict has changed, and last whether the bundle is as it was shipped."""
    console = Console(
        soft_wrap=True, markup=False, highlight=False
    )  # a cut path cannot be copied; labels may hold [brackets]
    console.print(_parts(verification))
    for part in verification.parts:
        for changed in part.examples:
            console.print(f"{changed.path}: was {changed.recorded}, is {changed.now}")
        if part.changed > len(part.examples):
            console.print(f"… and {part.changed - len(part.examples)} more of the {part.part} images")
    console.print(_members(verification))
    for fault in verification.faults:
        console.print(f"fault   {fault}")
    console.print(f"bundle  {verification.bundle}")
    console.print(f"digest  {verification.digest}")
    console.print("passed" if verification.passed else "failed: do not count with this bundle on this host")


def _parts(verification: Verification) -> Table:
    table = _table(
        f"{verification.name} on {verification.runtime}", "images of", "images", "recorded", "here", "same verdict"
    )
    for part in verification.parts:
        table.add_row(
            part.part,
            f"{part.images:,}",
            f"{part.recorded_accuracy:.2%}",
            f"{part.accuracy:.2%}",
            f"{part.identical:.2%}",
        )
    return table


def _members(verification: Verification) -> Table:
    title = f"scores with 1 and {verification.threads} threads, one by one and in batches"
    table = _table(title, "member", "images", "same bits", "largest difference", "ties")
    for member in verification.members:
        table.add_row(
            PurePosixPath(member.member).stem,
            f"{member.images:,}",
            f"{1 - member.differing / member.images:.2%}",
            f"{member.largest:.1e}" if member.differing else "none",
            f"{member.ties / member.images:.2%}",
        )
    return table


def _table(title: str, first: str, *numbers: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table
