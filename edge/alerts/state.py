"""When an alert is raised, told, told again and over: pure steps from one state to the next.

Two things are kept apart. Whether a rule holds follows its thresholds with hysteresis, at each step. What is told of that
is limited: by `repeat_minutes` for each rule, and by a number an hour for all. What may not be told now is told later, if
it is still so; what came and went in between is not told at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from edge.alerts.settings import Rule
from edge.bins import utc_text

What = Literal["raised", "reminder", "cleared", "test"]
SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS
_FIRST = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Reading:
    """What a rule sees: how near its threshold, which is 1. None: it cannot tell now, and all stays as it was."""

    pressure: float | None
    text: str  # a sentence for a person
    value: float | None = None  # as in the text


@dataclass(frozen=True)
class Event:
    """Something to tell; times in UTC ns."""

    id: str  # the same when an event is told twice: after a kill in the middle it may be
    what: What
    rule: str
    severity: str
    text: str
    time_ns: int
    value: float | None = None  # as in the text
    raised_ns: int | None = None  # when the rule began to hold


@dataclass(frozen=True)
class RuleState:
    """Of one rule; times in UTC ns."""

    since_ns: int | None = None  # the threshold has been reached ever since, and it is no alert yet
    raised_ns: int | None = None  # it has been an alert since then; None: it is none
    told: bool = False  # the last that was told of it is that it is raised
    told_ns: int | None = None  # when it was last told as raised, or reminded of
    text: str = ""  # of the reading that raised it
    severity: str = "warning"

    @property
    def raised(self) -> bool:
        return self.raised_ns is not None


@dataclass(frozen=True)
class State:
    """Of all rules, by name, and when the events of the last hour were told."""

    rules: Mapping[str, RuleState] = field(default_factory=dict)
    told_ns: tuple[int, ...] = ()


def step(
    rules: Sequence[Rule], state: State, readings: Mapping[str, Reading], now_ns: int, max_per_hour: int
) -> tuple[State, tuple[Event, ...]]:
    """The next state and what is to be told now, the most important first. `readings` by the rules' names.

    A clock that was set back makes nothing last longer: times that lie ahead of it are taken to be now.
    Of a rule that is no more, it is told that it is over, if it had been told as raised.
    """
    held = {name: _not_ahead(each, now_ns) for name, each in state.rules.items()}
    told_ns = [min(at, now_ns) for at in state.told_ns if min(at, now_ns) > now_ns - HOUR_NS]
    after = {
        rule.name: _held(rule, held.get(rule.name, RuleState()), readings.get(rule.name), now_ns) for rule in rules
    }
    wanted = [
        event
        for rule in rules
        if (event := _to_tell(rule, after[rule.name], readings.get(rule.name), now_ns)) is not None
    ]
    for name, left in held.items():
        if name not in after and left.told:
            after[name] = replace(left, since_ns=None, raised_ns=None)
            wanted.append(_event("cleared", name, left, "the rule was taken out", None, now_ns, left.raised_ns))
    wanted.sort(key=lambda event: (event.what == "reminder", _FIRST.get(event.severity, 1)))
    told = wanted[: max(0, max_per_hour - len(told_ns))]
    for event in told:
        raised = event.what != "cleared"
        before = after[event.rule]
        after[event.rule] = replace(before, told=raised, told_ns=now_ns if raised else before.told_ns)
    gone = {event.rule for event in told} - {rule.name for rule in rules}
    kept = {name: each for name, each in after.items() if name not in gone}
    return State(kept, (*told_ns, *(now_ns for _ in told))), tuple(told)


def trial_event(rule: Rule, now_ns: int) -> Event:
    """One that says that it is none."""
    text = f"this is a test of the alert '{rule.name}'; nothing has happened"
    return Event(f"{rule.topic}-test-{now_ns}", "test", rule.name, rule.severity, text, now_ns)


def told_table(event: Event) -> dict[str, str | float | None]:
    """An event as the outside is told it, in JSON: times as text, which no program rounds."""
    return {
        "id": event.id,
        "what": event.what,
        "rule": event.rule,
        "severity": event.severity,
        "text": event.text,
        "value": event.value,
        "time": utc_text(event.time_ns),
        "since": None if event.raised_ns is None else utc_text(event.raised_ns),
    }


def raised_names(state: State, rules: Iterable[Rule]) -> tuple[str, ...]:
    """The rules that hold now."""
    return tuple(rule.name for rule in rules if state.rules.get(rule.name, RuleState()).raised)


def _held(rule: Rule, before: RuleState, reading: Reading | None, now_ns: int) -> RuleState:
    """Whether it holds, with hysteresis and patience."""
    pressure = None if reading is None else reading.pressure
    now = replace(before, severity=rule.severity)
    if reading is None or pressure is None:
        return now
    if before.raised:
        return replace(now, raised_ns=None, since_ns=None, text=reading.text) if pressure < rule.clear else now
    if pressure < 1:
        return replace(now, since_ns=None)
    since_ns = now_ns if before.since_ns is None else before.since_ns
    if now_ns - since_ns < rule.for_seconds * SECOND_NS:
        return replace(now, since_ns=since_ns)
    return replace(now, since_ns=None, raised_ns=now_ns, text=reading.text)


def _to_tell(rule: Rule, state: RuleState, reading: Reading | None, now_ns: int) -> Event | None:
    text = reading.text if reading is not None and reading.pressure is not None else state.text
    value = None if reading is None else reading.value
    if not state.raised:
        return _event("cleared", rule.name, state, text, value, now_ns, None) if state.told else None
    waited = state.told_ns is None or now_ns - state.told_ns >= rule.repeat_minutes * 60 * SECOND_NS
    if not waited or (state.told and not rule.remind):
        return None
    what: What = "reminder" if state.told else "raised"
    return _event(what, rule.name, state, text, value, now_ns, state.raised_ns)


def _event(
    what: What, name: str, state: RuleState, text: str, value: float | None, now_ns: int, raised_ns: int | None
) -> Event:
    id_ = f"{name.replace(' ', '-')}-{what}-{now_ns}"
    return Event(id_, what, name, state.severity, text, now_ns, value, raised_ns)


def _not_ahead(state: RuleState, now_ns: int) -> RuleState:
    since_ns, raised_ns, told_ns = (
        None if at is None else min(at, now_ns) for at in (state.since_ns, state.raised_ns, state.told_ns)
    )
    return replace(state, since_ns=since_ns, raised_ns=raised_ns, told_ns=told_ns)
