"""The ledger as a file: opened by its one writer or by a reader, told from other files, and locked.

The images are the log and the ledger is the state: a commit that a power cut takes back is made again at the next start,
by scanning. So WAL mode with synchronous=NORMAL, which loses no consistency but may lose the last commits, is enough
(docs/decisions/0007).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import BinaryIO

from bundle.errors import BadConfig
from edge.ledger.migrations import APPLICATION_ID, MIGRATIONS, migrate, schema_version
from edge.ledger.soundness import check_ledger, closed_well

BUSY_MILLISECONDS = 10_000  # how long a reader's lock may hold us up; readers of a WAL ledger take none for longer
PAGE_CACHE_KIB = 32 * 1024  # what SQLite may hold of the ledger; the system's own cache holds more, and gives it back


def open_writer(path: Path) -> tuple[sqlite3.Connection, BinaryIO]:
    """The connection of the ledger's one writer and its lock, which is freed by closing it.

    The ledger is made, or brought to this version's schema, where needed. Raises BadConfig when the folder is missing,
    the file is no ledger, it is of a newer version, it is damaged, or another daemon has it.
    """
    if not path.parent.is_dir():
        # Not made by us: a disk that failed to mount would have its ledger begun anew on the system's disk.
        raise BadConfig(f"{path.parent}: no such folder for the ledger; create it, or mount its disk")
    lock = lock_ledger(path)
    try:
        if repair_plan(path).exists():
            raise BadConfig(f"{path}: a repair was cut short; run: planktow-edge repair --ledger {path}")
        doubtful = not closed_well(path)
        connection = _connect(path, "rwc")
        try:
            begun = _check(connection, path, writer=True)
            if begun and doubtful:
                _read_ahead(path)
                if faults := check_ledger(connection, thorough=False):
                    raise BadConfig(f"{path}: damaged ({faults[0]}); run: planktow-edge repair --ledger {path}")
            connection.execute("PRAGMA journal_mode = WAL")
            # A power cut may take the last commits back, and the next scan makes them again: docs/decisions/0007.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE_KIB}")
            # A WAL that grew behind a long reader is given back to the disk.
            connection.execute("PRAGMA journal_size_limit = 67108864")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
    except BaseException:
        lock.close()
        raise
    return connection, lock


def open_ledger_readonly(path: Path) -> sqlite3.Connection:
    """The ledger for a reader: a connection in autocommit mode that cannot write. Close it.

    Raises BadConfig when the file is missing, is no ledger or is of a newer version.
    """
    if not path.is_file():
        raise BadConfig(f"{path}: no such ledger; give the file that `planktow-edge run` writes")
    # Of a ledger that nobody has open, SQLite would make the WAL's files anew; a reader who may not write there reads
    # it as the unchanging file that it then is.
    still = not path.with_name(path.name + "-wal").exists() and not os.access(path.parent, os.W_OK)
    connection = _connect(path, "ro&immutable=1" if still else "ro")
    try:
        _check(connection, path, writer=False)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    except sqlite3.OperationalError as error:
        raise BadConfig(f"{path}: cannot be opened ({error}); check the permissions of file and folder") from None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _check(connection: sqlite3.Connection, path: Path, writer: bool) -> bool:
    """Whether the ledger was begun: an empty file is one to be, for the writer. A power cut at its making leaves such.

    Raises BadConfig unless this is a ledger that this version can use.
    """
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
        if writer and application == 0 and tables == 0:
            return False
        if application != APPLICATION_ID:
            raise BadConfig(f"{path}: a database, but not a Planktow ledger; give another file")
        version = schema_version(connection)
    except sqlite3.OperationalError as error:
        raise BadConfig(f"{path}: cannot be read ({error}); check the permissions of file and folder") from None
    except sqlite3.DatabaseError as error:
        raise BadConfig(
            f"{path}: no ledger, or damaged ({error}); give another file, or run: planktow-edge repair --ledger {path}"
        ) from None
    if version > len(MIGRATIONS):
        raise BadConfig(
            f"{path}: made by a newer Planktow (schema {version}, this one knows {len(MIGRATIONS)}); upgrade Planktow"
        )
    if version < len(MIGRATIONS) and not writer:
        raise BadConfig(f"{path}: of an older Planktow; `planktow-edge run` brings it up to date when it starts")
    return True


def _read_ahead(path: Path) -> None:
    """Reads the file from end to end: the check reads it in no order, which takes ten times as long from a cold disk."""
    with path.open("rb", buffering=0) as file:
        block = bytearray(1 << 22)
        while file.readinto(block):
            pass


def repair_plan(ledger: Path) -> Path:
    """The file that stands beside the ledger while a repair is under way: the ledger must not be opened before its end."""
    return ledger.with_name(ledger.name + ".repair")


def lock_ledger(path: Path) -> BinaryIO:
    """An open file that holds the lock beside the ledger; the system frees it whatever becomes of us. Raises BadConfig."""
    file = path.with_name(path.name + ".lock")
    try:
        lock = os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b", buffering=0)
    except OSError as error:
        raise BadConfig(f"{file}: cannot be opened ({error.strerror}); allow this user to write there") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = lock.read(20).decode("ascii", "replace").strip()
        lock.close()
        raise BadConfig(f"{path}: in use by another planktow-edge (process {holder}); stop that one first") from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n".encode())
    return lock
