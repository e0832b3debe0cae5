"""The file of human labels: opened by those who write to it, one after another, or by a reader.

It is a file of its own, beside the ledger, so that nothing a browser does can lock, slow or damage the ledger; and it is
known by content (sha-256), so that it outlives the repair of the ledger, and its making anew.

Unlike the ledger it cannot be made again from the images: each commit is brought to the disk (synchronous=FULL). Writers
hold a lock on a file beside it while they have it open, and do so for one transaction only: two writers of one WAL at the
same instant are what it takes for SQLite's WAL-reset bug (all versions before 3.51.3).
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bundle.errors import BadConfig
from bundle.whole import sync_folder
from edge.ledger.migrations import transaction

APPLICATION_ID = 0x504B544C  # "PKTL"
BUSY_MILLISECONDS = 10_000
SUFFIX = ".labels.sqlite"


def labels_file(ledger: Path) -> Path:
    """Where the human labels of this ledger, or of this backup of a ledger, are."""
    return ledger.with_name(ledger.stem + SUFFIX)


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """The file for one transaction, which commits when the block ends: all of it or nothing.

    The file is made, or brought to this version's schema, where needed. Waits for other writers. Raises BadConfig, also for
    a full disk.
    """
    if not path.parent.is_dir():
        raise BadConfig(f"{path.parent}: no such folder for the labels; mount its disk, or check the path")
    try:
        with alone(path):
            if not path.exists():
                _begin(path)
            with closing(_connect(path, "rw")) as connection:
                _check(connection, path)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                _migrate(connection)
                with transaction(connection):
                    yield connection
                with suppress(sqlite3.Error):  # it is committed: a full disk leaves the log for the next writer
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except (sqlite3.DatabaseError, OSError) as error:
        raise BadConfig(f"{path}: cannot be written ({error}); {_remedy(error)}") from None


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The file for a reader, who cannot write. Raises BadConfig where it is missing, damaged or of another kind."""
    if not path.is_file():
        raise BadConfig(f"{path}: no such file of labels")
    # As for the ledger: where nobody has it open and we may not write beside it, it is read as the unchanging file it is.
    still = not path.with_name(path.name + "-wal").exists() and not os.access(path.parent, os.W_OK)
    try:
        with closing(_connect(path, "ro&immutable=1" if still else "ro")) as connection:
            older = _check(connection, path)
            if not older:
                yield connection
                return
        with writing(path):  # brings it up to date
            pass
        with closing(_connect(path, "ro")) as connection:
            yield connection
    except sqlite3.DatabaseError as error:
        raise BadConfig(f"{path}: cannot be read ({error}); {_remedy(error)}") from None


def m001_labels(connection: sqlite3.Connection) -> None:
    """A history to which rows are only ever added: the last row of an image is what holds."""
    connection.execute(
        """
        CREATE TABLE label (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
            label TEXT, -- null: taken back
            person TEXT NOT NULL,
            machine_label TEXT,
            bundle_digest TEXT,
            labelled_ns INTEGER NOT NULL -- UTC ns
        ) STRICT
        """
    )
    connection.execute("CREATE INDEX label_image ON label (sha256, id)")
    connection.execute("CREATE INDEX label_time ON label (labelled_ns)")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (m001_labels,)


def _migrate(connection: sqlite3.Connection) -> None:
    """All missing steps, each with its record, in one transaction."""
    if _version(connection) == len(MIGRATIONS):
        return
    with transaction(connection):
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migration"
            " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_ns INTEGER NOT NULL) STRICT"
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for version, step in enumerate(MIGRATIONS[_version(connection) :], start=_version(connection) + 1):
            step(connection)
            connection.execute("INSERT INTO migration VALUES (?, ?, ?)", (version, step.__name__, time.time_ns()))


def _version(connection: sqlite3.Connection) -> int:
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'migration'").fetchone():
        return 0
    return int(connection.execute("SELECT COALESCE(MAX(version), 0) FROM migration").fetchone()[0])


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    return connection


def _begin(path: Path) -> None:
    """A new file, whole or not at all: a reader never finds one without its table."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)  # of a writer that was killed
    try:
        with closing(_connect(partial, "rwc")) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            _migrate(connection)
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _check(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is of an older version. Raises BadConfig unless it holds labels that this version can use."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise BadConfig(f"{path}: not a file of human labels; move it away, or run `planktow-edge repair`")
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise BadConfig(
            f"{path}: made by a newer Planktow (labels {version}, this one knows {len(MIGRATIONS)}); upgrade Planktow"
        )
    return version < len(MIGRATIONS)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """The right to write; the system takes it from a process that dies. Waits: a writer is done in milliseconds."""
    lock = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "free some space on its disk" if full else "allow this user to write there"
        raise BadConfig(f"{lock}: cannot be opened ({error.strerror}); {what}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remedy(error: sqlite3.DatabaseError | OSError) -> str:
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or kind in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return "free some space on its disk; nothing of it was kept"
    if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return "it is damaged: run `planktow-edge repair`, which puts the newest backup in its place"
    return "check the permissions of file and folder"
