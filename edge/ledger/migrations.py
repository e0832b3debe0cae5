"""The history of the ledger's schema: one function a step, each committed together with its record. Steps are never edited."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WAITING = "image_id IS NULL AND reason IS NULL AND dropped IS NULL"  # a sighting that is not decided on

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


def m002_the_sea(connection: sqlite3.Connection) -> None:
    """What an image was measured to be, what was set aside or dropped and by which rule, and accounts kept by triggers.

    The accounts are rows, not COUNT(*): at ten million images that would take seconds each time they are published. The
    triggers keep them in the very transaction that changes what they count, whoever writes. The view `audit` counts anew.
    """
    for statement in (
        "DROP VIEW accounting",
        """
        CREATE TABLE image_new (
            id INTEGER PRIMARY KEY,
            sha256 BLOB NOT NULL, -- 32 bytes: the identity
            copy INTEGER NOT NULL DEFAULT 0, -- above 0 only where each sighting counts (count_sightings)
            bytes INTEGER NOT NULL,
            width INTEGER, -- pixels; null, as all measures, where the image was rejected
            height INTEGER,
            capture_ns INTEGER NOT NULL, -- UTC ns
            time_source TEXT NOT NULL, -- name, tag, csv or mtime: what told capture_ns
            sharpness REAL,
            dark_share REAL,
            bright_share REAL,
            ink_share REAL,
            mean_grey REAL,
            aside TEXT, -- not null: has a verdict, and a rule of this name keeps it out of the counts
            reason TEXT, -- not null: rejected, and why
            detail TEXT,
            UNIQUE (sha256, copy)
        ) STRICT
        """,
        "INSERT INTO image_new (id, sha256, bytes, width, height, capture_ns, time_source, reason, detail)"
        " SELECT id, sha256, bytes, width, height, capture_ns, 'mtime', reason, detail FROM image",
        "DROP TABLE image",
        "ALTER TABLE image_new RENAME TO image",
        "CREATE INDEX image_capture ON image (capture_ns)",
        "CREATE INDEX image_aside ON image (aside) WHERE aside IS NOT NULL",
        # Not null: left aside by the overload policy of this name, and when it was taken as far as the file itself tells.
        "ALTER TABLE sighting ADD COLUMN dropped TEXT",
        "ALTER TABLE sighting ADD COLUMN capture_ns INTEGER",
        "ALTER TABLE sighting ADD COLUMN gone_ns INTEGER",  # UTC ns when retention deleted the file
        "DROP INDEX sighting_unread",
        # Of files that were read only: or SQLite would look there for those that were not, and find them all.
        "DROP INDEX sighting_image",
        "CREATE INDEX sighting_image ON sighting (image_id) WHERE image_id IS NOT NULL",
        f"CREATE INDEX sighting_waiting ON sighting (id) WHERE {WAITING}",
        "CREATE INDEX sighting_dropped ON sighting (capture_ns) WHERE dropped IS NOT NULL",
        "CREATE INDEX sighting_rejected ON sighting (reason, path) WHERE reason IS NOT NULL",
        "DROP INDEX verdict_label",
        """
        CREATE TABLE errand ( -- rejected files yet to be moved or copied to the folder for them
            sighting_id INTEGER PRIMARY KEY REFERENCES sighting (id) ON DELETE CASCADE
        ) STRICT
        """,
        """
        CREATE TABLE shard ( -- archives whose members all stand as sightings
            path TEXT PRIMARY KEY,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            members INTEGER NOT NULL,
            listed_ns INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE TABLE note (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",  # times, UTC ns
        """
        CREATE TABLE account ( -- one row
            id INTEGER PRIMARY KEY CHECK (id = 1),
            seen INTEGER NOT NULL,
            rejected INTEGER NOT NULL,
            waiting INTEGER NOT NULL,
            dropped INTEGER NOT NULL,
            images INTEGER NOT NULL,
            sighted INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE TABLE refusal (reason TEXT PRIMARY KEY, images INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        """
        CREATE TABLE total (
            bundle_id INTEGER NOT NULL, label INTEGER NOT NULL, votes INTEGER NOT NULL, images INTEGER NOT NULL,
            PRIMARY KEY (bundle_id, label, votes)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE hourly (
            hour_ns INTEGER NOT NULL, -- the hour's beginning, UTC ns, by capture time
            bundle_id INTEGER NOT NULL, label INTEGER NOT NULL, votes INTEGER NOT NULL, images INTEGER NOT NULL,
            PRIMARY KEY (hour_ns, bundle_id, label, votes)
        ) STRICT, WITHOUT ROWID
        """,
        # From what is there already; the triggers go on from here.
        f"""
        INSERT INTO account SELECT 1,
            (SELECT COUNT(*) FROM image) + (SELECT COUNT(*) FROM sighting WHERE image_id IS NULL),
            (SELECT COUNT(*) FROM image WHERE reason IS NOT NULL)
                + (SELECT COUNT(*) FROM sighting WHERE reason IS NOT NULL),
            (SELECT COUNT(*) FROM sighting WHERE {WAITING}), 0,
            (SELECT COUNT(*) FROM image), (SELECT COUNT(*) FROM sighting WHERE image_id IS NOT NULL)
        """,
        """
        INSERT INTO refusal SELECT reason, COUNT(*) FROM (
            SELECT reason FROM image WHERE reason IS NOT NULL
            UNION ALL SELECT reason FROM sighting WHERE reason IS NOT NULL
        ) GROUP BY reason
        """,
        "INSERT INTO total SELECT bundle_id, label, votes, COUNT(*) FROM verdict GROUP BY bundle_id, label, votes",
        f"""
        INSERT INTO hourly SELECT {_hour("capture_ns")} AS hour_ns, bundle_id, label, votes, COUNT(*)
        FROM verdict JOIN image ON image.id = image_id GROUP BY hour_ns, bundle_id, label, votes
        """,
        *_triggers(),
        # `seen` counts rows as they come in, the others decisions: that they add up is a check, not a sum.
        """
        CREATE VIEW accounting AS SELECT
            seen, (SELECT COALESCE(SUM(images), 0) FROM total) AS counted, rejected, waiting, dropped,
            sighted - images AS duplicates
        FROM account
        """,
        f"""
        CREATE VIEW audit AS SELECT
            (SELECT COUNT(*) FROM image) + (SELECT COUNT(*) FROM sighting WHERE image_id IS NULL) AS seen,
            (SELECT COUNT(*) FROM verdict JOIN image ON image.id = image_id WHERE aside IS NULL) AS counted,
            (SELECT COUNT(*) FROM image WHERE reason IS NOT NULL OR aside IS NOT NULL)
                + (SELECT COUNT(*) FROM sighting WHERE reason IS NOT NULL) AS rejected,
            (SELECT COUNT(*) FROM sighting WHERE {WAITING}) AS waiting,
            (SELECT COUNT(*) FROM sighting WHERE dropped IS NOT NULL) AS dropped,
            (SELECT COUNT(*) FROM sighting WHERE image_id IS NOT NULL) - (SELECT COUNT(*) FROM image) AS duplicates
        """,
    ):
        connection.execute(statement)


def _triggers() -> list[str]:
    """What keeps account, refusal, total and hourly true."""

    states = {
        "seen": "({0}.image_id IS NULL)",
        "sighted": "({0}.image_id IS NOT NULL)",
        "rejected": "({0}.reason IS NOT NULL)",
        "dropped": "({0}.dropped IS NOT NULL)",
        "waiting": "({0}.image_id IS NULL AND {0}.reason IS NULL AND {0}.dropped IS NULL)",
    }

    def account(old: str | None, new: str | None) -> str:
        """The account when the sighting `old` becomes `new`; None: it was not, or is no more."""
        changes = (("-", old), ("+", new))
        return "UPDATE account SET " + ", ".join(
            f"{column} = {column}" + "".join(f" {sign} {state.format(row)}" for sign, row in changes if row)
            for column, state in states.items()
        )

    def refusal(reason: str, images: int) -> str:
        return (
            f"INSERT INTO refusal SELECT {reason}, {images} WHERE {reason} IS NOT NULL"
            " ON CONFLICT DO UPDATE SET images = images + excluded.images;"
        )

    def verdict(row: str, image: str, images: int) -> str:
        """The verdict `row` of the image `image` comes into the counts or leaves them; one set aside has no part in them."""
        add = f"ON CONFLICT DO UPDATE SET images = images + {images};"
        return f"""
            INSERT INTO total SELECT {row}.bundle_id, {row}.label, {row}.votes, {images} FROM image
                WHERE image.id = {image} AND image.aside IS NULL {add}
            INSERT INTO hourly SELECT {_hour("image.capture_ns")}, {row}.bundle_id, {row}.label, {row}.votes, {images}
                FROM image WHERE image.id = {image} AND image.aside IS NULL {add}
        """

    def of_image(row: str, images: int) -> str:
        """All verdicts of the image `row` (old or new: with its aside and time) come into the counts or leave them."""
        add = f"ON CONFLICT DO UPDATE SET images = images + {images};"
        return f"""
            INSERT INTO total SELECT bundle_id, label, votes, {images} FROM verdict
                WHERE image_id = {row}.id AND {row}.aside IS NULL {add}
            INSERT INTO hourly SELECT {_hour(f"{row}.capture_ns")}, bundle_id, label, votes, {images} FROM verdict
                WHERE image_id = {row}.id AND {row}.aside IS NULL {add}
        """

    return [
        f"CREATE TRIGGER sighting_in AFTER INSERT ON sighting BEGIN"
        f" {account(None, 'new')}; {refusal('new.reason', 1)} END",
        f"CREATE TRIGGER sighting_out AFTER DELETE ON sighting BEGIN"
        f" {account('old', None)}; {refusal('old.reason', -1)} END",
        f"CREATE TRIGGER sighting_decided AFTER UPDATE OF image_id, reason, dropped ON sighting BEGIN"
        f" {account('old', 'new')}; {refusal('old.reason', -1)} {refusal('new.reason', 1)} END",
        f"CREATE TRIGGER image_in AFTER INSERT ON image BEGIN"
        f" UPDATE account SET seen = seen + 1, images = images + 1,"
        f" rejected = rejected + (new.reason IS NOT NULL OR new.aside IS NOT NULL);"
        f" {refusal('COALESCE(new.reason, new.aside)', 1)} END",
        f"CREATE TRIGGER image_out AFTER DELETE ON image BEGIN"
        f" UPDATE account SET seen = seen - 1, images = images - 1,"
        f" rejected = rejected - (old.reason IS NOT NULL OR old.aside IS NOT NULL);"
        f" {refusal('COALESCE(old.reason, old.aside)', -1)} END",
        f"CREATE TRIGGER image_changed AFTER UPDATE OF aside, capture_ns ON image BEGIN"
        f" UPDATE account SET rejected = rejected + (new.aside IS NOT NULL) - (old.aside IS NOT NULL);"
        f" {refusal('old.aside', -1)} {refusal('new.aside', 1)} {of_image('old', -1)} {of_image('new', 1)} END",
        f"CREATE TRIGGER verdict_in AFTER INSERT ON verdict BEGIN {verdict('new', 'new.image_id', 1)} END",
        f"CREATE TRIGGER verdict_out BEFORE DELETE ON verdict BEGIN {verdict('old', 'old.image_id', -1)} END",
        f"CREATE TRIGGER verdict_changed AFTER UPDATE OF bundle_id, label, votes ON verdict BEGIN"
        f" {verdict('old', 'old.image_id', -1)} {verdict('new', 'new.image_id', 1)} END",
    ]


def _hour(ns: str) -> str:
    """SQL for the beginning of the hour of `ns`, before 1970 too."""
    return f"({ns} - (({ns} % 3600000000000) + 3600000000000) % 3600000000000)"


def m003_members_asked(connection: sqlite3.Connection) -> None:
    """How many members were asked for a verdict: a hard vote may be decided before the last."""
    connection.execute("ALTER TABLE verdict ADD COLUMN asked INTEGER")  # null: all members of the bundle


def m004_scores(connection: sqlite3.Connection) -> None:
    """What the members that were asked thought of every class, packed by edge.keptscores: for counts from scores."""
    connection.execute("ALTER TABLE verdict ADD COLUMN scores BLOB")  # null: of a version that kept none


def m005_shadows(connection: sqlite3.Connection) -> None:
    """What a second bundle thought of the same images. Tables of their own, so that nothing that counts can meet them."""
    connection.execute(
        "CREATE TABLE shadow_bundle (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
        " labels TEXT NOT NULL, opened_ns INTEGER NOT NULL) STRICT"
    )
    connection.execute(
        "CREATE TABLE shadow_verdict (image_id INTEGER PRIMARY KEY REFERENCES verdict (image_id),"
        " bundle_id INTEGER NOT NULL REFERENCES shadow_bundle (id), label INTEGER NOT NULL, votes INTEGER NOT NULL,"
        " score REAL NOT NULL, asked INTEGER) STRICT"
    )


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    m001_first_tables,
    m002_the_sea,
    m003_members_asked,
    m004_scores,
    m005_shadows,
)


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
    if done == len(migrations):
        return
    (enforced,) = connection.execute("PRAGMA foreign_keys").fetchone()
    connection.execute("PRAGMA foreign_keys = OFF")  # a table is changed by making it anew under its old name
    try:
        for version, step in enumerate(migrations[done:], start=done + 1):
            with transaction(connection):
                step(connection)
                connection.execute("INSERT INTO migration VALUES (?, ?, ?)", (version, step.__name__, time.time_ns()))
    finally:
        connection.execute(f"PRAGMA foreign_keys = {enforced}")


def schema_version(connection: sqlite3.Connection) -> int:
    """The number of the last step that this ledger has seen; 0 where none."""
    return int(connection.execute("SELECT COALESCE(MAX(version), 0) FROM migration").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, on a connection in autocommit mode. Takes the write lock at once: no deadlock on the way."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have rolled it back already
            connection.execute("ROLLBACK")
        raise
