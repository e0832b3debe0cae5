"""A watched folder with files, and the ledger that knows them, written by SQL alone."""

import json
import os
import sqlite3
from hashlib import sha256
from pathlib import Path

from edge.ledger.migrations import migrate

SECOND, HOUR, DAY = 10**9, 3600 * 10**9, 86400 * 10**9
NOW = 495_000 * HOUR  # a full hour, UTC ns
LABELS = ("copepod", "jelly", "krill")


class Stock:
    """One root folder and one ledger in `base`; its connection is the writer's."""

    def __init__(self, base: Path) -> None:
        self.root, self.file = base / "watch", base / "ledger.sqlite"
        self.root.mkdir(exist_ok=True)
        fresh = not self.file.exists()
        self.connection = sqlite3.connect(self.file, isolation_level=None)
        if fresh:
            self.connection.execute("PRAGMA journal_mode = WAL")
            migrate(self.connection)
            self.connection.execute("INSERT INTO bundle VALUES (1, 'ab', 'one', ?, 0)", (json.dumps(LABELS),))

    def close(self) -> None:
        self.connection.close()

    def counted(
        self,
        *paths: str,
        age: int = 10 * DAY,
        label: int = 0,
        votes: int = 3,
        score: float = 0.5,
        asked: int | None = 3,
        size: int = 1000,
        classified: int | None = None,
        aside: str | None = None,
        written: bool = True,
    ) -> int:
        """An image with these files: taken `age` ns before NOW, classified then unless told; returns its number."""
        image_id = self._image(paths[0], size, NOW - age, aside, None)
        self.connection.execute(
            "INSERT INTO verdict VALUES (?, 1, ?, ?, ?, ?, ?, NULL)",
            (image_id, label, votes, score, NOW - age if classified is None else classified, asked),
        )
        for path in paths:
            self.sighting(path, size, image_id, written=written)
        return image_id

    def rejected(self, path: str, age: int = 10 * DAY, size: int = 1000) -> int:
        image_id = self._image(path, size, NOW - age, None, "corrupt")
        self.sighting(path, size, image_id, found=NOW - age)
        return image_id

    def sighting(
        self,
        path: str,
        size: int = 1000,
        image_id: int | None = None,
        reason: str | None = None,
        dropped: str | None = None,
        found: int = 0,
        written: bool = True,
    ) -> None:
        mtime_ns = NOW - 20 * DAY + len(path)
        self.connection.execute(
            "INSERT INTO sighting (path, size, mtime_ns, found_ns, image_id, reason, dropped) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (path, size, mtime_ns, found, image_id, reason, dropped),
        )
        if written:
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(path.encode()[:size].ljust(size))
            os.utime(file, ns=(mtime_ns, mtime_ns))

    def note(self, name: str, value: int) -> None:
        self.connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))

    def record_gone(self, sighting_ids, now_ns: int) -> None:
        self.connection.executemany(
            "UPDATE sighting SET gone_ns = ? WHERE id = ?", [(now_ns, number) for number in sighting_ids]
        )

    def gone(self) -> set[str]:
        """The paths that the ledger has as gone."""
        return {path for (path,) in self.connection.execute("SELECT path FROM sighting WHERE gone_ns IS NOT NULL")}

    def lying(self) -> set[str]:
        """The files in the folder."""
        return {str(file.relative_to(self.root)) for file in self.root.rglob("*") if not file.is_dir()}

    def _image(self, content: str, size: int, capture_ns: int, aside: str | None, reason: str | None) -> int:
        made = self.connection.execute(
            "INSERT INTO image (sha256, bytes, capture_ns, time_source, aside, reason) VALUES (?, ?, ?, 'mtime', ?, ?)",
            (sha256(content.encode()).digest(), size, capture_ns, aside, reason),
        )
        return int(made.lastrowid or 0)
