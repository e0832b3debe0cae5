"""The labels that people gave as a table: how often the machine had called these images so too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from edge.corrections.labelled import Labelled
from edge.screen import table


def labels_table(every: Sequence[Labelled]) -> Table:
    """One row a label, the most frequent first."""
    images = Counter(each.said.label or "" for each in every)
    confirmed = Counter(each.said.label or "" for each in every if each.said.confirms)
    rows = table("Labels that people gave or confirmed")
    rows.add_column("label", overflow="fold", min_width=16)
    for head in ("images", "machine said so", "machine said otherwise"):
        rows.add_column(head, justify="right")
    for label, number in images.most_common():
        rows.add_row(label, str(number), str(confirmed[label]), str(number - confirmed[label]))
    people = Counter(each.said.person for each in every)
    told = ", ".join(f"{person} {number}" for person, number in people.most_common())
    rows.caption = f"{len(every)} images; by {told}" if every else "nobody has labelled an image yet"
    return rows
