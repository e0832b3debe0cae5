"""What the ledger says lies in the watched folder: images with files not yet gone, oldest first, in bounded slices.

Each slice is one short query, read to its end: no transaction stays open, so the writer's log can always start over.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bundle.labels import UNCLASSIFIED
from edge.ledger.migrations import WAITING

SLICE_IMAGES = 300  # a slice takes some 3 ms
FILES_AT_ONCE = 2000  # of one image: of a blank frame that came a million times, the others follow another day
_SLICE_SIGHTINGS = 3000
_TAIL_SIGHTINGS = 100_000

BEGINNING = (-(2**63), -1)

Place = tuple[int, int]  # capture time in UTC ns, image: where a walk is


@dataclass(frozen=True, slots=True)
class File:
    """A file as the ledger knows it."""

    sighting_id: int
    path: str  # relative to the watched folder, as stored
    size: int  # bytes
    mtime_ns: int  # UTC ns
    found_ns: int  # UTC ns


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is counted, or was rejected by its content, and has files."""

    id: int
    sha256: bytes  # of its content
    capture_ns: int  # UTC ns
    label: str | None  # None: rejected
    votes: int
    score: float
    classified_ns: int  # UTC ns; 0 where rejected
    disputed: bool  # a member voted otherwise, as far as they were asked

    @property
    def place(self) -> Place:
        return self.capture_ns, self.id


@dataclass(frozen=True)
class Labels:
    """The names of all bundles' class indices, and how many images each name has."""

    names: dict[int, tuple[str, ...]]  # by the bundle's number
    images: dict[str, int]

    def name(self, bundle_id: int, label: int) -> str:
        return self.names[bundle_id][label] if label >= 0 else UNCLASSIFIED


def read_labels(connection: sqlite3.Connection) -> Labels:
    """From the accounts: as many rows as there are bundles, labels and votes, not images."""
    names = {
        number: tuple(json.loads(labels)) for number, labels in connection.execute("SELECT id, labels FROM bundle")
    }
    found = Labels(names, {})
    for bundle_id, label, images in connection.execute(
        "SELECT bundle_id, label, SUM(images) FROM total GROUP BY bundle_id, label"
    ):
        name = found.name(bundle_id, label)
        found.images[name] = found.images.get(name, 0) + images
    return found


def read_notes(connection: sqlite3.Connection) -> dict[str, int]:
    """Times (UTC ns) that parts of the daemon left for each other."""
    return dict(connection.execute("SELECT name, value FROM note"))


def newest_capture_ns(connection: sqlite3.Connection) -> int | None:
    """UTC ns; None where there is no image."""
    newest: int | None = connection.execute("SELECT MAX(capture_ns) FROM image").fetchone()[0]
    return newest


def images_after(
    connection: sqlite3.Connection, labels: Labels, after: Place, last_ns: int
) -> tuple[list[Image], Place | None]:
    """The next slice behind the place `after` and taken until `last_ns`, and where it ends; None at the end.

    Images set aside by a rule, and those whose files are all gone, are passed by, as are files never decided on by content.
    """
    rows = connection.execute(_AFTER, (*after, last_ns, SLICE_IMAGES)).fetchall()
    images = [
        Image(number, sha256, capture_ns, None, 0, 0.0, 0, False)
        if bundle_id is None
        else Image(
            number, sha256, capture_ns, labels.name(bundle_id, label), votes, score, classified_ns, votes != asked
        )
        for number, sha256, capture_ns, bundle_id, label, votes, score, classified_ns, asked, wanted in rows
        if wanted
    ]
    return images, ((rows[-1][2], rows[-1][0]) if len(rows) == SLICE_IMAGES else None)


# CROSS JOIN is SQLite's way to say: in this order.
_AFTER = """
SELECT image.id, image.sha256, image.capture_ns, bundle_id, label, votes, score, classified_ns, asked,
    aside IS NULL AND (bundle_id IS NOT NULL OR reason IS NOT NULL)
    AND EXISTS (SELECT 1 FROM sighting WHERE image_id = image.id AND gone_ns IS NULL)
FROM image LEFT JOIN verdict ON verdict.image_id = image.id
WHERE (image.capture_ns, image.id) > (?, ?) AND image.capture_ns <= ?
ORDER BY image.capture_ns, image.id LIMIT ?
"""


