"""The history of the ledger's schema: one function a step, each committed together with its record. Steps are never edited."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

APPLICATION_ID = 0x504B544F  # "PKTO", in the header of the SQLite file: how `file` and we tell a ledger


def m001_first_tables(connection: sqlite3.Connection) -> None:
    """Images by content, where they were seen, what was decided, and the view that accounts for all of them."""
    for statement in (
        """
        CREATE TABLE bundle (
            id INTEGER PRIMARY KEY,
            digest TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            labels TEXT NOT NULL, -- a JSON array: verdict.label is an index into it
            opened_ns INTEGER NOT NULL -- UTC ns, as all _ns here
        ) STRICT
        """,
        """
        CREATE TABLE image (
            id INTEGER PRIMARY KEY,
            sha256 BLOB NOT NULL UNIQUE, -- 32 bytes: the identity
            bytes INTEGER NOT NULL,
            width INTEGER, -- pixels; null where the image was rejected
            height INTEGER,
            capture_ns INTEGER NOT NULL, -- the mtime of the first sighting
            reason TEXT, -- not null: rejected, and why
            detail TEXT
        ) STRICT
        """,
        """
        CREATE TABLE sighting (
            id INTEGER PRIMARY KEY,
            path TEXT NOT NULL, -- relative to the watched folder
            size INTEGER NOT NULL, -- bytes
            mtime_ns INTEGER NOT NULL,
            found_ns INTEGER NOT NULL,
            image_id INTEGER REFERENCES image (id), -- null, and reason null: waiting
            reason TEXT, -- not null: the file could not be read, and why
            detail TEXT,
            UNIQUE (path, size, mtime_ns)
        ) STRICT
        """,
        """
        CREATE TABLE verdict (
            image_id INTEGER PRIMARY KEY REFERENCES image (id),
            bundle_id INTEGER NOT NULL REFERENCES bundle (id),
            label INTEGER NOT NULL, -- -1: unclassified
            votes INTEGER NOT NULL,
            score REAL NOT NULL,
            classified_ns INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE INDEX image_capture ON image (capture_ns)",
        "CREATE INDEX image_rejected ON image (reason) WHERE reason IS NOT NULL",
        "CREATE INDEX sighting_image ON sighting (image_id)",
        "CREATE INDEX sighting_content ON sighting (mtime_ns, size)",  # where a renamed file went
        "CREATE INDEX sighting_unread ON sighting (reason, path) WHERE image_id IS NULL",
        "CREATE INDEX verdict_label ON verdict (bundle_id, label)",
        # `seen` counts rows of image and sighting, the others count decisions: that they add up is a check, not a sum.
        """
        CREATE VIEW accounting AS SELECT
            (SELECT COUNT(*) FROM image) + (SELECT COUNT(*) FROM sighting WHERE image_id IS NULL) AS seen,
            (SELECT COUNT(*) FROM verdict) AS counted,
            (SELECT COUNT(*) FROM image WHERE reason IS NOT NULL)
                + (SELECT COUNT(*) FROM sighting WHERE image_id IS NULL AND reason IS NOT NULL) AS rejected,
            (SELECT COUNT(*) FROM sighting WHERE image_id IS NULL AND reason IS NULL) AS waiting,
            (SELECT COUNT(*) FROM sighting WHERE image_id IS NOT NULL) - (SELECT COUNT(*) FROM image) AS duplicates
        """,
    ):
        connection.execute(statement)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (m001_first_tables,)


def migrate(
    connection: sqlite3.Connection, migrations: tuple[Callable[[sqlite3.Connection], None], ...] = MIGRATIONS
) -> None:
    """Brings the ledger to the last of `migrations`, step by step; a step that fails leaves the ledger as before it.

    The connection must be in autocommit mode.
    """
    with transaction(connection):
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migration"
            " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_ns INTEGER NOT NULL) STRICT"
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    done = schema_version(connection)
    for version, step in enumerate(migrations[done:], start=done + 1):
        with transaction(connection):
            step(connection)
            connection.execute("INSERT INTO migration VALUES (?, ?, ?)", (version, step.__name__, time.time_ns()))


def schema_version(connection: sqlite3.Connection) -> int:
    """The number of the last step that this ledger has seen; 0 where none."""
    return int(connection.execute("SELECT COALESCE(MAX(version), 0) FROM migration").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, on a connection in autocommit mode. Takes the write lock at once: no deadlock on the way."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
