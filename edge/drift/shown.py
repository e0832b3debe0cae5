"""The drift as a table, as csv and as json.

csv has a row for each stretch of time and thing seen: bin_start, bin_end, tow, bundle, images, compared, worth, state,
species, seen, distance, limit, direction, at, below, expected_below, jensen_shannon. At the value `at` day and validation
differ most: the share `below` of the day's images lies below it, of validation images of the same verdicts the share
`expected_below`. Lines that begin with # stand at the head and say of which classifiers nothing is known, and why. json has
the same, nested.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from bundle.whole import json_bytes
from edge.bins import utc_text
from edge.drift.drifts import Drifts, Stretched
from edge.drift.judge import Shift
from edge.drift.words import NAMES, STATES, cause, differs
from edge.screen import table, to_text

COLUMNS = (
    *("bin_start", "bin_end", "tow", "bundle", "images", "compared", "worth", "state", "species", "seen"),
    *("distance", "limit", "direction", "at", "below", "expected_below", "jensen_shannon"),
)


def drift_table(drifts: Drifts) -> RenderableType:
    """For the screen: a line for each stretch, and below what to think of."""
    if not drifts.rows:
        return Group(*map(_line, drifts.unknown or ["Nothing has been counted in that time."]))
    bundles = list(dict.fromkeys(row.bundle for row in drifts.rows))
    rows = table(f"Against the validation images of {' and '.join(map(str, bundles))}")
    rows.add_column("tow" if drifts.rows[0].tow else "from", no_wrap=True)
    if len(bundles) > 1:
        rows.add_column("bundle", no_wrap=True)
    rows.add_column("images", justify="right", no_wrap=True)
    rows.add_column("looks", overflow="fold", min_width=22)
    rows.add_column("what differs", overflow="fold")
    rows.add_column("limit", justify="right", no_wrap=True)
    rows.add_column("species", justify="right", no_wrap=True)
    for row in drifts.rows:
        drift = row.drift
        rows.add_row(
            row.tow or _start(row),
            *([row.bundle.digest[:12]] if len(bundles) > 1 else []),
            str(drift.images),
            STATES[drift.state],
            differs(drift) if drift.state == "other looks" else "",
            f"{drift.limit:.2f}",
            f"{drift.species:.2f}",
        )
    rows.caption = (
        "In brackets: the share of the images that lie where, for their verdicts, they should not; beyond the limit it is a "
        "warning. species: the share of the verdicts that would have to be others; no fault."
    )
    warned = {(each.name, each.lower): each for row in drifts.rows if row.drift.state == "other looks"
              for each in row.drift.beyond}  # fmt: skip
    causes = [f"- {NAMES[each.name]} {_direction(each)}: {cause(each)}" for each in warned.values()]
    return Group(rows, *map(_line, [*causes, *drifts.unknown]))


def _line(words: object) -> Text:
    return Text(str(words))


def drift_csv(drifts: Drifts) -> str:
    """As the head of this file says."""
    text = io.StringIO()
    for unknown in drifts.unknown:
        text.write(f"# note: {' '.join(str(unknown).split())}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in drifts.rows:
        drift = row.drift
        head = (utc_text(row.start_ns), utc_text(row.end_ns), row.tow, str(row.bundle), drift.images, drift.compared)
        about = (f"{drift.worth:.1f}", drift.state, f"{drift.species:.4f}")
        for each in drift.shifts:
            numbers = (f"{each.distance:.4f}", f"{each.limit:.4f}", _direction(each), f"{each.at:.6g}")
            shares = (f"{each.below:.4f}", f"{each.expected_below:.4f}", f"{each.divergence:.4f}")
            writer.writerow((*head, *about, each.name, *numbers, *shares))
        if not drift.shifts:
            writer.writerow((*head, *about, *[""] * 8))
    return text.getvalue()


def drift_json(drifts: Drifts) -> str:
    """One object."""
    return json_bytes(
        {"notes": [str(each) for each in drifts.unknown], "stretches": [_row_json(row) for row in drifts.rows]}
    ).decode()


FORMATS: dict[str, Callable[[Drifts], str]] = {
    "csv": drift_csv,
    "json": drift_json,
    "table": lambda drifts: to_text(drift_table(drifts)),
}


def _row_json(row: Stretched) -> dict[str, Any]:
    drift = row.drift
    return {
        "start": utc_text(row.start_ns),
        "end": utc_text(row.end_ns),
        "tow": row.tow or None,
        "bundle": {"name": row.bundle.name, "digest": row.bundle.digest},
        "ballots": row.ballots,
        "images": drift.images,
        "compared": drift.compared,
        "worth": round(drift.worth, 3),
        "state": drift.state,
        "species": round(drift.species, 6),
        "species_by_chance": round(drift.species_by_chance, 6),
        "seen": {
            each.name: {
                "distance": round(each.distance, 6),
                "limit": round(each.limit, 6),
                "beyond": each.beyond,
                "direction": _direction(each),
                "at": each.at,
                "below": round(each.below, 6),
                "expected_below": round(each.expected_below, 6),
                "jensen_shannon": round(each.divergence, 6),
            }
            for each in drift.shifts
        },
    }


def _direction(shift: Shift) -> str:
    return "lower" if shift.lower else "higher"


def _start(row: Stretched) -> str:
    return utc_text(row.start_ns).replace("T", " ").removesuffix(":00Z").removesuffix(" 00:00")
