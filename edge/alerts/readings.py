"""What each rule sees in a situation: pure, one function for all kinds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge.alerts.settings import (
    AccountingRule,
    BacklogRule,
    DaemonRule,
    DiskRule,
    DriftRule,
    ProblemRule,
    RejectsRule,
    Rule,
    SilenceRule,
    SpeciesRule,
)
from edge.alerts.state import SECOND_NS, Reading
from edge.drift.judge import Drift
from edge.drift.words import sentence
from edge.shown import shown
from edge.situation import Situation

MINUTE_NS = 60 * SECOND_NS
GB = 1e9
_UNKNOWN = Reading(None, "not known: the ledger cannot be read")


@dataclass(frozen=True)
class Sample:
    """The accounts at one time: what was decided on in a stretch is the difference of two."""

    ns: int  # UTC
    counted: int
    rejected: int


@dataclass(frozen=True)
class Seen:
    """All that rules look at."""

    situation: Situation
    recent: Mapping[float, Mapping[str, int]] = field(default_factory=dict)  # minutes -> label -> images
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)  # group of taxa.csv -> its labels
    samples: Sequence[Sample] = ()  # the oldest first
    drifts: Mapping[float, Drift] = field(
        default_factory=dict
    )  # minutes -> of the newest images; what is not known is not there


def read_rule(rule: Rule, seen: Seen) -> Reading:
    """How near the rule is to its thresholds, whichever is nearest."""
    situation = seen.situation
    if isinstance(rule, SpeciesRule):
        return _species(rule, seen)
    if isinstance(rule, SilenceRule):
        return _silence(rule, situation)
    if isinstance(rule, BacklogRule):
        return _backlog(rule, situation)
    if isinstance(rule, DiskRule):
        return _disk(rule, situation)
    if isinstance(rule, RejectsRule):
        return _rejects(rule, seen)
    if isinstance(rule, DriftRule):
        return _drift(rule, seen)
    if isinstance(rule, AccountingRule):
        return _accounting(situation)
    if isinstance(rule, DaemonRule):
        return _daemon(rule, situation)
    assert isinstance(rule, ProblemRule)
    return _problem(situation)


def sampled(samples: Sequence[Sample], situation: Situation, keep_minutes: float) -> tuple[Sample, ...]:
    """With the accounts of now, at most one sample a minute, of `keep_minutes` and the last one before.

    Samples that lie ahead of the clock (it was set back) go.
    """
    kept = [each for each in samples if each.ns <= situation.now_ns]
    if situation.ledger is not None and (not kept or situation.now_ns - kept[-1].ns >= MINUTE_NS):
        accounts = situation.ledger.counts.accounting
        kept.append(Sample(situation.now_ns, accounts.counted, accounts.rejected))
    begin_ns = situation.now_ns - keep_minutes * MINUTE_NS
    older = sum(each.ns <= begin_ns for each in kept)
    return tuple(kept[max(0, older - 1) :])


def _species(rule: SpeciesRule, seen: Seen) -> Reading:
    if seen.situation.ledger is None or rule.minutes not in seen.recent:
        return _UNKNOWN
    recent = seen.recent[rule.minutes]
    named = set(rule.labels).union(*(seen.groups.get(each, frozenset()) for each in rule.labels))
    images, total = sum(recent.get(label, 0) for label in named), sum(recent.values())
    pressures = [images / rule.images] if rule.images else []
    share = images / total if total and total >= rule.min_images else 0.0
    if rule.share:
        pressures.append(share / rule.share)
    words = f"{_listed(rule.labels)}: {images} images within {rule.minutes:g} min"
    if rule.share:
        words += f", {share:.1%} of {total}"
    return Reading(max(pressures), words, float(images))


def _silence(rule: SilenceRule, situation: Situation) -> Reading:
    if situation.ledger is None:
        return _UNKNOWN
    last_ns = situation.ledger.newest_file_ns
    since = "the last image"
    if last_ns is None:
        last_ns, since = (
            (situation.daemon.started_ns if situation.daemon else None),
            "the daemon's start, and never one",
        )
    if last_ns is None:
        return Reading(None, "no image yet")
    minutes = max(0.0, (situation.now_ns - last_ns) / MINUTE_NS)
    return Reading(minutes / rule.minutes, f"no new image for {minutes:.1f} min, since {since}", minutes)


def _backlog(rule: BacklogRule, situation: Situation) -> Reading:
    if situation.ledger is None:
        return _UNKNOWN
    waiting, oldest_ns = situation.ledger.counts.accounting.waiting, situation.ledger.oldest_waiting_ns
    minutes = 0.0 if oldest_ns is None else max(0.0, (situation.now_ns - oldest_ns) / MINUTE_NS)
    pressures = [waiting / rule.images] if rule.images else []
    pressures += [minutes / rule.minutes] if rule.minutes else []
    return Reading(max(pressures), f"{waiting} images wait, the oldest for {minutes:.1f} min", float(waiting))


def _disk(rule: DiskRule, situation: Situation) -> Reading:
    free = situation.free_bytes
    wanted = {name: free[name] for name in free if rule.folder in ("all", name)}
    if not wanted:
        return Reading(None, f"not known: the disk of '{rule.folder}' cannot be asked")
    name = min(wanted, key=lambda each: wanted[each])
    left = wanted[name] / GB
    return Reading(rule.free_gb / max(left, 1e-9), f"{left:.1f} GB free on the disk of '{name}'", left)


def _rejects(rule: RejectsRule, seen: Seen) -> Reading:
    standing = seen.situation.ledger
    if standing is None:
        return _UNKNOWN
    begin_ns = seen.situation.now_ns - rule.minutes * MINUTE_NS
    before = [each for each in seen.samples if each.ns <= begin_ns][-1:] or list(seen.samples[:1])
    if not before:
        return Reading(None, "not known yet")
    accounts = standing.counts.accounting
    rejected = max(0, accounts.rejected - before[0].rejected)
    decided = rejected + max(0, accounts.counted - before[0].counted)
    share = rejected / decided if decided >= rule.min_images else 0.0
    words = f"{rejected} of {decided} images rejected within {rule.minutes:g} min"
    return Reading(share / rule.share, words, share)


def _drift(rule: DriftRule, seen: Seen) -> Reading:
    drift = seen.drifts.get(rule.minutes)
    if drift is None:
        return Reading(None, "not known: no images, or the classifier has no reference of its validation images")
    if drift.state == "too few":
        return Reading(None, sentence(drift))
    return Reading(drift.nearness, sentence(drift), max(each.distance for each in drift.shifts))


def _accounting(situation: Situation) -> Reading:
    if situation.ledger is None:
        return _UNKNOWN
    accounts = situation.ledger.counts.accounting
    if accounts.adds_up:
        return Reading(0.0, "the accounts add up", 0.0)
    return Reading(1.0, f"the accounts do not add up: {accounts}", 1.0)


def _daemon(rule: DaemonRule, situation: Situation) -> Reading:
    silent = situation.daemon_silent_seconds()
    if situation.daemon is None or silent is None:
        return Reading(math.inf, "the daemon is not running: there is no status.json")
    if situation.daemon.state == "stopped":
        return Reading(silent / rule.seconds, f"the daemon was stopped {silent:.0f} s ago", silent)
    return Reading(silent / rule.seconds, f"the daemon's last sign of life was {silent:.0f} s ago", silent)


def _problem(situation: Situation) -> Reading:
    if situation.fault is not None:
        return Reading(1.0, shown(situation.fault), 1.0)
    if situation.daemon is None:
        return Reading(None, "not known: there is no status.json")
    if situation.daemon.problem is not None:
        return Reading(1.0, shown(situation.daemon.problem), 1.0)
    return Reading(0.0, "no problem", 0.0)


def _listed(labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{labels[0]} and {len(labels) - 1} more"
