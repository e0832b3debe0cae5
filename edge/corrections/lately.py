"""The images that people have looked at, for those who ask every few seconds: the daemon's counts.csv, the page, alerts.

A few thousand labels are looked up each time: tens of milliseconds. A hundred thousand take seconds, and nobody may hold up the
daemon by importing them: of so many the answer is used again for some twenty times as long as it took, while the file of labels
stays as it is. Meanwhile new labels are seen at once; that a rule has just set one of the old images aside is seen then.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.corrections.history import read_labels
from edge.corrections.labelsfile import labels_file
from edge.corrections.looked import Looked, read_looked

MANY = 3000  # labels from which on an answer is used again
WORTH = 20.0  # times as long as it took

_Version = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True)
class _Answer:
    version: _Version
    looked: list[Looked]
    good_until: float  # seconds of the clock


class Lately:
    """For one process. For several threads: to compute twice does no harm."""

    def __init__(self, many: int = MANY, seconds: Callable[[], float] = time.monotonic) -> None:
        self._many, self._seconds = many, seconds
        self._answers: dict[Path, _Answer] = {}

    def looked(self, connection: sqlite3.Connection) -> list[Looked]:
        """What `read_looked` finds of the labels beside this open ledger; perhaps of a moment ago. Raises BadConfig."""
        named = next((file for _, name, file in connection.execute("PRAGMA database_list") if name == "main"), "")
        ledger = Path(named)
        if not named or not labels_file(ledger).exists():
            return []
        version = _version(ledger)
        kept, begun = self._answers.get(ledger), self._seconds()
        if kept is not None and kept.version == version and begun < kept.good_until:
            return kept.looked
        labels = read_labels(ledger)
        looked = read_looked(connection, labels)
        if len(labels) >= self._many:
            now = self._seconds()
            self._answers[ledger] = _Answer(version, looked, now + WORTH * (now - begun))
        else:
            self._answers.pop(ledger, None)
        return looked


def _version(ledger: Path) -> _Version:
    """Changes whenever somebody writes a label, and when another ledger takes this one's place."""
    file = labels_file(ledger)
    ledger_itself = _stamp(ledger)
    return (
        ledger_itself and (ledger_itself[0], 0, 0),
        _stamp(file),
        _stamp(file.with_name(file.name + "-wal")),
    )


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    # A reader leaves an empty log behind, in which nobody has written.
    return (found.st_ino, found.st_size, found.st_mtime_ns) if found.st_size else None
