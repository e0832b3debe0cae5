"""`planktow-edge alerts`: looks at how things stand, steps the rules, and has their events told. All effects are here."""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bundle.errors import BadBundle, BadConfig, PlanktowError
from bundle.manifest import MANIFEST
from edge.alerts.hook import Hook
from edge.alerts.journal import Journal, journal_file
from edge.alerts.memory import Memory, alone, load, memory_file, save
from edge.alerts.mqtt import Mqtt
from edge.alerts.readings import Seen, read_rule, sampled
from edge.alerts.recent import labels_and_groups, recent_counts, recent_drifts
from edge.alerts.settings import AlertSettings, DriftRule, RejectsRule, SpeciesRule
from edge.alerts.state import Event, Reading, State, raised_names, step
from edge.config import EdgeConfig
from edge.daemon.notify import Notifier
from edge.drift.judge import Drift
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.situation import read_situation

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5  # between two looks at what is being told: bounds how late a stop signal is obeyed
_DRIFT_SECONDS = 300.0  # between two looks at drift: hours of images do not change in a moment
_REST = 9  # so many times as long as a look took is rested after it: at most a tenth of one core
_FAREWELL_SECONDS = 3.0
_ONCE_SECONDS = 120.0  # so long `--once` waits for what it has to tell


class Way(Protocol):
    """A way of telling events."""

    name: str

    @property
    def problem(self) -> str | None:
        """Why nothing can be told that way now."""

    @property
    def busy(self) -> bool:
        """Whether something is being told now."""

    def turn(self, waiting: Sequence[Event], now: float, /) -> tuple[str, ...]:
        """Goes on telling; the ids of the events that are done with. Never waits."""

    def close(self, patience_seconds: float, /) -> None:
        """Ends it."""


@dataclass(frozen=True)
class Clock:
    """Wall time dates things and may jump; steady time measures how long something took."""

    wall_ns: Callable[[], int] = time.time_ns  # UTC ns
    steady: Callable[[], float] = time.monotonic  # seconds


class Alerts:
    """The rules of one ledger at work."""

    def __init__(self, config: EdgeConfig, ways: Sequence[Way], clock: Clock = Clock()) -> None:
        self._config, self._settings, self._ways, self._clock = config, config.alerts, ways, clock
        self._bundle = bundle_mark(config.bundle)
        self._groups = known_groups(config)
        self._file = memory_file(config.ledger)
        self.memory = load(self._file)
        self._saved: Memory | None = None
        self._fault: str | None = None  # why the memory cannot be written
        self._drifts: dict[float, Drift] = {}
        self._drifts_at: float | None = None  # steady seconds

    def look(self) -> tuple[Event, ...]:
        """One look: what the rules see now, and the events that come of it."""
        self._follow_bundle()
        now_ns = self._clock.wall_ns()
        seen = look(self._config, self._groups, self.memory, now_ns, self._drift(now_ns))
        readings = {rule.name: read_rule(rule, seen) for rule in self._settings.rules}
        before = tuple(self.memory.state.rules)
        state, events = step(self._settings.rules, self.memory.state, readings, now_ns, self._settings.max_per_hour)
        memory = dataclasses.replace(self.memory, state=state, samples=tuple(seen.samples))
        self.memory, lost = memory.with_events(events, [way.name for way in self._ways])
        for event in events:
            log.warning("%s: %s: %s", event.what, event.rule, event.text)
        if lost:
            log.error("%d events were never told: too many wait", lost)
        self._save()  # before anything is told: a kill after it tells an event twice at worst, never not at all
        for way in self._ways:
            if isinstance(way, Mqtt):
                way.stand(self._settings.rules, state, before)
        return events

    def tell(self) -> None:
        """Goes on telling what is to be told."""
        for way in self._ways:
            done = way.turn(self.memory.untold.get(way.name, ()), self._clock.steady())
            if done:
                self.memory = self.memory.without(way.name, done)
        self._save()

    @property
    def untold(self) -> int:
        """Events that are not told yet, over all ways."""
        return sum(len(events) for events in self.memory.untold.values())

    @property
    def status(self) -> str:
        """One line for systemd."""
        raised = raised_names(self.memory.state, self._settings.rules)
        words = f"{len(self._settings.rules)} rules, raised: {', '.join(raised) or 'none'}"
        problems = [problem for way in self._ways if (problem := way.problem)]
        return "; ".join([words, *problems, *([self._fault] if self._fault else [])])

    def _drift(self, now_ns: int) -> dict[float, Drift]:
        now = self._clock.steady()
        if self._drifts_at is None or now - self._drifts_at >= _DRIFT_SECONDS:
            self._drifts, self._drifts_at = drifts(self._config, now_ns), now
        return self._drifts

    def _follow_bundle(self) -> None:
        """The groups of another bundle, where one was put in its place meanwhile."""
        mark = bundle_mark(self._config.bundle)
        if mark == self._bundle:
            return
        self._bundle = mark
        try:
            self._groups = known_groups(self._config)
        except BadConfig as error:
            log.error("%s", error)

    def _save(self) -> None:
        if self.memory == self._saved:
            return
        try:
            save(self._file, self.memory)
        except OSError as error:
            if self._fault is None:
                log.error("%s: cannot be written (%s); a restart would repeat alerts", self._file, error.strerror)
            self._fault = f"{self._file.name} cannot be written"
            return
        self._saved, self._fault = self.memory, None


