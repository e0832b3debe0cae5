"""The ledger's writer: what is known of every file and image, kept in one SQLite file; one transaction a batch."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from bundle.folder import Bundle
from edge.daemon.outcome import Again, Counted, Outcome, Rejected, Shadowed, Unread
from edge.intake.files import Found
from edge.ledger.ledgerfile import lock_ledger as _lock  # noqa: F401
from edge.ledger.ledgerfile import open_ledger_readonly as open_ledger_readonly
from edge.ledger.ledgerfile import open_writer
from edge.ledger.migrations import WAITING, transaction

VANISHED, UNREADABLE = "vanished", "unreadable"
RETRIED = (VANISHED, UNREADABLE)  # reasons of a sighting that stand only until the file can be read after all
TORN = ("truncated", "empty")  # reasons of an image that a writer, cut short or slow, may yet complete


def open_ledger(path: Path, count_sightings: bool = False, errands: bool = False) -> Ledger:
    """The ledger for its one writer, made or brought to this version's schema where needed.

    count_sightings: content that is seen again counts again; errands: rejected files are noted for `rejects` to fetch.
    Raises BadConfig when the folder is missing, the file is no ledger, it is of a newer version, or another daemon has it.
    """
    return Ledger(*open_writer(path), count_sightings, errands)


class Ledger:
    """The writer's side; a context manager. One thread. `connection` is for our own modules that write to it too."""

    def __init__(self, connection: sqlite3.Connection, lock: BinaryIO, count_sightings: bool, errands: bool) -> None:
        self.connection, self._lock = connection, lock
        self._count_sightings, self._errands = count_sightings, errands

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the file; another may then write it. Twice is once."""
        # A full disk: the log stays, and the next start reads it. A programming error: it is closed already.
        with contextlib.suppress(sqlite3.OperationalError, sqlite3.ProgrammingError):
            self.connection.execute("PRAGMA busy_timeout = 1000")  # a reader's long look must not hold up the stop
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # or a reader would leave a log that looks torn
        self.connection.close()
        self._lock.close()

    def bundle_id(self, bundle: Bundle, now_ns: int) -> int:
        """The ledger's number for this bundle, given to it now if it is new here."""
        with transaction(self.connection):
            self.connection.execute(
                "INSERT INTO bundle (digest, name, labels, opened_ns) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (bundle.digest, bundle.manifest.name, json.dumps(bundle.labels, ensure_ascii=False), now_ns),
            )
            return self._value("SELECT id FROM bundle WHERE digest = ?", bundle.digest)

    def shadow_bundle(self, bundle: Bundle, now_ns: int) -> None:
        """This bundle may come as a shadow from now on: one whose verdicts are kept, and count nothing."""
        with transaction(self.connection):
            self.connection.execute(
                "INSERT INTO shadow_bundle (digest, name, labels, opened_ns) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (bundle.digest, bundle.manifest.name, json.dumps(bundle.labels, ensure_ascii=False), now_ns),
            )

    # --- what was found

    def note(self, found: Sequence[Found], now_ns: int) -> list[Found]:
        """Records new files as waiting and returns those that want reading; files done with are passed by.

        A file that grew while it waited is still one waiting file. One that had vanished, and is back as it was, waits.
        """
        wanted = []
        with transaction(self.connection):
            for file in found:
                key = (stored(file.path), file.size, file.mtime_ns)
                row = self.connection.execute(
                    "SELECT id, image_id, reason, dropped FROM sighting WHERE path = ? AND size = ? AND mtime_ns = ?",
                    key,
                ).fetchone()
                if row is None:
                    waiting = self.connection.execute(
                        f"SELECT id FROM sighting WHERE path = ? AND {WAITING} ORDER BY id", (key[0],)
                    ).fetchall()
                    if waiting:
                        self.connection.execute(
                            "UPDATE sighting SET size = ?, mtime_ns = ? WHERE id = ?",
                            (file.size, file.mtime_ns, *waiting[0]),
                        )
                        # More than one wait where a path was dropped, written anew, and then taken up again.
                        self.connection.executemany("DELETE FROM sighting WHERE id = ?", waiting[1:])
                    else:
                        self.connection.execute(
                            "INSERT INTO sighting (path, size, mtime_ns, found_ns) VALUES (?, ?, ?, ?)", (*key, now_ns)
                        )
                    wanted.append(file)
                else:
                    sighting_id, image_id, reason, dropped = row
                    if reason == VANISHED:
                        self.connection.execute(
                            "UPDATE sighting SET reason = NULL, detail = NULL WHERE id = ?", (sighting_id,)
                        )
                    if image_id is None and dropped is None and (reason is None or reason in RETRIED):
                        wanted.append(file)
        return wanted

    def rename(self, moves: Sequence[tuple[str, str]]) -> list[str]:
        """Files and folders (with a / at the end), (old path, new path), that were renamed. Returns the files' old paths.

        A file that waits goes on waiting under its new name. A camera that writes a file and then gives it its name may be
        seen half-way, with another size than it has in the end; nothing but the notification tells that the two are one.
        """
        renamed = []
        waits = f"SELECT EXISTS (SELECT 1 FROM sighting WHERE path = ? AND {WAITING})"
        with transaction(self.connection):
            for old, new in ((stored(old), stored(new)) for old, new in moves):
                if old.endswith("/"):
                    below = f"SELECT path FROM sighting WHERE path > ? AND path < ? AND {WAITING}"
                    after = old[:-1] + "0"  # the letter after the slash
                    paths = [path for (path,) in self.connection.execute(below, (old, after)).fetchall()]
                else:
                    paths = [old] if self._value(waits, old) else []
                for path in paths:
                    target = new + path[len(old) :]
                    if not self._value(waits, target):
                        self.connection.execute(
                            f"UPDATE OR IGNORE sighting SET path = ? WHERE path = ? AND {WAITING}", (target, path)
                        )
                    self.connection.execute(f"DELETE FROM sighting WHERE path = ? AND {WAITING}", (path,))
                    renamed.append(path)
        return renamed

    def waiting(self, limit: int, beyond: int = 0, newest_first: bool = False) -> list[tuple[int, Found]]:
        """Files not yet decided on, (number, file as it was found), in the order of finding, beyond a number seen before.

        With `newest_first` in the opposite order; beyond 0 is the end from which the order begins.
        """
        order, side, end = ("DESC", "<", 2**63 - 1) if newest_first else ("ASC", ">", 0)
        rows = self.connection.execute(
            f"SELECT id, path, size, mtime_ns FROM sighting WHERE {WAITING} AND id {side} ? ORDER BY id {order} LIMIT ?",
            (beyond or end, limit),
        )
        return [(number, Found(path, size, mtime_ns)) for number, path, size, mtime_ns in rows]

    def waiting_count(self) -> int:
        """How many files are not yet decided on; costs nothing."""
        return self._value("SELECT waiting FROM account")

    def vanish(self, paths: Sequence[str]) -> int:
        """Waiting files that are there no more. Returns how many are lost: those that turned up nowhere else.

        Renaming keeps size and mtime: a sighting that has both under another name, and was noted later, is where the
        file went. One sighting for one file: on a disk that keeps whole seconds, many of one size share their mtime.
        """
        lost = 0
        missing, taken = set(map(stored, paths)), set[int]()
        with transaction(self.connection):
            for path in missing:
                for sighting_id, size, mtime_ns, found_ns in self.connection.execute(
                    f"SELECT id, size, mtime_ns, found_ns FROM sighting WHERE path = ? AND {WAITING}", (path,)
                ).fetchall():
                    others = self.connection.execute(
                        "SELECT id, path FROM sighting WHERE mtime_ns = ? AND size = ? AND found_ns > ? AND id <> ?"
                        " AND reason IS NOT ? ORDER BY id",
                        (mtime_ns, size, found_ns, sighting_id, VANISHED),
                    )
                    moved = next((other for other, name in others if other not in taken and name not in missing), None)
                    if moved is not None:
                        taken.add(moved)
                        self.connection.execute("DELETE FROM sighting WHERE id = ?", (sighting_id,))
                    else:
                        self.connection.execute(
                            "UPDATE sighting SET reason = ?, detail = ? WHERE id = ?",
                            (VANISHED, "the file was gone before it was read", sighting_id),
                        )
                        lost += 1
        return lost

    # --- archives

    def knows_shard(self, shard: Found) -> bool:
        """Whether all members of this archive, as it is now, have been noted, or it was rejected."""
        key = (stored(shard.path), shard.size, shard.mtime_ns)
        return bool(
            self._value("SELECT EXISTS (SELECT 1 FROM shard WHERE path = ? AND size = ? AND mtime_ns = ?)", *key)
        ) or bool(
            self._value(
                "SELECT EXISTS (SELECT 1 FROM sighting WHERE path = ? AND size = ? AND mtime_ns = ? AND reason IS NOT NULL)",
                *key,
            )
        )

    def shard_listed(self, shard: Found, members: int, now_ns: int) -> None:
        """All members of this archive stand as sightings; a fault it had while it was being written is forgotten."""
        path = stored(shard.path)
        with transaction(self.connection):
            self.connection.execute("DELETE FROM sighting WHERE path = ? AND image_id IS NULL", (path,))
            self.connection.execute(
                "INSERT OR REPLACE INTO shard VALUES (?, ?, ?, ?, ?)",
                (path, shard.size, shard.mtime_ns, members, now_ns),
            )

    # --- what was decided

    def knows(self, sha256: bytes) -> bool:
        """Whether an image with this content has been counted or rejected before."""
        return bool(self._value("SELECT EXISTS (SELECT 1 FROM image WHERE sha256 = ?)", sha256))

    def record(self, outcomes: Sequence[Outcome], bundle_id: int, now_ns: int) -> list[Outcome]:
        """Commits a batch in one transaction: images, verdicts and sightings. Returns the outcomes that were news.

        No news are a file that is still unreadable and content that was known.
        """
        news = []
        decided = list[str]()  # paths
        with transaction(self.connection):
            # Of all statements these three are asked for a batch, and not for an image, where they would seldom find anything.
            vanished = self._refused((VANISHED,))
            torn = self._refused(TORN) or any(isinstance(one, Rejected) and one.reason in TORN for one in outcomes)
            for outcome in outcomes:
                if isinstance(outcome, Unread):
                    fresh = self._sight(outcome.found, None, outcome.reason, outcome.detail, now_ns)
                else:
                    image_id, fresh = self._image(outcome, bundle_id, now_ns)
                    if image_id is None:
                        continue  # it goes on waiting, and the next scan brings it back
                    self._sight(outcome.found, image_id, None, None, now_ns)
                    if vanished:
                        self._supersede_vanished(outcome.found)
                    if torn:
                        self._supersede_torn(outcome.found, image_id)
                decided.append(stored(outcome.found.path))
                if self._errands and not isinstance(outcome, Counted):
                    self._send(outcome.found)
                if fresh:
                    news.append(outcome)
            self.connection.execute(
                f"DELETE FROM sighting WHERE path IN (SELECT value FROM json_each(?)) AND {WAITING}",
                (json.dumps(decided),),
            )
        return news

    def _refused(self, reasons: Sequence[str]) -> bool:
        """Whether there is any image or sighting with one of these reasons; costs nothing."""
        marks = ", ".join("?" * len(reasons))
        return bool(
            self._value(f"SELECT EXISTS (SELECT 1 FROM refusal WHERE reason IN ({marks}) AND images > 0)", *reasons)
        )

    def _image(self, outcome: Counted | Rejected | Again, bundle_id: int, now_ns: int) -> tuple[int | None, bool]:
        """The image's number, and whether it is new; no number for an Again whose image was superseded meanwhile."""
        known = self.connection.execute(
            "SELECT id, copy FROM image WHERE sha256 = ? ORDER BY copy DESC LIMIT 1", (outcome.sha256,)
        ).fetchone()
        if known is not None:
            if self._count_sightings:
                return self._another(outcome, int(known[0]), int(known[1]) + 1, now_ns)
            # Of several copies, from a time when each sighting counted, the sighting keeps its own: none is left without one.
            return (self._of_sighting(outcome.found, outcome.sha256) if known[1] else None) or int(known[0]), False
        if isinstance(outcome, Again):
            return None, False
        found, capture = outcome.found, outcome.capture
        if isinstance(outcome, Rejected):
            cursor = self.connection.execute(
                "INSERT INTO image (sha256, bytes, capture_ns, time_source, reason, detail) VALUES (?, ?, ?, ?, ?, ?)",
                (outcome.sha256, found.size, capture.ns, capture.source, outcome.reason, outcome.detail),
            )
            return int(cursor.lastrowid or 0), True
        measures = outcome.measures
        cursor = self.connection.execute(
            "INSERT INTO image (sha256, bytes, width, height, capture_ns, time_source, sharpness, dark_share,"
            " bright_share, ink_share, mean_grey, aside) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                outcome.sha256,
                found.size,
                measures.width,
                measures.height,
                capture.ns,
                capture.source,
                measures.sharpness,
                measures.dark_share,
                measures.bright_share,
                measures.ink_share,
                measures.mean_grey,
                outcome.aside,
            ),
        )
        image_id = int(cursor.lastrowid or 0)
        self.connection.execute(
            "INSERT INTO verdict (image_id, bundle_id, label, votes, score, classified_ns, asked, scores)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                image_id,
                bundle_id,
                outcome.label,
                outcome.votes,
                outcome.score,
                now_ns,
                outcome.asked,
                outcome.scores,
            ),
        )
        if outcome.shadow is not None:
            self._shadow(image_id, outcome.shadow)
        return image_id, True

    def _of_sighting(self, found: Found, sha256: bytes) -> int | None:
        """The number of the image that this very sighting was decided to be, if of this content."""
        row = self.connection.execute(
            "SELECT image.id FROM sighting JOIN image ON image.id = image_id"
            " WHERE path = ? AND size = ? AND mtime_ns = ? AND sha256 = ?",
            (stored(found.path), found.size, found.mtime_ns, sha256),
        ).fetchone()
        return None if row is None else int(row[0])

    def _another(
        self, outcome: Counted | Rejected | Again, image_id: int, copy: int, now_ns: int
    ) -> tuple[int | None, bool]:
        """The same content once more, where each sighting counts: with the verdict it had, and its own capture time."""
        found = outcome.found
        here = self.connection.execute(
            "SELECT image_id FROM sighting WHERE path = ? AND size = ? AND mtime_ns = ? AND image_id IS NOT NULL",
            (stored(found.path), found.size, found.mtime_ns),
        ).fetchone()
        if here is not None:  # this very sighting was counted before
            return int(here[0]), False
        cursor = self.connection.execute(
            "INSERT INTO image (sha256, copy, bytes, width, height, capture_ns, time_source, sharpness, dark_share,"
            " bright_share, ink_share, mean_grey, aside, reason, detail) SELECT sha256, ?, bytes, width, height, ?, ?,"
            " sharpness, dark_share, bright_share, ink_share, mean_grey, aside, reason, detail FROM image WHERE id = ?",
            (copy, outcome.capture.ns, outcome.capture.source, image_id),
        )
        another = int(cursor.lastrowid or 0)
        self.connection.execute(
            "INSERT INTO verdict SELECT ?, bundle_id, label, votes, score, ?, asked, scores FROM verdict WHERE image_id = ?",
            (another, now_ns, image_id),
        )
        self.connection.execute(
            "INSERT INTO shadow_verdict SELECT ?, bundle_id, label, votes, score, asked FROM shadow_verdict"
            " WHERE image_id = ?",
            (another, image_id),
        )
        return another, True

    def _shadow(self, image_id: int, shadow: Shadowed) -> None:
        self.connection.execute(
            "INSERT INTO shadow_verdict SELECT ?, id, ?, ?, ?, ? FROM shadow_bundle WHERE digest = ?",
            (image_id, shadow.label, shadow.votes, shadow.score, shadow.asked, shadow.digest),
        )

    def _sight(self, found: Found, image_id: int | None, reason: str | None, detail: str | None, now_ns: int) -> bool:
        """Decides the sighting; False where that changes nothing. One that was read stays so, should it be unreadable now."""
        path = stored(found.path)
        changed = self.connection.execute(
            "INSERT INTO sighting (path, size, mtime_ns, found_ns, image_id, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (path, size, mtime_ns) DO UPDATE"
            " SET image_id = excluded.image_id, reason = excluded.reason, detail = excluded.detail, dropped = NULL"
            " WHERE (sighting.image_id IS NOT excluded.image_id OR sighting.reason IS NOT excluded.reason)"
            " AND (sighting.image_id IS NULL OR excluded.image_id IS NOT NULL)",
            (path, found.size, found.mtime_ns, now_ns, image_id, reason, detail),
        ).rowcount
        return changed > 0

    def _send(self, found: Found) -> None:
        """The file, if it was rejected for good, is to be fetched for the folder of rejects.

        Not one that cannot be read now: it may count yet, and what cannot be read cannot be copied, and would hold up
        the errands behind it.
        """
        self.connection.execute(
            "INSERT OR IGNORE INTO errand SELECT sighting.id FROM sighting LEFT JOIN image ON image.id = image_id"
            " WHERE path = ? AND size = ? AND mtime_ns = ? AND COALESCE(sighting.reason, image.reason) IS NOT NULL"
            " AND sighting.reason IS NOT ?",
            (stored(found.path), found.size, found.mtime_ns, UNREADABLE),
        )

    def _supersede_vanished(self, found: Found) -> None:
        """A file that was read, and was missed before, is not lost.

        An archive may have a hundred thousand members of one size and mtime: they are looked through only if need be.
        """
        path = stored(found.path)
        # Seen as vanished when it had other bytes, or none yet, and could not be looked at for a while.
        self.connection.execute("DELETE FROM sighting WHERE path = ? AND reason = ?", (path, VANISHED))
        # Seen as vanished under the name it had before: a rename that fell between two looks.
        self.connection.execute(
            "DELETE FROM sighting WHERE id = (SELECT old.id FROM sighting AS old JOIN sighting AS new"
            " ON new.path = ? AND new.mtime_ns = old.mtime_ns AND new.size = old.size AND new.found_ns > old.found_ns"
            " WHERE old.reason = ? AND old.mtime_ns = ? AND old.size = ? ORDER BY old.id LIMIT 1)",
            (path, VANISHED, found.mtime_ns, found.size),
        )

    def _supersede_torn(self, found: Found, image_id: int) -> None:
        """The path's earlier torn content leaves the accounts: it was this image, read while its writer paused.

        Without this, one image of a slow writer would stand both as counted and as rejected. A camera that reuses the
        name of a torn file looks the same from here; that the torn one then goes uncounted is the lesser fault.
        The content itself goes only if no other file has it (all empty files are one image).
        """
        torn = self.connection.execute(
            "SELECT sighting.id, image_id FROM sighting JOIN image ON image.id = image_id"
            f" WHERE path = ? AND image_id <> ? AND image.reason IN ({', '.join('?' * len(TORN))})",
            (stored(found.path), image_id, *TORN),
        ).fetchall()
        for sighting_id, torn_id in torn:
            self.connection.execute("DELETE FROM sighting WHERE id = ?", (sighting_id,))
            self.connection.execute(
                "DELETE FROM image WHERE id = ? AND NOT EXISTS (SELECT 1 FROM sighting WHERE image_id = ?)",
                (torn_id, torn_id),
            )

    # --- afterwards

    def errands(self, limit: int) -> list[tuple[int, Found, str, str, bytes | None]]:
        """Rejected files yet to be fetched: (number, file, reason, detail, sha-256 where it was read).

        A file that was decided anew meanwhile, and counts, is none.
        """
        rows = self.connection.execute(
            "SELECT sighting.id, path, size, mtime_ns, COALESCE(sighting.reason, image.reason),"
            " COALESCE(sighting.detail, image.detail), sha256 FROM errand CROSS JOIN sighting ON sighting.id = sighting_id"
            " LEFT JOIN image ON image.id = image_id WHERE COALESCE(sighting.reason, image.reason) IS NOT NULL"
            " ORDER BY sighting_id LIMIT ?",  # CROSS: SQLite would go through all sightings for the few errands
            (limit,),
        ).fetchall()
        return [
            (number, Found(path, size, mtime_ns), reason or "", detail or "", sha256)
            for number, path, size, mtime_ns, reason, detail, sha256 in rows
        ]

    def errands_done(self, numbers: Sequence[int]) -> None:
        """These files were fetched, or are no more."""
        with transaction(self.connection):
            self.connection.executemany("DELETE FROM errand WHERE sighting_id = ?", [(number,) for number in numbers])

    def record_gone(self, sighting_ids: Sequence[int], now_ns: int) -> None:
        """Retention deleted these files."""
        with transaction(self.connection):
            self.connection.executemany(
                "UPDATE sighting SET gone_ns = ? WHERE id = ?", [(now_ns, number) for number in sighting_ids]
            )

    def write_note(self, name: str, value: int) -> None:
        """Keeps a time (UTC ns) under a name: backup_ns, exported_ns."""
        with transaction(self.connection):
            self.connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))

    def read_note(self, name: str) -> int | None:
        """The time (UTC ns) kept under a name."""
        row = self.connection.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def _value(self, query: str, *arguments: object) -> int:
        return int(self.connection.execute(query, arguments).fetchone()[0])


def stored(path: str) -> str:
    r"""A path as SQLite text: bytes that are not UTF-8 (a name given on a Latin-1 system) as \xNN."""
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")


def spelled(path: str) -> Iterator[str]:
    r"""The names that a path as `stored` may have on disk: itself, and with \xNN as the byte it may stand for."""
    yield path
    if "\\x" in path:
        yield os.fsdecode(_ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), path.encode()))


_ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")
