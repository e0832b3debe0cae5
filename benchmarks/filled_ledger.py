"""Large ledgers for benchmarks, filled in bulk: rows first, then the indexes, accounts and triggers of the real schema."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np

from bundle.folder import Bundle
from bundle.vote import NO_LABEL
from edge.bins import SECOND_NS
from edge.intake.files import Found
from edge.ledger.ledger import open_ledger
from edge.ledger.migrations import transaction

DAYS = 20  # a cruise
FIRST_DAY_NS = 1_793_836_800 * SECOND_NS  # 2026-11-05T00:00:00Z, in UTC ns
HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS

_CHUNK = 50_000  # rows made at a time, some 100 MB of Python objects
_CACHE_KIB = 2 * 1024 * 1024  # the index of random hashes wants to stay in memory while it grows
REJECTED_OF, ASIDE_OF = 100, 100  # one image of so many
_UNREADABLE = (*(None,) * 6, "undecodable", "the file is cut off or no image")  # no measures, not aside; why


def camera_files(count: int) -> Iterator[Found]:
    """Files as a camera names them, a folder for each hour, spread evenly over DAYS."""
    step_ns = DAYS * DAY_NS // max(count, 1)
    hour, prefix = -1, ""
    for number in range(count):
        since_ns = number * step_ns
        if since_ns // HOUR_NS != hour:
            hour = since_ns // HOUR_NS
            begun = datetime.fromtimestamp((FIRST_DAY_NS + hour * HOUR_NS) // SECOND_NS, UTC)
            prefix = f"{begun:%Y-%m-%d/%H}/roi_{begun:%Y%m%d}T{begun:%H}"
        milliseconds = since_ns % HOUR_NS // 1_000_000
        yield Found(f"{prefix}-{milliseconds:07d}_{number:08d}.png", 4000 + number % 1000, FIRST_DAY_NS + since_ns)


def fill_ledger(path: Path, bundle: Bundle, files: Iterable[Found], seed: int = 0) -> None:
    """A new ledger that knows these files, in their order: each an image of its own, captured at its mtime.

    One in REJECTED_OF is rejected, one in ASIDE_OF set aside; the labels are as unequal as species are. Raises
    RuntimeError where the schema or the accounts are not what the daemon would have made of them.
    """
    with open_ledger(path) as ledger:
        bundle_id = ledger.bundle_id(bundle, FIRST_DAY_NS)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in (
            "journal_mode = DELETE",
            "journal_mode = OFF",
            "synchronous = OFF",
            "locking_mode = EXCLUSIVE",
            f"cache_size = -{_CACHE_KIB}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        schema = schema_of(connection)
        later = [(kind, name, sql) for kind, name, _, sql in schema if kind in ("index", "trigger") and sql]
        for kind, name, _ in later:
            connection.execute(f'DROP {kind} "{name}"')
        _insert(connection, files, bundle_id, len(bundle.labels), np.random.default_rng(seed))
        for kind, _, sql in sorted(later):  # indexes, then the accounts, then the triggers that would keep them
            if kind == "index":
                connection.execute(sql)
        with transaction(connection):
            for statement in _ACCOUNTS:
                connection.execute(statement)
        for kind, _, sql in later:
            if kind == "trigger":
                connection.execute(sql)
        if schema_of(connection) != schema:
            raise RuntimeError(f"{path}: the schema is not that of a fresh ledger")
        booked, counted = (connection.execute(f"SELECT * FROM {view}").fetchone() for view in ("accounting", "audit"))
        if booked != counted:
            raise RuntimeError(f"{path}: the accounts are {booked}, counted anew {counted}")
        connection.execute("PRAGMA locking_mode = NORMAL")
        connection.execute("PRAGMA journal_mode = WAL")
    with path.open("rb") as file:
        os.fsync(file.fileno())  # or the system writes gigabytes while the first commits are timed


def schema_of(connection: sqlite3.Connection) -> set[tuple[str, str, str, str]]:
    """All that makes the schema, in no order: type, name, table, SQL."""
    return {
        (kind, name, table, sql or "")
        for kind, name, table, sql in connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")
    }


# As the triggers of edge/ledger/migrations.py would have kept them, had the rows come one by one.
_ACCOUNTS = (
    """
    UPDATE account SET
        seen = (SELECT COUNT(*) FROM image) + (SELECT COUNT(*) FROM sighting WHERE image_id IS NULL),
        rejected = (SELECT COUNT(*) FROM image WHERE reason IS NOT NULL OR aside IS NOT NULL),
        images = (SELECT COUNT(*) FROM image),
        sighted = (SELECT COUNT(*) FROM sighting WHERE image_id IS NOT NULL)
    """,
    """
    INSERT INTO refusal SELECT COALESCE(reason, aside) AS why, COUNT(*) FROM image WHERE why IS NOT NULL GROUP BY why
    """,
    f"""
    INSERT INTO hourly
    SELECT capture_ns - capture_ns % {HOUR_NS} AS hour_ns, bundle_id, label, votes, COUNT(*)
    FROM verdict JOIN image ON image.id = image_id WHERE aside IS NULL GROUP BY hour_ns, bundle_id, label, votes
    """,
    "INSERT INTO total SELECT bundle_id, label, votes, SUM(images) FROM hourly GROUP BY bundle_id, label, votes",
)


def _insert(
    connection: sqlite3.Connection, files: Iterable[Found], bundle_id: int, classes: int, random: np.random.Generator
) -> None:
    """Rows of image, sighting and verdict, a transaction for each chunk."""
    shares = 1 / np.arange(1, classes + 1)  # Zipf: a few species are most of the plankton
    shares = np.append(shares / shares.sum() * 0.98, 0.02)
    labels = np.append(np.arange(classes), NO_LABEL)
    coming = iter(files)
    first = 1
    while chunk := list(islice(coming, _CHUNK)):
        count = len(chunk)
        ids = range(first, first + count)
        hashes = random.bytes(32 * count)
        sides = random.integers(20, 400, (2, count)).tolist()
        measures = random.random((5, count)).tolist()
        label = random.choice(labels, count, p=shares).tolist()
        votes = random.choice((2, 3), count, p=(0.2, 0.8)).tolist()
        score = random.random(count).tolist()
        rejected = [number % REJECTED_OF == 0 for number in ids]
        images = (
            (number, hashes[at : at + 32], file.size, None, None, file.mtime_ns, *_UNREADABLE)
            if bad
            else (
                *(number, hashes[at : at + 32], file.size, width, height, file.mtime_ns, *measured),
                *("blurred" if number % ASIDE_OF == 1 else None, None, None),
            )
            for number, at, file, bad, width, height, *measured in zip(
                ids, range(0, 32 * count, 32), chunk, rejected, *sides, *measures, strict=True
            )
        )
        with transaction(connection):
            connection.executemany(
                "INSERT INTO image (id, sha256, bytes, width, height, capture_ns, time_source, sharpness, dark_share,"
                " bright_share, ink_share, mean_grey, aside, reason, detail)"
                " VALUES (?, ?, ?, ?, ?, ?, 'mtime', ?, ?, ?, ?, ?, ?, ?, ?)",
                images,
            )
            connection.executemany(
                "INSERT INTO sighting (path, size, mtime_ns, found_ns, image_id) VALUES (?, ?, ?, ?, ?)",
                (
                    (file.path, file.size, file.mtime_ns, file.mtime_ns + SECOND_NS, number)
                    for number, file in zip(ids, chunk, strict=True)
                ),
            )
            connection.executemany(
                "INSERT INTO verdict (image_id, bundle_id, label, votes, score, classified_ns) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (number, bundle_id, index, agreed, mean, file.mtime_ns + 2 * SECOND_NS)
                    for number, file, bad, index, agreed, mean in zip(
                        ids, chunk, rejected, label, votes, score, strict=True
                    )
                    if not bad
                ),
            )
        first += count
