"""`planktow-edge metrics`: what Prometheus wants to know, on standard output or for node_exporter's textfile collector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bundle.errors import BadConfig


def metrics(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The edge.toml of the daemon.")],
    textfile: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.prom", help="Write there, whole or not at all, for node_exporter's textfile collector."
        ),
    ] = None,
) -> None:
    """Writes the metrics once, as /metrics of the page has them, where no page runs.

    A ledger that cannot be read is a metric too (planktow_ledger_readable 0), no error.
    """
    import time

    from edge.config import read_config
    from edge.printed import put
    from edge.situation import read_situation

    try:
        from prometheus_client.exposition import generate_latest

        from edge.metrics import SituationCollector, of_alerts, registry_of
    except ImportError as error:
        raise BadConfig(f"metrics needs prometheus-client ({error}); run: pip install 'planktow[web]'") from None

    if textfile is not None and textfile.suffix != ".prom":
        raise BadConfig(f"{textfile}: node_exporter reads only files that end in .prom; give such a name")
    settings = read_config(config)
    situation = read_situation(settings.ledger, settings.watch, settings.out, time.time_ns())
    collector = SituationCollector(lambda: situation, [of_alerts(settings.ledger)])
    put(generate_latest(registry_of(collector)).decode(), textfile)
