"""The ledger: the SQLite file that knows every image, where it was seen and what was decided.

The images are the log and the ledger is the state: a commit that a power cut takes back is made again at the next start,
by scanning. So WAL mode with synchronous=NORMAL, which loses no consistency but may lose the last commits, is enough.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from bundle.errors import BadConfig
from bundle.folder import Bundle
from edge.files import Found
from edge.migrations import APPLICATION_ID, MIGRATIONS, migrate, schema_version, transaction
from edge.outcome import Again, Counted, Outcome, Rejected, Unread

BUSY_MILLISECONDS = 10_000  # how long a reader's lock may hold us up; readers of a WAL ledger take none for longer

VANISHED, UNREADABLE = "vanished", "unreadable"
RETRIED = (VANISHED, UNREADABLE)  # reasons of a sighting that stand only until the file can be read after all
TORN = ("truncated", "empty")  # reasons of an image that a writer, cut short or slow, may yet complete


def open_ledger(path: Path) -> Ledger:
    """The ledger for its one writer, made or brought to this version's schema where needed.

    Raises BadConfig when the folder is missing, the file is no ledger, it is of a newer version, or another daemon has it.
    """
    if not path.parent.is_dir():
        # Not made by us: a disk that failed to mount would have its ledger begun anew on the system's disk.
        raise BadConfig(f"{path.parent}: no such folder for the ledger; create it, or mount its disk")
    lock = _lock(path)
    try:
        connection = _connect(path, "rwc")
        try:
            _check(connection, path, writer=True)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
    except BaseException:
        lock.close()
        raise
    return Ledger(connection, lock)


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


class Ledger:
    """The writer's side; a context manager. One thread."""

    def __init__(self, connection: sqlite3.Connection, lock: BinaryIO) -> None:
        self._connection, self._lock = connection, lock

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file; another may then write it."""
        self._connection.close()
        self._lock.close()

    def bundle_id(self, bundle: Bundle, now_ns: int) -> int:
        """The ledger's number for this bundle, given to it now if it is new here."""
        with transaction(self._connection):
            self._connection.execute(
                "INSERT INTO bundle (digest, name, labels, opened_ns) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (bundle.digest, bundle.manifest.name, json.dumps(bundle.labels, ensure_ascii=False), now_ns),
            )
            return self._value("SELECT id FROM bundle WHERE digest = ?", bundle.digest)

    def note(self, found: Sequence[Found], now_ns: int) -> list[Found]:
        """Records new files as waiting and returns those that want reading; files done with are passed by.

        A file that grew while it waited is still one waiting file. One that had vanished, and is back as it was, waits.
        """
        wanted = []
        with transaction(self._connection):
            for file in found:
                key = (_stored(file.path), file.size, file.mtime_ns)
                row = self._connection.execute(
                    "SELECT id, image_id, reason FROM sighting WHERE path = ? AND size = ? AND mtime_ns = ?", key
                ).fetchone()
                if row is None:
                    waiting = self._connection.execute(
                        f"UPDATE sighting SET size = ?, mtime_ns = ? WHERE path = ? AND {_WAITING}",
                        (file.size, file.mtime_ns, key[0]),
                    )
                    if waiting.rowcount == 0:
                        self._connection.execute(
                            "INSERT INTO sighting (path, size, mtime_ns, found_ns) VALUES (?, ?, ?, ?)", (*key, now_ns)
                        )
                    wanted.append(file)
                else:
                    sighting_id, image_id, reason = row
                    if reason == VANISHED:
                        self._connection.execute(
                            "UPDATE sighting SET reason = NULL, detail = NULL WHERE id = ?", (sighting_id,)
                        )
                    if image_id is None and (reason is None or reason in RETRIED):
                        wanted.append(file)
        return wanted

    def rename(self, moves: Sequence[tuple[str, str]]) -> list[str]:
        """Files and folders (with a / at the end), (old path, new path), that were renamed. Returns the files' old paths.

        A file that waits goes on waiting under its new name. A camera that writes a file and then gives it its name may be
        seen half-way, with another size than it has in the end; nothing but the notification tells that the two are one.
        """
        renamed = []
        waits = f"SELECT EXISTS (SELECT 1 FROM sighting WHERE path = ? AND {_WAITING})"
        with transaction(self._connection):
            for old, new in ((_stored(old), _stored(new)) for old, new in moves):
                if old.endswith("/"):
                    paths = [path for path in self.waiting_paths() if path.startswith(old)]
                else:
                    paths = [old] if self._value(waits, old) else []
                for path in paths:
                    target = new + path[len(old) :]
                    if not self._value(waits, target):
                        self._connection.execute(
                            f"UPDATE OR IGNORE sighting SET path = ? WHERE path = ? AND {_WAITING}", (target, path)
                        )
                    self._connection.execute(f"DELETE FROM sighting WHERE path = ? AND {_WAITING}", (path,))
                    renamed.append(path)
        return renamed

    def knows(self, sha256: bytes) -> bool:
        """Whether an image with this content has been counted or rejected before."""
        return bool(self._value("SELECT EXISTS (SELECT 1 FROM image WHERE sha256 = ?)", sha256))

    def record(self, outcomes: Sequence[Outcome], bundle_id: int, now_ns: int) -> list[Outcome]:
        """Commits a batch in one transaction: images, verdicts and sightings. Returns the outcomes that were news.

        No news are a file that is still unreadable and content that was known.
        """
        news = []
        with transaction(self._connection):
            for outcome in outcomes:
                if isinstance(outcome, Unread):
                    fresh = self._sight(outcome.found, None, outcome.reason, outcome.detail, now_ns)
                else:
                    image_id, fresh = self._image(outcome, bundle_id, now_ns)
                    if image_id is None:
                        continue  # it goes on waiting, and the next scan brings it back
                    self._sight(outcome.found, image_id, None, None, now_ns)
                    self._supersede_torn(outcome.found, image_id)
                if fresh:
                    news.append(outcome)
        return news

    def waiting_paths(self) -> list[str]:
        """The files that were found and not yet decided on."""
        return [path for (path,) in self._connection.execute(f"SELECT path FROM sighting WHERE {_WAITING}")]

    def vanish(self, paths: Sequence[str]) -> int:
        """Waiting files that are there no more. Returns how many are lost: those that turned up nowhere else.

        Renaming keeps size and mtime: a sighting that has both under another name is where the file went.
        """
        lost = 0
        with transaction(self._connection):
            for path in paths:
                for sighting_id, size, mtime_ns in self._connection.execute(
                    f"SELECT id, size, mtime_ns FROM sighting WHERE path = ? AND {_WAITING}", (path,)
                ).fetchall():
                    moved = self._value(
                        "SELECT EXISTS (SELECT 1 FROM sighting WHERE mtime_ns = ? AND size = ? AND id <> ?)",
                        mtime_ns,
                        size,
                        sighting_id,
                    )
                    if moved:
                        self._connection.execute("DELETE FROM sighting WHERE id = ?", (sighting_id,))
                    else:
                        self._connection.execute(
                            "UPDATE sighting SET reason = ?, detail = ? WHERE id = ?",
                            (VANISHED, "the file was gone before it was read", sighting_id),
                        )
                        lost += 1
        return lost

    def _image(self, outcome: Counted | Rejected | Again, bundle_id: int, now_ns: int) -> tuple[int | None, bool]:
        """The image's number, and whether it is new; no number for an Again whose image was superseded meanwhile."""
        known = self._connection.execute("SELECT id FROM image WHERE sha256 = ?", (outcome.sha256,)).fetchone()
        if known is not None:
            return int(known[0]), False
        if isinstance(outcome, Again):
            return None, False
        width, height, reason, detail = (
            (outcome.width, outcome.height, None, None)
            if isinstance(outcome, Counted)
            else (None, None, outcome.reason, outcome.detail)
        )
        found = outcome.found
        cursor = self._connection.execute(
            "INSERT INTO image (sha256, bytes, width, height, capture_ns, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (outcome.sha256, found.size, width, height, found.mtime_ns, reason, detail),
        )
        image_id = int(cursor.lastrowid or 0)
        if isinstance(outcome, Counted):
            self._connection.execute(
                "INSERT INTO verdict (image_id, bundle_id, label, votes, score, classified_ns) VALUES (?, ?, ?, ?, ?, ?)",
                (image_id, bundle_id, outcome.label, outcome.votes, outcome.score, now_ns),
            )
        return image_id, True

    def _sight(self, found: Found, image_id: int | None, reason: str | None, detail: str | None, now_ns: int) -> bool:
        """Decides the sighting; False where that changes nothing."""
        path = _stored(found.path)
        changed = self._connection.execute(
            "INSERT INTO sighting (path, size, mtime_ns, found_ns, image_id, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (path, size, mtime_ns) DO UPDATE"
            " SET image_id = excluded.image_id, reason = excluded.reason, detail = excluded.detail"
            " WHERE sighting.image_id IS NOT excluded.image_id OR sighting.reason IS NOT excluded.reason",
            (path, found.size, found.mtime_ns, now_ns, image_id, reason, detail),
        ).rowcount
        self._connection.execute(f"DELETE FROM sighting WHERE path = ? AND {_WAITING}", (path,))
        if image_id is not None:
            # Seen as vanished under the name it had before: a rename that fell between two looks.
            self._connection.execute(
                "DELETE FROM sighting WHERE reason = ? AND mtime_ns = ? AND size = ?",
                (VANISHED, found.mtime_ns, found.size),
            )
        return changed > 0

    def _supersede_torn(self, found: Found, image_id: int) -> None:
        """The path's earlier torn content leaves the accounts: it was this image, read while its writer paused.

        Without this, one image of a slow writer would stand both as counted and as rejected. A camera that reuses the
        name of a torn file looks the same from here; that the torn one then goes uncounted is the lesser fault.
        The content itself goes only if no other file has it (all empty files are one image).
        """
        torn = self._connection.execute(
            "SELECT sighting.id, image_id FROM sighting JOIN image ON image.id = image_id"
            f" WHERE path = ? AND image_id <> ? AND image.reason IN ({', '.join('?' * len(TORN))})",
            (_stored(found.path), image_id, *TORN),
        ).fetchall()
        for sighting_id, torn_id in torn:
            self._connection.execute("DELETE FROM sighting WHERE id = ?", (sighting_id,))
            self._connection.execute(
                "DELETE FROM image WHERE id = ? AND NOT EXISTS (SELECT 1 FROM sighting WHERE image_id = ?)",
                (torn_id, torn_id),
            )

    def _value(self, query: str, *arguments: object) -> int:
        return int(self._connection.execute(query, arguments).fetchone()[0])


