"""The daily summary as plain text for an e-mail over a satellite link: under 4 kB, lines of at most 76 letters."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from edge.bins import utc_text
from edge.counts import at_work
from edge.drift.drifts import Stretched
from edge.drift.words import sentence
from edge.shown import shown
from edge.summary.summary import DAY_NS, Change, Summary, shortened

MOST_BYTES = 4096
_WIDTH = 76
_LABELS = 15
_NAME = 30
_FOLDED = 3  # lines that a long one may become


def summary_text(summary: Summary) -> str:
    """The text; where it would be too long, fewer lines of each list."""
    for most in (_LABELS, 10, 6, 3, 1):
        text = "\n".join(part for line in _lines(summary, most) for part in _fitted(line)) + "\n"
        if len(text.encode()) < MOST_BYTES:
            return text
    return text.encode()[: MOST_BYTES - 5].decode(errors="ignore") + "\n...\n"


def gap_text(start_ns: int, end_ns: int) -> str:
    """06:00 to 07:30, 90 min."""
    until = "24:00" if end_ns % DAY_NS == 0 else utc_text(end_ns)[11:16]
    return f"{utc_text(start_ns)[11:16]} to {until}, {(end_ns - start_ns) / 60e9:.0f} min"


def change_text(change: Change, name: str) -> str:
    """jelly 12 -> 80, share x 6.5."""
    factor = "not there the day before" if change.factor is None else f"share x {change.factor:.2g}"
    return f"{name} {change.before} -> {change.now}, {factor}"


def drift_text(stretched: Stretched) -> str:
    """Whether the images look as in validation."""
    warning = "WARNING: " if stretched.drift.state == "other looks" else ""
    return warning + sentence(stretched.drift)


def disk_text(summary: Summary) -> str:
    """Free room on the disks."""
    free = ", ".join(f"{name} {left / 1e9:.1f} GB" for name, left in summary.situation.free_bytes.items())
    return f"free: {free or 'not known'}; ledger {summary.situation.ledger_bytes / 1e6:.1f} MB"


def daemon_text(summary: Summary) -> str:
    """How the daemon stands as this is written."""
    daemon = summary.situation.daemon
    if daemon is None:
        return "not known: there is no status.json"
    words = "running" if summary.situation.daemon_up() else f"not running, last sign of life {utc_text(daemon.now_ns)}"
    return words + ("" if daemon.problem is None else f"; problem: {shown(daemon.problem)}")


def _lines(summary: Summary, most: int) -> Iterator[str]:
    reported, accounts = summary.reported, summary.reported.counts.accounting
    yield f"Planktow, {utc_text(summary.day_ns)[:10]} (UTC), ledger {shown(summary.ledger)}"
    if summary.written_ns < summary.day_ns + DAY_NS:
        yield f"The day is not over: written {utc_text(summary.written_ns)}"
    yield ""
    yield f"Counted {summary.counted} images; the day before {sum(summary.before.totals.values())}"
    yield f"Rejected {sum(summary.rejects.values())}, set aside {sum(summary.aside.values())}, dropped {summary.dropped}"
    yield from _indented(
        shortened([f"{name}: {images}" for name, images in summary.rejects.items()], most), "  rejected: "
    )
    yield from _indented(
        shortened([f"{name}: {images}" for name, images in summary.aside.items()], most), "  set aside: "
    )
    yield "Of the whole ledger:"
    yield f"  {accounts}"
    if not accounts.adds_up:
        yield "  THIS DOES NOT ADD UP: a fault of Planktow's, please report it"
    yield ""
    yield from _labels(summary, most)
    yield from _section(
        "Changed beyond chance", [change_text(each, reported.name(each.label)) for each in summary.changes], most
    )
    if summary.counted:
        yield f"Unclassified {summary.unclassified} ({summary.unclassified / summary.counted:.1%})"
    if len(summary.votes) > 1:
        shares = (f"{votes}: {its / sum(summary.votes.values()):.0%}" for votes, its in summary.votes.items())
        yield f"Votes for the winner: {', '.join(shares)}"
    yield from (f"Drift: {drift_text(each)}" for each in summary.drifts)
    missing = sum(end - start for start, end in summary.gaps) / 60e9
    yield from _section(f"No images for {missing:.0f} min in all", [gap_text(*gap) for gap in summary.gaps], most)
    alerts = [f"{utc_text(each.time_ns)[11:16]} {each.what} {each.rule}: {shown(each.text)}" for each in summary.alerts]
    yield from _section(f"Alerts: {len(alerts)}", alerts, most)
    yield ""
    yield f"Daemon: {daemon_text(summary)}"
    yield f"Disks, {disk_text(summary)}"
    names = ", ".join(f"{bundle.name} {bundle.digest[:16]}" for bundle in at_work(reported.counts))
    yield f"Classifier: {names or 'none at work'}"


def _labels(summary: Summary, most: int) -> Iterator[str]:
    reported = summary.reported
    if not reported.ranked:
        yield "Nothing was counted on this day."
        return
    corrected = any(each.corrected is not None for each in reported.estimates.totals.values())
    heads = f"{'raw':>9} {'corrected':>10} {'95 %':>14}" if corrected else f"{'raw':>9} {'95 %':>14}"
    yield f"{'Most frequent':<{_NAME}} {heads} {'before':>9}"
    for label in reported.ranked[:most]:
        each = reported.estimates.totals[label]
        low, high = (each.low, each.high) if corrected else (each.raw_low, each.raw_high)
        ends = "-" if low is None or high is None else f"{low:.0f}-{high:.0f}"
        middle = f" {'-' if each.corrected is None else format(each.corrected, '.0f'):>10}" if corrected else ""
        name = reported.name(label)
        name = name if len(name) <= _NAME else name[: _NAME - 1] + "~"
        yield f"{shown(name):<{_NAME}} {each.raw:>9}{middle} {ends:>14} {summary.before.totals.get(label, 0):>9}"
    if len(reported.ranked) > most:
        rest = sum(reported.counts.totals[label] for label in reported.ranked[most:])
        yield f"{f'{len(reported.ranked) - most} others':<{_NAME}} {rest:>9}"
    if reported.note and "no corrected count" in reported.note:
        yield reported.note


def _section(title: str, items: list[str], most: int) -> Iterator[str]:
    if items:
        yield f"{title}:"
        yield from (f"  {item}" for item in shortened(items, most))


def _indented(items: list[str], head: str) -> Iterator[str]:
    if items:
        yield head + ", ".join(items)


def _fitted(line: str) -> list[str]:
    """Within the width, on several lines where it must, and cut where that would be many."""
    if len(line) <= _WIDTH:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    wrapped = textwrap.wrap(line, _WIDTH, subsequent_indent=indent)
    return (
        wrapped if len(wrapped) <= _FOLDED else [*wrapped[: _FOLDED - 1], wrapped[_FOLDED - 1][: _WIDTH - 4] + " ..."]
    )
