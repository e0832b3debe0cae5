"""Tables for people: to a terminal as wide as it is, or as plain text."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.progress import track
from rich.table import Table

T = TypeVar("T")

TEXT_WIDTH = 100  # columns, where no terminal says otherwise


def table(title: str) -> Table:
    """An empty table in our one style."""
    return Table(
        box=SIMPLE_HEAD,
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        min_width=len(title),  # a title wraps at the table's width
    )


def to_text(renderable: RenderableType, width: int = TEXT_WIDTH) -> str:
    """What a terminal of that width would show, without colour or trailing blanks."""
    # markup=False: a label or a file name may hold [brackets], which must come out as they are.
    console = Console(file=io.StringIO(), width=width, color_system=None, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())


def show(renderable: RenderableType) -> None:
    """Prints to standard output."""
    if sys.stdout.isatty():
        Console(markup=False, highlight=False).print(renderable)
    else:
        sys.stdout.write(to_text(renderable))
        sys.stdout.flush()


def with_progress(work: Iterable[T], total: int, what: str) -> Iterable[T]:
    """`work` as it is, with a bar on standard error while it goes on, if that is a terminal."""
    if not sys.stderr.isatty():
        return work
    return track(work, what, total, console=Console(stderr=True), transient=True)
