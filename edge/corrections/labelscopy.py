"""Copies of the file of labels beside those of the ledger, and putting the newest sound one in the place of a damaged file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from bundle.errors import BadConfig
from bundle.whole import sync_folder
from edge.corrections.labelsfile import alone, labels_file, reading

PARTIAL = ".partial"
_PARTS = ("-wal", "-shm", "-journal", "")  # the log first: it must never lie beside another file


def copy_labels(ledger: Path, copy: Path) -> bool:
    """Copies the labels beside `ledger`, if there are any, to the file `copy`, which bears its name once it is whole.

    Whether there were any. Raises BadConfig where they are damaged or cannot be written there.
    """
    file = labels_file(ledger)
    if not file.exists():
        return False
    partial = copy.with_name(copy.name + PARTIAL)
    try:
        _copy(file, partial)
        partial.rename(copy)
        sync_folder(copy.parent)
    except (OSError, sqlite3.Error) as error:
        raise BadConfig(f"{copy.parent}: the labels cannot be copied there ({error}); free some space there") from None
    finally:
        _discard(partial)
    return True


def labels_fault(file: Path) -> str | None:
    """What is wrong with a file of labels; None: it is sound. Only what is wrong with its content, and not of a newer one."""
    try:
        with reading(file) as connection:
            told = "; ".join(row for (row,) in connection.execute("PRAGMA integrity_check(3)"))
    except BadConfig as fault:
        kept = ("newer Planktow", "permissions")
        return None if any(words in str(fault) for words in kept) else str(fault).partition(": ")[2]
    return None if told == "ok" else told


def mend_labels(ledger: Path, backups: Sequence[Path], now_ns: int) -> list[str]:
    """Puts the newest sound copy in the place of labels that are damaged, or missing where there are copies.

    backups: copies of the ledger, the oldest first; each may have its labels beside it. A damaged file is renamed, never
    deleted; sound labels are left alone. Returns what was done, for a person. To do it twice is to do it once.
    """
    file = labels_file(ledger)
    fault = labels_fault(file) if file.exists() else "the file is missing"
    copies = [labels_file(backup) for backup in backups if labels_file(backup).exists()]
    if fault is None or not (file.exists() or copies):
        return []
    with alone(file):
        sound = next((copy for copy in reversed(copies) if labels_fault(copy) is None), None)
        fresh = file.with_name(file.name + ".restored")
        _discard(fresh)
        if sound is not None:
            try:
                _copy(sound, fresh)
            except (OSError, sqlite3.Error) as error:
                _discard(fresh)
                raise BadConfig(f"{fresh}: cannot be written ({error}); free some space on its disk") from None
        told = [f"{file}: {fault}", *_put_aside(file, now_ns)]
        if sound is None:
            return [*told, "no sound copy of the labels: what people said is only in the damaged file"]
        for part in _PARTS[:-1]:
            file.with_name(file.name + part).unlink(missing_ok=True)  # a log without its file
        fresh.rename(file)
        sync_folder(file.parent)
        return [*told, f"restored {sound}: labels given since are missing"]


def _put_aside(file: Path, now_ns: int) -> list[str]:
    if not file.exists():
        return []
    stamp = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    damaged, number = f"{file.name}.damaged-{stamp}", 1
    while file.with_name(damaged).exists():
        number += 1
        damaged = f"{file.name}.damaged-{stamp}-{number}"
    for part in _PARTS:
        with suppress(FileNotFoundError):
            file.with_name(file.name + part).rename(file.with_name(damaged + part))
    sync_folder(file.parent)
    return [f"the damaged labels are kept as {damaged}*"]


def _copy(file: Path, target: Path) -> None:
    """One moment of the file, in one file, on the disk."""
    with reading(file) as source, closing(sqlite3.connect(target, isolation_level=None)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # readable where nothing may be written beside it
    descriptor = os.open(target, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _discard(file: Path) -> None:
    for part in _PARTS:
        file.with_name(file.name + part).unlink(missing_ok=True)
