"""The dry run of retention: what would go now and what would stay, by reason and by label."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.text import Text

from edge.retention.retention import GB, Plan, RetentionSettings, Slice
from edge.retention.stock import CountedBytes
from edge.screen import table

SHOWN_LABELS = 15
REJECTED_LABEL = "(rejected)"

Key = tuple[str, str]  # reason, label


@dataclass
class Sums:
    """Images, files and bytes, by reason and label: as many numbers as there are of these, however many images."""

    images: Counter[Key] = field(default_factory=Counter)
    files: Counter[Key] = field(default_factory=Counter)
    bytes: Counter[Key] = field(default_factory=Counter)

    def add(self, key: Key, sizes: list[int]) -> None:
        self.images[key] += 1
        self.files[key] += len(sizes)
        self.bytes[key] += sum(sizes)


@dataclass(frozen=True)
class Forecast:
    """What would go, and what of the same age would stay. `missing_bytes`: more should go, but nothing else may."""

    going: Sums
    kept: Sums
    missing_bytes: int


def forecast(connection: sqlite3.Connection, settings: RetentionSettings, now_ns: int, free_bytes: int) -> Forecast:
    """Of the ledger as it is: no file is looked at. Walks over all images that are old enough, some 20 s a million."""
    counted = CountedBytes()
    if settings.max_total_gb:
        for _ in counted.update(connection):
            pass
    plan = Plan(connection, settings, now_ns, free_bytes, counted.bytes)
    going, kept = sums(plan)
    return Forecast(going, kept, plan.missing_bytes)


def sums(slices: Iterable[Slice]) -> tuple[Sums, Sums]:
    """What goes and what is kept in these slices."""
    going, kept = Sums(), Sums()
    for part in slices:
        for gone in part.going:
            going.add((gone.reason, gone.image.label or REJECTED_LABEL), [file.size for file in gone.files])
        for left in part.kept:
            kept.add((left.why, left.image.label or REJECTED_LABEL), [file.size for file in left.files])
    return going, kept


def forecast_table(seen: Forecast) -> RenderableType:
    """For the screen."""
    parts: list[RenderableType] = []
    if not seen.going.images and not seen.kept.images:
        parts.append(Text("No file would go: no image is old enough, and there is room."))
    if seen.going.images:
        parts += [_rows("Would be deleted", "because of", seen.going, 0), _rows("Of these", "label", seen.going, 1)]
    if seen.kept.images:
        parts += [_rows("Would stay, though as old", "because", seen.kept, 0), _rows("Of these", "label", seen.kept, 1)]
    if seen.missing_bytes:
        parts.append(Text(f"{seen.missing_bytes / GB:.2f} GB more should go, but nothing else may."))
    parts.append(Text("No file was deleted. Files changed or removed by hand since are not known here.", style="dim"))
    return Group(*parts)


def _rows(title: str, heading: str, sums: Sums, by: int) -> RenderableType:
    """By reason (0) or label (1), the largest first."""
    images, files, sizes = (_by(counter, by) for counter in (sums.images, sums.files, sums.bytes))
    rows = table(title)
    rows.add_column(heading, overflow="fold")
    for name in ("images", "files", "GB"):
        rows.add_column(name, justify="right")
    ranked = sorted(images, key=lambda name: (-sizes[name], name))
    shown = ranked if by == 0 else ranked[:SHOWN_LABELS]
    for name in shown:
        rows.add_row(name, str(images[name]), str(files[name]), f"{sizes[name] / GB:.3f}")
    if rest := ranked[len(shown) :]:
        figures = [sum(counter[name] for name in rest) for counter in (images, files, sizes)]
        rows.add_row(f"{len(rest)} others", str(figures[0]), str(figures[1]), f"{figures[2] / GB:.3f}")
    if by == 0 and len(ranked) > 1:
        rows.add_row("in all", str(images.total()), str(files.total()), f"{sizes.total() / GB:.3f}")
    return rows


def _by(counter: Counter[Key], by: int) -> Counter[str]:
    summed: Counter[str] = Counter()
    for key, value in counter.items():
        summed[key[by]] += value
    return summed
