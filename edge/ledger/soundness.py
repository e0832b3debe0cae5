"""Whether the ledger's file is sound, in SQLite's own words, and whether there is a reason to ask."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from bundle.errors import BadConfig
from edge.ledger.migrations import APPLICATION_ID

FAULTS_TOLD = 10  # a ledger may have as many faults as pages: a person needs a few


def check_ledger(ledger: Path | sqlite3.Connection, thorough: bool) -> list[str]:
    """What is wrong with the ledger, in SQLite's words, at most FAULTS_TOLD; nothing where it is sound.

    `thorough` also looks whether every index agrees with its table and every reference leads somewhere. A file is read
    beside its writer. Raises BadConfig for a file that is missing or may not be read.
    """
    try:
        if isinstance(ledger, sqlite3.Connection):
            return _faults(ledger, thorough)
        with closing(open_for_copy(ledger)) as connection:
            return _faults(connection, thorough)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in _NOT_THE_CONTENT:
            raise BadConfig(
                f"the ledger cannot be checked now ({error}); stop what else uses it, and try again"
            ) from None
        return [str(error)]


def closed_well(ledger: Path) -> bool:
    """Whether the ledger's last writer closed it; ask before opening it.

    SQLite empties and removes the write-ahead log when the last connection closes. It is also left by a writer that
    closed while a reader was still there: then a check is made too many.
    """
    try:
        return ledger.with_name(ledger.name + "-wal").stat().st_size == 0
    except FileNotFoundError:
        return True


def open_for_copy(ledger: Path) -> sqlite3.Connection:
    """The ledger, damaged perhaps, for reading beside its writer. Raises BadConfig."""
    # Never able to write: a second connection that could also checkpoint is what it takes for SQLite's WAL-reset bug
    # (all versions before 3.51.3).
    try:
        with ledger.open("rb"):
            pass
        connection = sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    except (OSError, sqlite3.OperationalError) as error:
        raise BadConfig(f"{ledger}: cannot be opened ({error}); check the path and its permissions") from None
    connection.execute("PRAGMA busy_timeout = 10000")
    return connection


def _faults(connection: sqlite3.Connection, thorough: bool) -> list[str]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        # An empty file is a sound database to SQLite.
        return ["the file does not have the mark of a Planktow ledger"]
    check = "integrity_check" if thorough else "quick_check"
    told = "\n".join(row for (row,) in connection.execute(f"PRAGMA {check}({FAULTS_TOLD})"))
    faults = [line for line in told.splitlines() if line != "ok" and not line.startswith("***")][:FAULTS_TOLD]
    if not faults and not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'migration'").fetchone():
        faults.append("the table of migrations is missing")
    if thorough and not faults:
        for table, row, parent, _key in connection.execute("PRAGMA foreign_key_check").fetchmany(FAULTS_TOLD):
            faults.append(f"row {row} of {table} refers to a row of {parent} that is not there")
    return faults


_NOT_THE_CONTENT = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
)
