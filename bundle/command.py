"""What our three commands share: a refusal is one line on stderr and exit code 2, never a traceback."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from bundle.errors import PlanktowError

REFUSED = 2  # exit code of a refusal, as for a wrong option


class _Refusing(TyperGroup):
    usual: str | None = None  # the command that is meant where none is named

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if self.usual and args and args[0] not in (*self.commands, "--help"):
            args = [self.usual, *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        _forgive_encoding()
        with refusals(str(ctx.info_name)):
            return super().invoke(ctx)


@contextmanager
def refusals(command: str) -> Iterator[None]:
    """Ends the program with one line and REFUSED when a PlanktowError comes out of the block."""
    try:
        yield
    except PlanktowError as error:
        print(f"{command}: {error}", file=sys.stderr)
        raise SystemExit(REFUSED) from None


def say(line: str) -> None:
    """A line on how a long step goes, with the time of day, on stderr."""
    print(f"{datetime.now():%H:%M:%S}  {line}", file=sys.stderr, flush=True)


def command_group(help_text: str, usual: str | None = None) -> typer.Typer:
    """A typer application whose commands may raise PlanktowError; `usual` is the one meant where none is named."""
    group = type("_Refusing", (_Refusing,), {"usual": usual})
    app = typer.Typer(
        cls=group, help=help_text, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    app.callback()(_keep_the_group)
    return app


def typed(command: str) -> str:
    """One of our commands as this person must type it: by its path where the environment it lies in is not activated."""
    beside_us = Path(sys.argv[0]).with_name(command)
    return str(beside_us) if shutil.which(command) is None and beside_us.exists() else command


def _forgive_encoding() -> None:
    """From now on a character that the terminal's encoding lacks is printed as a question mark, not a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _keep_the_group() -> None:
    """Without a callback typer turns a group of one command into that command, and refusals would not pass by us."""
