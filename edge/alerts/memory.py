"""What alerts remember over a restart: one small JSON file beside the ledger, written whole.

It holds how each rule stands, what was told when, and what is still to be told: a restart neither repeats nor forgets.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bundle.errors import BadConfig, PlanktowError
from bundle.settings import settings_from
from bundle.whole import json_bytes, write_whole
from edge.alerts.readings import Sample
from edge.alerts.state import SECOND_NS, Event, RuleState, State

log = logging.getLogger(__name__)

MOST_UNTOLD = 1000  # events that wait for one way of telling; then the oldest are given up
_VERSION = 1
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Memory:
    """All of it. `untold`: way of telling -> events, the oldest first."""

    state: State = field(default_factory=State)
    samples: tuple[Sample, ...] = ()
    untold: Mapping[str, tuple[Event, ...]] = field(default_factory=dict)

    def with_events(self, events: Sequence[Event], ways: Sequence[str]) -> tuple[Memory, int]:
        """With these to be told in each of the ways, and how many older ones were given up for want of room.

        What was to be told in ways that are no more is dropped.
        """
        waiting = {way: (*self.untold.get(way, ()), *events) for way in ways}
        lost = sum(max(0, len(each) - MOST_UNTOLD) for each in waiting.values())
        return replace(self, untold={way: each[-MOST_UNTOLD:] for way, each in waiting.items()}), lost

    def without(self, way: str, done: Sequence[str]) -> Memory:
        """When the events of these ids have been told, or given up, that way."""
        left = tuple(event for event in self.untold.get(way, ()) if event.id not in set(done))
        return replace(self, untold={**self.untold, way: left})


def memory_file(ledger: Path) -> Path:
    """Where the alerts on this ledger are remembered."""
    return ledger.with_name(ledger.name + ".alerts.json")


def load(file: Path) -> Memory:
    """What was remembered; nothing where there is no file. One that cannot be read is set aside and said.

    Raises BadConfig where it was written by a newer version.
    """
    try:
        table = json.loads(file.read_bytes())
        if table["version"] > _VERSION:
            raise BadConfig(f"{file}: written by a newer Planktow; upgrade, or move the file away")
        return _parsed(table)
    except FileNotFoundError:
        return Memory()
    except BadConfig as error:
        if "newer Planktow" in str(error):
            raise
        return _set_aside(file, error)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return _set_aside(file, error)
    except OSError as error:
        raise BadConfig(f"{file}: cannot be read ({error.strerror}); run this as the user of the service") from None


@dataclass(frozen=True)
class RulesStanding:
    """How the rules stood at the last look, for those who only read."""

    looked_ns: int  # UTC ns
    due_ns: int  # by when somebody must have looked again, UTC ns
    rules: Mapping[str, RuleState]

    @property
    def raised(self) -> tuple[tuple[str, RuleState], ...]:
        """Those that hold, the longest first."""
        held = [(name, each) for name, each in self.rules.items() if each.raised_ns is not None]
        return tuple(sorted(held, key=lambda pair: pair[1].raised_ns or 0))


def how_rules_stand(ledger: Path, every_seconds: float = 0.0) -> RulesStanding | None:
    """None where no alerts watch this ledger, or what they remember cannot be understood. every_seconds: between looks."""
    file = memory_file(ledger)
    try:
        with file.open("rb") as opened:
            looked_ns = os.fstat(opened.fileno()).st_mtime_ns
            table = json.loads(opened.read())
        due_ns = looked_ns + round(max(_PATIENCE_SECONDS, 3 * every_seconds) * SECOND_NS)
        return RulesStanding(looked_ns, due_ns, _rules(table)) if table["version"] == _VERSION else None
    except (OSError, BadConfig, ValueError, KeyError, TypeError, AttributeError):
        return None


def save(file: Path, memory: Memory) -> None:
    """Raises OSError; the file is then as it was."""
    table = {
        "version": _VERSION,
        "rules": {name: asdict(each) for name, each in memory.state.rules.items()},
        "told_ns": list(memory.state.told_ns),
        "samples": [[each.ns, each.counted, each.rejected] for each in memory.samples],
        "untold": {way: [event_table(each) for each in events] for way, events in memory.untold.items()},
    }
    write_whole(file, json_bytes(table))


def event_table(event: Event) -> dict[str, Any]:
    """An event as JSON has it."""
    return asdict(event)


def event_from(table: Mapping[str, Any]) -> Event:
    """Raises BadConfig where that is none."""
    return settings_from(_without_nulls(table), Event, "event")


@contextmanager
def alone(ledger: Path) -> Iterator[None]:
    """The right to tell alerts on this ledger; the system takes it from a process that dies. Raises BadConfig."""
    file = ledger.with_name(ledger.name + ".alerts.lock")
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise BadConfig(f"{file}: cannot be opened ({error.strerror}); allow this user to write there") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadConfig(f"{ledger}: another `planktow-edge alerts` watches it; stop that one first") from None
        yield
    finally:
        os.close(descriptor)


def _parsed(table: Mapping[str, Any]) -> Memory:
    return Memory(
        State(_rules(table), tuple(int(at) for at in table["told_ns"])),
        tuple(Sample(int(ns), int(counted), int(rejected)) for ns, counted, rejected in table["samples"]),
        {way: tuple(event_from(each) for each in events) for way, events in table["untold"].items()},
    )


def _rules(table: Mapping[str, Any]) -> dict[str, RuleState]:
    return {name: settings_from(_without_nulls(each), RuleState, name) for name, each in table["rules"].items()}


def _without_nulls(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if value is not None}


def _set_aside(file: Path, error: Exception | PlanktowError) -> Memory:
    aside = file.with_name(file.name + ".damaged")
    log.error("%s: cannot be understood (%s); it is now %s, and alerts begin anew", file, error, aside.name)
    file.replace(aside)
    return Memory()
