"""What the demo shows: a table that lives while the camera plays, and the summary at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from bundle.scores import Scores
from edge.counts import Counts
from edge.demo.camera import Drop
from edge.demo.check import Found
from edge.screen import table

BAR = 30  # columns
ROWS = 14  # labels in the live table; it must fit a small terminal


@dataclass(frozen=True)
class Moment:
    """One look at the demo."""

    counts: Counts
    dropped: int  # files the camera has written
    drops: int  # files it will have written
    seconds: float  # since the camera began


def live_table(moment: Moment) -> RenderableType:
    """Counts per label as bars, the accounting below."""
    totals = {label: images for label, images in moment.counts.totals.items() if images}
    ranked = sorted(totals, key=lambda label: -totals[label])
    rows = table("Counting")
    rows.add_column("label", overflow="fold", min_width=20)
    rows.add_column("count", justify="right")
    rows.add_column("", min_width=BAR)
    most = max(totals.values(), default=1)
    for label in ranked[:ROWS]:
        rows.add_row(label, str(totals[label]), "█" * max(1, round(BAR * totals[label] / most)))
    rows.caption = f"{len(ranked) - ROWS} more labels" if len(ranked) > ROWS else None
    return Group(rows, Text(live_line(moment)))


def live_line(moment: Moment) -> str:
    """The same moment in one line, for logs and pipes."""
    rate = moment.counts.accounting.counted / moment.seconds if moment.seconds else 0.0
    return (
        f"{moment.seconds:5.1f} s   camera {moment.dropped} of {moment.drops} files   {moment.counts.accounting}   "
        f"{rate:.1f} images/s"
    )


def taxa_table(drops: Sequence[Drop], found: Mapping[str, Found], scores: Scores | None) -> RenderableType:
    """Counts per label; where the truth is known, beside what was shown."""
    counted = Counter(each.label for each in found.values() if each.label)
    shown = Counter(taxon for taxon in {drop.sha256: drop.taxon for drop in drops if drop.taxon}.values())
    rows = table("Counts per taxon")
    rows.add_column("taxon", overflow="fold")
    if scores:
        rows.add_column("shown", justify="right")
    rows.add_column("counted", justify="right")
    if scores:
        rows.add_column("of these right", justify="right")
    for label in sorted(counted.keys() | (shown.keys() if scores else set()), key=lambda each: (-counted[each], each)):
        cells = [label, str(counted[label])]
        if scores:
            right = scores.classes[label].right if label in scores.classes else 0
            cells = [label, str(shown[label]), str(counted[label]), str(right)]
        rows.add_row(*cells)
    return rows


def mishap_table(drops: Sequence[Drop], found: Mapping[str, Found]) -> RenderableType:
    """The files that were not plain images, and every other reject: what became of each."""
    rows = table("Mishaps played, and what became of them")
    rows.add_column("file", overflow="fold")
    rows.add_column("what it is")
    rows.add_column("outcome", overflow="fold")
    for drop in drops:
        each = found.get(drop.sha256)
        if drop.kind == "image" and (each is None or each.reason is None):
            continue
        outcome = (
            "missing" if each is None else f"rejected, {each.reason}: {each.detail}" if each.reason else "counted once"
        )
        rows.add_row(drop.name, MISHAPS[drop.kind], outcome)
    return rows


MISHAPS = {
    "image": "an image",
    "again": "an image seen before",
    "halves": "written in two halves",
    "torn": "torn for good",
    "foreign": "not an image",
}
