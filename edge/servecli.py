"""`planktow-edge serve`: the live page."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bundle.errors import BadConfig

if TYPE_CHECKING:
    from edge.web.place import Place

LIBRARIES = ("starlette", "uvicorn", "prometheus_client", "plotly")  # of the extra [web]


def serve(
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="The edge.toml of the daemon.")] = None,
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The ledger that `planktow-edge run` keeps.")
    ] = None,
    watch: Annotated[Path | None, typer.Option(metavar="DIR", help="The watched folder, for images.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the daemon writes status.json.", show_default="as it does")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The classifier: names, known errors.", show_default="as in edge.toml"),
    ] = None,
    survey: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A survey.toml: volume, position, depth and tows.")
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0: on all networks that this host is in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8765,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name under which the page is asked for; may come again.",
            show_default="this host's own, and addresses",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The token that writing needs; made when missing.",
            show_default="page.token beside the ledger",
        ),
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Nobody may write through the page.")] = False,
) -> None:
    """The live page: what is counted now, over time, by species; images, downloads, health. In a browser, without internet.

    Either --config, or --ledger with --watch and --out; with both, an option replaces the file's setting.

    It is a process of its own that reads the ledger and never writes to it; the daemon counts whether it runs or not. Only
    this host can open it, unless --host says otherwise. docs/page.md says more.
    """  # fmt: skip
    _require_libraries()
    import os

    from edge.daemon.notify import log_to_stderr, notifier_from
    from edge.web.app import create_app
    from edge.web.guard import Rules
    from edge.web.hosts import own_names
    from edge.web.limits import Limits
    from edge.web.server import listen
    from edge.web.server import serve as serve_at

    place = _place(config, ledger, watch, out, bundle, survey)
    token, said = _token(token_file, place.ledger, read_only)
    place = replace(place, token=token)
    log_to_stderr()
    listening = listen(host, port)
    app = create_app(place, Rules(own_names(allow_host or ()), Limits()))
    print(f"The page is at {listening.address}", flush=True)
    for line in said:
        print(line, flush=True)
    serve_at(app, listening, notifier_from(os.environ, os.getpid()))


def _require_libraries() -> None:
    from importlib.util import find_spec

    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise BadConfig(
            f"serve needs the library {missing[0]}, which is not installed; run: pip install 'planktow[web]'"
        )


def _place(
    config: Path | None,
    ledger: Path | None,
    watch: Path | None,
    out: Path | None,
    bundle: Path | None,
    survey: Path | None,
) -> Place:
    """What the command line tells, over what the file does. Raises BadConfig."""
    from edge.config import read_config
    from edge.web.place import Place

    if config is None and ledger is None:
        raise BadConfig("give --config FILE, the edge.toml of the daemon, or --ledger FILE")
    settings = None if config is None else read_config(config)
    file = ledger or (settings.ledger if settings else None)
    assert file is not None
    if not file.parent.is_dir():
        raise BadConfig(f"{file.parent}: no such folder for the ledger; give the one that `planktow-edge run` uses")
    if survey is not None and not survey.is_file():
        raise BadConfig(f"{survey}: no such file; give a survey.toml, or leave --survey out")
    return Place(
        file,
        watch or (settings.watch if settings else None),
        out or (settings.out if settings else _beside(file)),
        bundle or (settings.bundle if settings else None),
        survey,
        config=settings,
    )


def _beside(ledger: Path) -> Path | None:
    """Where the daemon writes status.json unless it is told otherwise."""
    folder = ledger.with_name("counts")
    return folder if folder.is_dir() else None


def _token(token_file: Path | None, ledger: Path, read_only: bool) -> tuple[str | None, list[str]]:
    """The token, and what to tell whoever started us. It is shown once, and only to a person: never into a log."""
    from edge.web.token import read_or_make_token

    if read_only:
        return None, ["Nobody may write through it (--read-only)."]
    file = token_file or ledger.with_name("page.token")
    token = read_or_make_token(file)
    if not token.made:
        return token.text, [f"Writing needs the token in {file}"]
    if sys.stdout.isatty():
        return token.text, [f"Writing needs this token, which is kept in {file}: {token.text}"]
    return token.text, [f"Writing needs a token; a new one is in {file}"]
