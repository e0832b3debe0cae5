"""The real daemon in a process of its own, with all that it does to the ledger's files recorded; started by cutting.py."""

from __future__ import annotations

import argparse
import functools
import os
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge.config import read_config
from edge.daemon.daemon import Clock, run
from edge.daemon.notify import Notifier
from edge.ledger.ledger import open_ledger_readonly

from .crash_vfs import Recorder


@dataclass(frozen=True)
class Counts:
    """What a ledger says."""

    verdicts: frozenset[tuple[str, int]]  # sha-256 in hexadecimal, class index
    rejects: frozenset[tuple[str, str]]  # sha-256 in hexadecimal, reason
    accounting: Mapping[str, int]

    def adds_up(self) -> bool:
        sums = self.accounting
        return sums["seen"] == sums["counted"] + sums["rejected"] + sums["waiting"] + sums.get("dropped", 0)


def read(ledger: Path) -> Counts:
    with closing(open_ledger_readonly(ledger)) as connection:
        connection.execute("BEGIN")
        accounts = connection.execute("SELECT * FROM accounting")
        verdicts = connection.execute("SELECT hex(sha256), label FROM verdict JOIN image ON image.id = image_id")
        rejects = connection.execute("SELECT hex(sha256), reason FROM image WHERE reason IS NOT NULL")
        rows = verdicts.fetchall()
        assert len(rows) == len(set(rows)), "a verdict twice"
        names = [column[0] for column in accounts.description]
        accounting = dict(zip(names, accounts.fetchone(), strict=True))
        return Counts(frozenset(rows), frozenset(rejects.fetchall()), accounting)


class Decided:
    """The daemon's `stop`: once all files are decided on. Raises TimeoutError when that takes too long."""

    def __init__(self, ledger: Path, files: int, seconds: float = 300) -> None:
        self._ledger, self._files, self._seconds = ledger, files, seconds
        self._began = time.monotonic()
        self._look_at = 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + 0.05
        found = read(self._ledger).accounting
        if now - self._began > self._seconds:
            raise TimeoutError(f"not all of {self._files} files decided within {self._seconds:g} s: {found}")
        return found["waiting"] == 0 and found["seen"] + found["duplicates"] == self._files


class Marking(Notifier):
    """Where the daemon would tell systemd that it is ready, it is noted in the record: the ledger is made."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(None)
        self._recorder = recorder

    def send(self, patience_seconds: float = 0.2, **fields: str) -> None:  # noqa: ARG002 - the daemon's interface
        if "READY" in fields:
            self._recorder.mark("ready")


def record(log: Path, config_file: Path, files: int, careless: bool, checkpoint_pages: int) -> None:
    """Runs the real daemon under the recorder until it has decided on all files. Ends the process."""
    recorder = Recorder(log)
    recorder.install()

    class Connection(sqlite3.Connection):
        """Checkpoints more often, so that a short run has some; careless: never syncs, whatever it is told."""

        _told = False

        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[arg-type]
            super().execute(f"PRAGMA wal_autocheckpoint = {checkpoint_pages}")
            if careless:
                super().execute("PRAGMA synchronous = OFF")

        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if careless and sql.upper().replace(" ", "").startswith("PRAGMASYNCHRONOUS="):
                sql = "PRAGMA synchronous = OFF"
            elif sql.startswith("INSERT") and not self._told:
                self._told = True
                for setting in MODE:
                    (value,) = super().execute(f"PRAGMA {setting}").fetchone()
                    recorder.mark(f"{setting} {value}")
            return super().execute(sql, *parameters)  # type: ignore[arg-type]

    sqlite3.connect = functools.partial(sqlite3.connect, factory=Connection)
    config = read_config(config_file)
    run(config, Decided(config.ledger, files), Marking(recorder), Clock())
    recorder.close()
    sys.stderr.flush()
    os._exit(0)  # without a farewell: SQLite still points at us


MODE = ("journal_mode", "synchronous", "wal_autocheckpoint", "page_size")


def main() -> None:
    """The program; see the head of this file."""
    parser = argparse.ArgumentParser(description="the daemon, recorded until it has decided on all files")
    parser.add_argument("log", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("files", type=int)
    parser.add_argument("checkpoint_pages", type=int)
    parser.add_argument("--careless", action="store_true")
    options = parser.parse_args()
    record(options.log, options.config, options.files, options.careless, options.checkpoint_pages)


if __name__ == "__main__":
    main()
