"""planktow-trainer show: a training record as a person reads it. Nothing is computed anew, and no member is opened.

Records of older versions hold less, and settings are free: what is not there is not printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bundle.pace import spelled
from bundle.training import FinishedRun

LEFT_OUT = ("conflicts", "unreadable")
MOST_FINDINGS = 10  # files left out that are named; training.json names all
LONG_NAME = 24  # columns of a terminal that a member may claim for its name


def print_record(run: FinishedRun) -> None:
    """Prints the record to standard output."""
    console = Console(soft_wrap=True, highlight=False)
    for line in record_lines(run):
        console.print(escape(line))
    members: list[Mapping[str, Any]] = list(run.table["members"])
    if not members:
        return
    console.print(_member_table(run, members))
    numbers = [member.stem.partition("-")[0] for member in run.facts.members]
    settings = [_flat(member.get("settings") or {}) for member in members]
    versions = [_flat(member.get("versions") or {}) for member in members]
    for what, tables in (("settings", settings), ("versions", versions)):
        for line in _compared(what, tables, numbers):
            console.print(escape(line))
    for line in _last_epochs(members, numbers):
        console.print(escape(line))


def record_lines(run: FinishedRun) -> Iterator[str]:
    """The lines on the run as a whole."""
    facts, data = run.facts, run.table["data"]
    yield f"{facts.name}, {len(facts.members)} members, finished {facts.created}"
    counts = data.get("images_per_class") or []
    spread = f", {min(counts)} to {max(counts)} of each" if counts else ""
    yield f"data      {facts.data.images} images of {len(facts.labels)} classes{spread}"
    yield f"digest    {facts.data.digest}"
    left_out = [line for key in LEFT_OUT for line in data.get(key) or ()]
    findings = ((key, _count(data.get(key, ()))) for key in ("duplicates", *LEFT_OUT))
    yield f"findings  {data.get('files', '?')} files: " + ", ".join(f"{what} {count}" for what, count in findings)
    for line in left_out[:MOST_FINDINGS]:
        yield f"          left out: {line}"
    if len(left_out) > MOST_FINDINGS:
        yield f"          and {len(left_out) - MOST_FINDINGS} more"
    split = facts.split
    yield f"split     {len(split.train)} train, {len(split.validation)} validation, {len(split.test)} test"
    yield "input     " + ", ".join(f"{key} {value}" for key, value in run.table["input"].items())
    yield "features  " + (", ".join(facts.features) or "none")
    vote = run.table.get("hard_vote_test")
    if vote:
        yield (
            f"hard vote {_percent(vote, 'accuracy')} on {vote['images']} test images (balanced "
            f"{_percent(vote, 'balanced_accuracy')}, macro-F1 {_percent(vote, 'macro_f1')}), of the Keras members"
        )
    selection = run.table.get("selection")
    if selection:
        yield f"selected  of {len(selection['pool'])}: {selection['rule']}"
        for step in selection["steps"]:
            gain = "" if step["gain"] is None else f" ({100 * step['gain']:+.1f})"
            yield f"          {step['file']} from {step['from']}: {100 * step['accuracy']:.1f} %{gain}"


def _count(found: int | Sequence[str]) -> int:
    """Of findings, which older records only count."""
    return found if isinstance(found, int) else len(found)


def _member_table(run: FinishedRun, members: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    longest = max(len(facts.stem) for facts in run.facts.members)
    table.add_column("member", overflow="fold", min_width=min(longest, LONG_NAME))  # the architecture is folded first
    table.add_column("architecture", overflow="fold")
    for heading in ("time", "validation", "test", "balanced", "macro-F1"):
        table.add_column(heading, justify="right", no_wrap=True)
    for facts, member in zip(run.facts.members, members, strict=True):
        test = member.get("test") or {}
        table.add_row(
            escape(facts.stem),
            escape(facts.architecture),
            _time(member),
            _percent(member.get("validation") or {}, "accuracy"),
            _percent(test, "accuracy"),
            _percent(test, "balanced_accuracy"),
            _percent(test, "macro_f1"),
        )
    return table


def _compared(what: str, tables: Sequence[Mapping[str, str]], numbers: Sequence[str]) -> Iterator[str]:
    """What differs, with the members of each value; then what all members share."""
    keys = list(dict.fromkeys(key for table in tables for key in table if key != "name"))
    differing = [key for key in keys if len({table.get(key) for table in tables}) > 1]
    shared = [f"{key} {tables[0][key]}" for key in keys if key not in differing]
    if differing:
        yield f"{what} that differ"
        width = max(map(len, differing))
        for key in differing:
            holders: dict[str, list[str]] = {}
            for table, number in zip(tables, numbers, strict=True):
                holders.setdefault(table.get(key, "-"), []).append(number)
            values = "   ".join(f"{value} ({' '.join(members)})" for value, members in holders.items())
            yield f"  {key:{width}}  {values}"
    if shared:
        yield f"{what} of all: {', '.join(shared)}" if len(tables) > 1 else f"{what}: {', '.join(shared)}"


def _flat(table: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Nested tables as one, with dots in the keys, and values spelled as in a run's TOML."""
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = _spelled(value)
    return flat


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + " ".join(map(_spelled, value)) + "]"
    return "none" if value is None else f"{value}"


def _last_epochs(members: Sequence[Mapping[str, Any]], numbers: Sequence[str]) -> Iterator[str]:
    """The last line of each history: whether a member had stopped learning."""
    lasts = [(number, (member.get("history") or [None])[-1]) for number, member in zip(numbers, members, strict=True)]
    if any(last for _, last in lasts):
        yield "last epochs"
    for number, last in lasts:
        if last:
            yield f"  {number}  " + ", ".join(f"{key} {value}" for key, value in last.items())


def _time(member: Mapping[str, Any]) -> str:
    """From the member's start to its end, such as 55 min."""
    try:
        started, finished = (datetime.fromisoformat(member[key]) for key in ("started", "finished"))
    except (KeyError, ValueError, TypeError):
        return ""
    return spelled((finished - started).total_seconds())


def _percent(summary: Mapping[str, Any], key: str) -> str:
    return f"{100 * summary[key]:.1f} %" if key in summary else ""
