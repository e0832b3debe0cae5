"""The history of human labels: what is said is added, and what holds is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge.corrections.humanlabel import HumanLabel, check
from edge.corrections.labelsfile import labels_file, reading, writing

Labels = dict[bytes, HumanLabel]  # by sha-256; only labels that hold

_COLUMNS = "sha256, label, person, machine_label, bundle_digest, labelled_ns"
_ADD = f"INSERT INTO label ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"
_LATEST = f"SELECT {_COLUMNS} FROM label WHERE id IN (SELECT MAX(id) FROM label GROUP BY sha256) AND label IS NOT NULL"


def add_labels(file: Path, labels: Sequence[HumanLabel]) -> list[int]:
    """Adds to the history, all or nothing; returns the numbers of the rows. Raises BadConfig, and ValueError (`check`)."""
    with writing(file) as connection:
        return [_add(connection, label) for label in labels]


def take_back(file: Path, number: int, person: str, now_ns: int) -> HumanLabel | None:
    """What was said in row `number` is taken back; what was said of the image before holds again.

    Returns the row; None, and nothing is changed, where it is no longer the last of its image: somebody has said something
    else meanwhile, or took it back already. Raises BadConfig.
    """
    with writing(file) as connection:
        row = connection.execute(f"SELECT {_COLUMNS} FROM label WHERE id = ?", (number,)).fetchone()
        said = None if row is None else HumanLabel(*row)
        if said is None or said.label is None:
            return None
        last = connection.execute("SELECT MAX(id) FROM label WHERE sha256 = ?", (said.sha256,)).fetchone()[0]
        if last != number:
            return None
        before = connection.execute(
            f"SELECT {_COLUMNS} FROM label WHERE sha256 = ? AND id < ? ORDER BY id DESC LIMIT 1", (said.sha256, number)
        ).fetchone()
        nothing = HumanLabel(said.sha256, None, person, said.machine_label, said.bundle_digest, now_ns)
        # Said again in the words, with the name and at the time of that person.
        _add(connection, nothing if before is None or before[1] is None else HumanLabel(*before))
        return said


def latest(connection: sqlite3.Connection) -> Labels:
    """What holds of every image: some 2 ms for a thousand labels."""
    return {label.sha256: label for label in map(_human, connection.execute(_LATEST))}


def read_labels(ledger: Path) -> Labels:
    """What holds of every image, from the file beside this ledger; none where there is none. Raises BadConfig."""
    file = labels_file(ledger)
    if not file.exists():
        return {}
    with reading(file) as connection:
        return latest(connection)


def labels_beside(connection: sqlite3.Connection) -> Labels:
    """The same for an open ledger; none for one in memory."""
    file = next((file for _, name, file in connection.execute("PRAGMA database_list") if name == "main"), "")
    return read_labels(Path(file)) if file else {}


def history(connection: sqlite3.Connection) -> Iterator[tuple[int, HumanLabel]]:
    """Every row with its number, in the order in which they were added."""
    for number, *row in connection.execute(f"SELECT id, {_COLUMNS} FROM label ORDER BY id"):
        yield number, _human(row)


def last_of(connection: sqlite3.Connection, person: str, since_ns: int) -> tuple[int, HumanLabel] | None:
    """The row that this person added last, and its number, of those that hold and are of `since_ns` (UTC ns) or later."""
    row = connection.execute(
        f"SELECT id, {_COLUMNS} FROM label WHERE person = ? AND labelled_ns >= ? AND label IS NOT NULL"
        " AND id = (SELECT MAX(id) FROM label AS newer WHERE newer.sha256 = label.sha256) ORDER BY id DESC LIMIT 1",
        (person, since_ns),
    ).fetchone()
    return None if row is None else (row[0], _human(row[1:]))


def said_lately(labels: Labels, most: int = 50) -> list[str]:
    """The labels that people gave last, each once, the latest first."""
    newest = sorted(labels.values(), key=lambda each: -each.labelled_ns)[:most]
    return list(dict.fromkeys(each.label for each in newest if each.label is not None))


def _add(connection: sqlite3.Connection, said: HumanLabel) -> int:
    return int(connection.execute(_ADD, check(said)).lastrowid or 0)


_human = HumanLabel._make  # a row as it stands; it was checked when it was written
