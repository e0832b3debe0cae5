"""`planktow-edge alerts`: rules on what happens aboard, told to a command and to an MQTT broker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bundle.errors import BadConfig

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edge.config import EdgeConfig

_TRIAL_SECONDS = 60.0


def alerts(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The edge.toml of the daemon, with a table alerts.")],
    once: Annotated[
        bool, typer.Option("--once", help="Look once, tell what is to be told, and end: for a timer of your own.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what each rule sees now; nothing is told or remembered.")
    ] = False,
    trial: Annotated[
        str | None, typer.Option("--test", metavar="RULE", help="Tell a test event of this rule, and end.")
    ] = None,
) -> None:
    """Watches the ledger, status.json and the disks, and tells when an alert rule begins to hold or ceases to.

    Runs until SIGTERM or Ctrl-C, in a process of its own: nothing here can slow the counting down. How each rule stands,
    and what is still to be told, is kept beside the ledger: a restart neither repeats nor forgets.

    Exit code 1 when --once or --test could not tell all.
    """
    import os
    import signal
    import time
    from threading import Event as Signal

    if sum((once, dry_run, trial is not None)) > 1:
        raise BadConfig("give only one of --once, --dry-run and --test")
    stop = Signal()
    if not (once or dry_run or trial is not None):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())  # before anything slow is loaded

    from edge.alerts.watch import once as look_once
    from edge.alerts.watch import require_rules, run
    from edge.config import read_config
    from edge.daemon.notify import log_to_stderr, notifier_from
    from edge.screen import show

    settings = read_config(config)
    require_rules(settings.alerts)
    if dry_run:
        return show(_standing(settings, time.time_ns()))
    log_to_stderr()
    if trial is not None:
        return _try(settings, trial, time.time_ns())
    if once:
        events, left = look_once(settings)
        print(
            f"{len(events)} events"
            + (f"; {left} tellings could not be made, and are left for the next time" if left else "")
        )
        if left:
            raise typer.Exit(1)
        return None
    return run(settings, stop.wait, notifier_from(os.environ, os.getpid()))


def _standing(settings: EdgeConfig, now_ns: int) -> RenderableType:
    """What each rule sees, as a table."""
    from edge.alerts.state import RuleState
    from edge.alerts.watch import would_be
    from edge.screen import table

    readings, before, after = would_be(settings, now_ns)
    rows = table("Alerts, as they would stand now")
    for name in ("alert", "state", "of threshold", "what it sees"):
        rows.add_column(name, overflow="fold", justify="right" if name == "of threshold" else "left")
    for rule in settings.alerts.rules:
        reading = readings[rule.name]
        held, would = (state.rules.get(rule.name, RuleState()).raised for state in (before, after))
        words = {(True, True): "raised", (True, False): "over", (False, False): "clear"}.get(
            (held, would), "would be raised"
        )
        if words == "would be raised" and rule.for_seconds:
            words += f" after {rule.for_seconds:g} s"
        part = "unknown" if reading.pressure is None else f"{min(reading.pressure, 9.99):.0%}"
        rows.add_row(rule.name, words, part, reading.text)
    return rows


def _try(settings: EdgeConfig, name: str, now_ns: int) -> None:
    from edge.alerts.state import trial_event
    from edge.alerts.watch import tell_trial

    rule = settings.alerts.rule(name)
    if settings.alerts.hook is None and settings.alerts.mqtt is None:
        raise BadConfig("nobody is to be told: add [alerts.hook] or [alerts.mqtt]")
    faults = tell_trial(settings, trial_event(rule, now_ns), _TRIAL_SECONDS)
    for way, fault in faults.items():
        print(f"{way}: {fault or 'told'}")
    if any(faults.values()):
        raise typer.Exit(1)
