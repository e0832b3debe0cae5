"""The bytes of counted images, from the watched folder or an archive in it, as far as they are still there."""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from pathlib import Path

import cv2

from bundle.errors import BadConfig, BadImage
from bundle.preprocess import decode
from edge.export.rows import ImageRow
from edge.intake.files import look
from edge.ledger.ledger import spelled
from edge.shards.shardfile import BadShard
from edge.shards.shards import Shards

_FILES = "SELECT path, size FROM sighting WHERE image_id = ? ORDER BY gone_ns IS NOT NULL, id"
_BROWSERS_SHOW = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif"}


def read_image(row: ImageRow, root: Path, shards: Shards, connection: sqlite3.Connection) -> bytes | None:
    """The very bytes that were counted, by any of their names; None where none of them holds them any more.

    The content is the judge, not the time of the file: the folder may be a copy. Raises BadConfig where it cannot be read:
    a disk that fails is not a file that is gone.
    """
    return read_content(row.number, row.sha256, root, shards, connection)


def read_content(
    number: int, sha256_hex: str, root: Path, shards: Shards, connection: sqlite3.Connection
) -> bytes | None:
    """The same for the image with this number in the ledger, and this content."""
    for path, size in connection.execute(_FILES, (number,)).fetchall():
        for name in spelled(path):
            data = _read(name, size, root, shards)
            if data is not None and sha256(data).hexdigest() == sha256_hex:
                return data
    return None


def _read(path: str, size: int, root: Path, shards: Shards) -> bytes | None:
    try:
        if look(root, path):
            return (root / path).read_bytes()
        found = shards.look(path)
        return None if found is None or found.size != size else shards.read(found, size)
    except (FileNotFoundError, BadImage, BadShard):
        return None
    except OSError as error:
        raise BadConfig(
            f"{root / path}: cannot be read ({error.strerror}); check the disk and its permissions"
        ) from None


def as_web_image(data: bytes) -> tuple[bytes, str]:
    """(bytes, suffix): a JPEG, GIF or PNG of 8 bits as it is, anything else as a grey PNG of 8 bits, without loss of what
    the classifier saw. Raises BadImage.
    """
    for signature, suffix in _BROWSERS_SHOW.items():
        deep = suffix == ".png" and data[24:25] == b"\x10"  # 16 bits a sample
        if data.startswith(signature) and not deep:
            return data, suffix
    _, png = cv2.imencode(".png", decode(data))
    return png.tobytes(), ".png"
