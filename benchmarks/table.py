"""What the benchmarks' tables share: the machine's facts below them, a width that cuts no number, and the same as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bundle.folder import Bundle
from bundle.machine import read_machine

WIDTH = 120  # columns, also where the terminal has fewer: a number that is cut is no number


def facts(bundle: Bundle, images: str) -> str:
    """The line without which a number means nothing."""
    machine = read_machine()
    members = len(bundle.manifest.members)
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.runtime}; bundle {bundle.manifest.name} {bundle.digest[:12]}, "
        f"{members} member{'s' if members > 1 else ''}; {images}"
    )


def show(table: Table) -> None:
    """Prints it whole."""
    Console(width=max(Console().width, WIDTH)).print(table)


def write_json(file: Path | None, bundle: Bundle, images: str, found: Mapping[str, object]) -> None:
    """What was found, every round of it, with the machine's facts; nothing where no file is wanted."""
    if file is None:
        return
    about = {
        "machine": dataclasses.asdict(read_machine()),
        "bundle": {"name": bundle.manifest.name, "digest": bundle.digest},
        "images": images,
    }
    file.write_text(json.dumps({**about, **found}, indent=2) + "\n")