def next_capture_ns(connection: sqlite3.Connection, after: Place) -> int | None:
    """When the next image behind `after` was taken, UTC ns."""
    row = connection.execute(
        "SELECT capture_ns FROM image WHERE (capture_ns, id) > (?, ?) ORDER BY capture_ns, id LIMIT 1", after
    ).fetchone()
    return None if row is None else int(row[0])


def files_of(connection: sqlite3.Connection, images: Sequence[Image]) -> dict[int, list[File]]:
    """Their files that are not gone, under all names, by image."""
    files: dict[int, list[File]] = {image.id: [] for image in images}
    rows = connection.execute(_FILES, (json.dumps(list(files)), FILES_AT_ONCE)).fetchall()
    if len(rows) < FILES_AT_ONCE:
        for image_id, *file in rows:
            files[image_id].append(File(*file))
    else:
        for image_id in files:
            rows = connection.execute(_FILES, (json.dumps([image_id]), FILES_AT_ONCE)).fetchall()
            files[image_id] = [File(*file) for _, *file in rows]
    return files


_FILES = """
SELECT image_id, sighting.id, sighting.path, size, mtime_ns, found_ns
FROM json_each(?) AS wanted CROSS JOIN sighting ON image_id = wanted.value WHERE gone_ns IS NULL LIMIT ?
"""


def in_shard(path: str) -> bool:
    """Whether the file is, by its path, a member of a tar or zip file."""
    lower = path.lower()
    return ".tar/" in lower or ".zip/" in lower


class CountedBytes:
    """How much the counted files take: summed once, then kept up with what came and what went.

    Exact but for what is decided anew: a rejected file that was counted after all, a file changed by hand. So it is made
    anew once a day.
    """

    def __init__(self) -> None:
        self._settled = 0  # the sighting up to which all were decided when they were summed
        self._bytes = 0
        self._tail_bytes = 0

    @property
    def bytes(self) -> int:
        return self._bytes + self._tail_bytes

    def update(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Sums what is new, a slice a step."""
        (newest,) = connection.execute("SELECT COALESCE(MAX(id), 0) FROM sighting").fetchone()
        (waiting,) = connection.execute(f"SELECT MIN(id) FROM sighting WHERE {WAITING}").fetchone()
        # A file that waits for ever (it is never whole) must not have ever more summed again.
        until = max(self._settled, newest - _TAIL_SIGHTINGS, newest if waiting is None else waiting - 1)
        for first in range(self._settled, until, _SLICE_SIGHTINGS):
            last = min(first + _SLICE_SIGHTINGS, until)
            self._bytes += _counted_bytes(connection, first, last)
            self._settled = last
            yield
        self._tail_bytes = 0
        for first in range(until, newest, _SLICE_SIGHTINGS):
            self._tail_bytes += _counted_bytes(connection, first, min(first + _SLICE_SIGHTINGS, newest))
            yield

    def gone(self, file: File) -> None:
        """A counted file that was summed is no more."""
        if file.sighting_id <= self._settled:
            self._bytes -= file.size
        else:
            self._tail_bytes -= file.size


def _counted_bytes(connection: sqlite3.Connection, after: int, until: int) -> int:
    query = """
        SELECT COALESCE(SUM(size), 0) FROM sighting
        CROSS JOIN verdict ON verdict.image_id = sighting.image_id CROSS JOIN image ON image.id = sighting.image_id
        WHERE sighting.id > ? AND sighting.id <= ? AND gone_ns IS NULL AND aside IS NULL
            AND path NOT LIKE '%.tar/%' AND path NOT LIKE '%.zip/%'
    """
    return int(connection.execute(query, (after, until)).fetchone()[0])