def run(config: EdgeConfig, stop: Callable[[float], bool], notifier: Notifier, clock: Clock = Clock()) -> None:
    """Watches until `stop(seconds)`, which waits so long for the wish to stop, says so. Raises BadConfig, BadBundle."""
    require_rules(config.alerts)
    with ExitStack() as stack:
        stack.enter_context(alone(config.ledger))
        alerts = Alerts(config, open_ways(config, stack, presence=True), clock)
        next_look, ready = clock.steady(), False
        while not stop(PAUSE_SECONDS if ready else 0.0):
            notifier.alive(clock.steady())
            if clock.steady() >= next_look:
                began = clock.steady()
                alerts.look()
                took = clock.steady() - began
                next_look = began + took + max(config.alerts.every_seconds - took, _REST * took)
                notifier.send(STATUS=alerts.status)
            if not ready:
                notifier.send(patience_seconds=30.0, READY="1")
                log.info("watching %s with %d rules", config.ledger, len(config.alerts.rules))
                ready = True
            alerts.tell()
        notifier.send(STOPPING="1")
        _finish(alerts, _FAREWELL_SECONDS, clock)
    log.info("stopped; %d tellings left for the next start", alerts.untold)


def once(config: EdgeConfig, clock: Clock = Clock()) -> tuple[tuple[Event, ...], int]:
    """One look, told within two minutes; the events, and how many tellings are left for the next time."""
    require_rules(config.alerts)
    with ExitStack() as stack:
        stack.enter_context(alone(config.ledger))
        alerts = Alerts(config, open_ways(config, stack), clock)
        events = alerts.look()
        _finish(alerts, _ONCE_SECONDS, clock)
        return events, alerts.untold


def would_be(config: EdgeConfig, now_ns: int) -> tuple[dict[str, Reading], State, State]:
    """What each rule sees now, how all stood, and how they would stand if nothing changed for long; changes nothing."""
    memory = load(memory_file(config.ledger))
    seen = look(config, known_groups(config), memory, now_ns, drifts(config, now_ns))
    readings = {rule.name: read_rule(rule, seen) for rule in config.alerts.rules}
    impatient = [dataclasses.replace(rule, for_seconds=0.0) for rule in config.alerts.rules]
    after, _ = step(impatient, memory.state, readings, now_ns, config.alerts.max_per_hour)
    return readings, memory.state, after


