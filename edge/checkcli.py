"""`planktow-edge check`: is this host fit to count?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The edge.toml of the daemon.")],
    user: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Look at permissions as this user, whom the service runs as; needs root.",
            show_default="who runs this",
        ),
    ] = None,
    speed: Annotated[
        bool, typer.Option("--speed/--no-speed", help="Classify some hundred images to see how fast this host is.")
    ] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object.")] = False,
) -> None:
    """Looks at settings, bundle, runtime, folders, permissions, disks, ledger, clock, memory and speed; changes nothing.

    Each line says ok, WARN or FAIL, and what to do. It may run beside the daemon, which makes the speed look lower.

    Exit code 0: this host can count. 1: something is to be mended. 2: the command itself was wrong.
    """
    import json

    from edge.check.finding import exit_code, lines, table
    from edge.check.host import check_host

    findings = list(check_host(config.absolute(), user, speed))
    if as_json:
        print(json.dumps(table(findings, strict), indent=1, ensure_ascii=False))
    else:
        print(lines(findings), end="")
    raise typer.Exit(exit_code(findings, strict))
