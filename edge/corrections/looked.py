"""The images of a ledger that people have looked at: what the machine's verdict was, and what they said."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from edge.corrections.humanlabel import HumanLabel

_ASKED = 1000  # images asked for at a time


class Looked(NamedTuple):
    """A counted image, with the label that a person gave or confirmed."""

    image_id: int
    capture_ns: int  # UTC ns
    bundle_id: int
    machine: int  # class index of the verdict, or NO_LABEL
    label: str  # the person's

    def lies_in(self, from_ns: int | None, to_ns: int | None) -> bool:
        """Captured in [from_ns, to_ns), UTC ns; None: no bound."""
        return (from_ns is None or from_ns <= self.capture_ns) and (to_ns is None or self.capture_ns < to_ns)


def read_looked(connection: sqlite3.Connection, labels: Mapping[bytes, HumanLabel]) -> list[Looked]:
    """Those of the ledger.

    Images that the ledger does not know, or does not count, are none of them. Where every sighting counts, one label holds
    for each. Asks for the few images by the index of their contents: some 20 ms for a thousand labels among five million
    images.
    """
    return [Looked(*row) for row in _counted(connection, labels)]


def _counted(
    connection: sqlite3.Connection, labels: Mapping[bytes, HumanLabel]
) -> Iterator[tuple[int, int, int, int, str]]:
    # First the index alone, then the rows, each in its own order: neighbours lie on one page of the file.
    contents: dict[int, bytes] = {}
    known = sorted(labels)
    for first in range(0, len(known), _ASKED):
        contents.update(
            connection.execute(*_asking("SELECT id, sha256 FROM image WHERE sha256", known[first : first + _ASKED]))
        )
    numbers = sorted(contents)
    for first in range(0, len(numbers), _ASKED):
        query, asked = _asking(
            "SELECT image.id, capture_ns, bundle_id, verdict.label"
            " FROM image CROSS JOIN verdict ON verdict.image_id = image.id WHERE aside IS NULL AND image.id",
            numbers[first : first + _ASKED],
        )
        for number, capture_ns, bundle_id, machine in connection.execute(query, asked):
            label = labels[contents[number]].label
            if label is not None:
                yield number, capture_ns, bundle_id, machine, label


def _asking(query: str, values: Sequence[object]) -> tuple[str, Sequence[object]]:
    return f"{query} IN ({', '.join('?' * len(values))})", values