_WAITING = "image_id IS NULL AND reason IS NULL"


def _stored(path: str) -> str:
    """A path as SQLite text: bytes that are not UTF-8 (a name given on a Latin-1 system) as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    except sqlite3.OperationalError as error:
        raise BadConfig(f"{path}: cannot be opened ({error}); check the permissions of file and folder") from None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _check(connection: sqlite3.Connection, path: Path, writer: bool) -> None:
    """Raises BadConfig unless this is a ledger that this version can use."""
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
        if writer and application == 0 and tables == 0:
            return
        if application != APPLICATION_ID:
            raise BadConfig(f"{path}: a database, but not a Planktow ledger; give another file")
        version = schema_version(connection)
    except sqlite3.OperationalError as error:
        raise BadConfig(f"{path}: cannot be read ({error}); check the permissions of file and folder") from None
    except sqlite3.DatabaseError:
        raise BadConfig(f"{path}: not a Planktow ledger; give another file") from None
    if version > len(MIGRATIONS):
        raise BadConfig(
            f"{path}: made by a newer Planktow (schema {version}, this one knows {len(MIGRATIONS)}); upgrade Planktow"
        )
    if version < len(MIGRATIONS) and not writer:
        raise BadConfig(f"{path}: of an older Planktow; `planktow-edge run` brings it up to date when it starts")


def _lock(path: Path) -> BinaryIO:
    """An open file that holds the lock beside the ledger; the system frees it whatever becomes of us."""
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