def tell_trial(
    config: EdgeConfig, event: Event, patience_seconds: float, clock: Clock = Clock()
) -> dict[str, str | None]:
    """Tells one event in all ways but the journal; way -> None, or why it was not told."""
    with ExitStack() as stack:
        ways = [way for way in open_ways(config, stack) if way.name != Journal.name]
        faults: dict[str, str | None] = {}
        deadline = clock.steady() + patience_seconds
        while len(faults) < len(ways) and clock.steady() < deadline:
            for way in ways:
                if way.name not in faults:
                    done = way.turn((event,), clock.steady())
                    if done or (isinstance(way, Hook) and way.problem):  # no second try: a person waits
                        faults[way.name] = way.problem
            time.sleep(0.05)
        return {way.name: faults.get(way.name, way.problem or "it took too long") for way in ways}


def look(
    config: EdgeConfig,
    groups: Mapping[str, frozenset[str]],
    memory: Memory,
    now_ns: int,
    drifted: Mapping[float, Drift],
) -> Seen:
    """All that the rules look at, now."""
    settings = config.alerts
    situation = read_situation(config.ledger, config.watch, config.out, now_ns)
    longest = max((rule.minutes for rule in settings.rules if isinstance(rule, RejectsRule)), default=None)
    samples = () if longest is None else sampled(memory.samples, situation, longest)
    stretches = {rule.minutes for rule in settings.rules if isinstance(rule, SpeciesRule)}
    return Seen(situation, _recent(config, stretches, now_ns), groups, samples, drifted)


def open_ways(config: EdgeConfig, stack: ExitStack, presence: bool = False) -> list[Way]:
    """The journal, and those that the settings name; `stack` closes them. presence: see Mqtt."""
    ways: list[Way] = [Journal(journal_file(config.ledger))]
    if config.alerts.hook is not None:
        ways.append(Hook(config.alerts.hook))
    if config.alerts.mqtt is not None:
        ways.append(Mqtt(config.alerts.mqtt, presence))
    for way in ways:
        stack.callback(way.close, _FAREWELL_SECONDS)
    return ways


def require_rules(settings: AlertSettings) -> None:
    """Raises BadConfig where there is nothing to do."""
    if not settings.rules:
        raise BadConfig("no rules in [alerts]; add one such as [[alerts.silence]], see docs/monitoring.md")


def known_groups(config: EdgeConfig) -> dict[str, frozenset[str]]:
    """The groups of the bundle's labels. Raises BadConfig for a rule on what it does not tell.

    A bundle that cannot be read now is no reason to be silent: rules on its labels work all the same.
    """
    if not config.alerts.species:
        return {}
    try:
        labels, groups = labels_and_groups(config.bundle)
    except BadBundle as error:
        log.warning("%s; labels of alerts are not checked, and groups are not known", error)
        return {}
    config.alerts.check_labels(labels, groups)
    return groups


def bundle_mark(bundle: Path) -> tuple[int, ...] | None:
    """Differs when another bundle lies there; None: there is none."""
    try:
        found = (bundle / MANIFEST).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def drifts(config: EdgeConfig, now_ns: int) -> dict[float, Drift]:
    """How the newest images differ from validation, for the stretches that rules want; what is not known is left out."""
    stretches = {rule.minutes for rule in config.alerts.rules if isinstance(rule, DriftRule)}
    if not stretches:
        return {}
    try:
        with closing(open_ledger_readonly(config.ledger)) as connection:
            return recent_drifts(connection, stretches, now_ns, config.bundle)
    except (PlanktowError, sqlite3.Error, OSError):
        return {}


def _recent(config: EdgeConfig, minutes: Iterable[float], now_ns: int) -> dict[float, dict[str, int]]:
    if not minutes:
        return {}
    try:
        with closing(open_ledger_readonly(config.ledger)) as connection:
            return recent_counts(connection, minutes, now_ns)
    except (PlanktowError, sqlite3.Error, OSError):
        return {}  # the problem rule tells of it


def _finish(alerts: Alerts, patience_seconds: float, clock: Clock) -> None:
    """Tells what can be told at once."""
    deadline = clock.steady() + patience_seconds
    while True:
        alerts.tell()
        if not alerts.untold or clock.steady() >= deadline:
            return
        time.sleep(0.05)
