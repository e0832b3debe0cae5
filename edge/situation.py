"""How things stand aboard at one moment: what metrics, alerts and the daily summary are made from.

Cheap at any size of the ledger: the accounts that its triggers keep, one row of an index each, status.json, and the disks.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bundle.errors import PlanktowError
from edge.counts import Counts, one_moment, read_bundles, read_counts
from edge.daemonsign import DaemonSign, read_sign
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.ledger.migrations import WAITING


@dataclass(frozen=True)
class Standing:
    """What the ledger says."""

    counts: Counts
    newest_file_ns: int | None  # UTC ns: when the newest file was found
    oldest_waiting_ns: int | None  # when the one that has waited longest was found
    bundle: tuple[str, str] | None  # name and digest of the classifier that came last


@dataclass(frozen=True)
class Situation:
    """All of one moment. `ledger` None: it cannot be read, and `fault` says why."""

    now_ns: int
    ledger: Standing | None = None
    fault: str | None = None
    daemon: DaemonSign | None = None  # None: there is no status.json
    free_bytes: Mapping[str, int] = field(default_factory=dict)  # watch, ledger, out -> free on its disk
    ledger_bytes: int = 0  # with its write-ahead log

    def daemon_silent_seconds(self) -> float | None:
        """Since the daemon's last sign of life; None: it never gave one. A clock that was set back counts as no time."""
        return None if self.daemon is None else max(0.0, (self.now_ns - self.daemon.now_ns) / 1e9)

    def daemon_up(self, patience_seconds: float = 60.0) -> bool:
        """Whether the daemon says that it runs, and has said so lately."""
        silent = self.daemon_silent_seconds()
        return (
            silent is not None
            and silent < patience_seconds
            and self.daemon is not None
            and self.daemon.state == "running"
        )


def read_situation(ledger: Path, watch: Path | None, out: Path | None, now_ns: int) -> Situation:
    """The situation now. What cannot be read is left out; nothing is raised for it."""
    standing, fault = None, None
    try:
        with closing(open_ledger_readonly(ledger)) as connection:
            connection.execute("PRAGMA busy_timeout = 2000")
            standing = read_standing(connection)
    except (PlanktowError, sqlite3.Error, OSError) as error:
        fault = f"{ledger}: {error}" if str(ledger) not in str(error) else str(error)
    folders = {"watch": watch, "ledger": ledger.parent, "out": out}
    return Situation(
        now_ns,
        standing,
        fault,
        None if out is None else read_sign(out),
        {name: free for name, folder in folders.items() if folder and (free := _free_bytes(folder)) is not None},
        sum(_size(ledger.with_name(ledger.name + end)) for end in ("", "-wal")),
    )


def read_standing(connection: sqlite3.Connection) -> Standing:
    """What the ledger says, of one moment of it."""
    with one_moment(connection):
        newest = connection.execute("SELECT found_ns FROM sighting ORDER BY id DESC LIMIT 1").fetchone()
        waiting = connection.execute(f"SELECT found_ns FROM sighting WHERE {WAITING} ORDER BY id LIMIT 1").fetchone()
        bundles = read_bundles(connection)
        return Standing(
            read_counts(connection),
            int(newest[0]) if newest else None,
            int(waiting[0]) if waiting else None,
            (bundles[-1].name, bundles[-1].digest) if bundles else None,
        )


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
