"""An image that the ledger names: its bytes, as far as they are still there, and a small picture of it.

No path comes from a request: the number of an image does, and the ledger says which files are that image. What a file
holds is shown only if it is still the very content that was counted, and an image.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import cv2

from bundle.errors import BadImage
from bundle.preprocess import MAX_IMAGE_PIXELS, Pixels, decode
from edge.export.imagebytes import as_web_image
from edge.htmlreport.collage import within
from edge.intake.files import look
from edge.ledger.ledger import spelled
from edge.shards.shardfile import BadShard
from edge.shards.shards import Shards

THUMB_PIXELS = 160  # the longer side, at most; smaller images are not enlarged
SENT_PIXELS = 2048  # the longer side of an image that is too large to be sent as it is
SENT_BYTES = 4_000_000  # a larger file is sent reduced: a thousand readers' worth of it must fit into the memory
MOST_BYTES = 256 * 1024 * 1024  # a larger file is not read
_JPEG_QUALITY = 85


@dataclass(frozen=True)
class Picture:
    """What is sent for an image."""

    data: bytes
    kind: str  # media type


@dataclass(frozen=True)
class Gone:
    """Why there is no picture, in a few words."""

    why: str


UNKNOWN = Gone("no such image")
NO_FOLDER = Gone("the folder of images is not known here")
DELETED = Gone("no longer kept")
ABSENT = Gone("not in the folder")
UNSHOWN = Gone("cannot be shown")


def content_of(connection: sqlite3.Connection, image_id: int, root: Path | None, shards: Shards | None) -> bytes | Gone:
    """The bytes that were counted as this image, by any of their names. An image without a verdict is not shown."""
    row = connection.execute(
        "SELECT sha256 FROM image WHERE id = ? AND EXISTS (SELECT 1 FROM verdict WHERE image_id = image.id)",
        (image_id,),
    ).fetchone()
    if row is None:
        return UNKNOWN
    if root is None or shards is None:
        return NO_FOLDER
    files = connection.execute(
        "SELECT path, size, gone_ns IS NOT NULL FROM sighting WHERE image_id = ? ORDER BY gone_ns IS NOT NULL, id",
        (image_id,),
    ).fetchall()
    for path, size, _ in files:
        for name in spelled(path):
            data = _read(name, size, root, shards)
            if data is not None and sha256(data).digest() == row[0]:
                return data
    return DELETED if files and files[0][2] else ABSENT


def _read(path: str, size: int, root: Path, shards: Shards) -> bytes | None:
    """The file, or the archive's member, if it still has that size; the time is no matter, the content is the judge."""
    if size > MOST_BYTES:
        return None
    try:
        found = look(root, path)
        if found is not None:
            return _whole_file(f"{root}/{path}", size) if found.size == size else None
        member = shards.look(path)
        return None if member is None or member.size != size else shards.read(member, MOST_BYTES)
    except (OSError, ValueError, BadImage, BadShard):
        return None


def _whole_file(file: str, size: int) -> bytes | None:
    """A regular file of that size. Raises OSError."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # non-blocking: it might be a pipe by now
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return None
        return opened.read(size + 1)


def thumb(data: bytes) -> Picture | Gone:
    """A small grey JPEG; a PNG of what is smaller than it."""
    grey = _decoded(data)
    if isinstance(grey, Gone):
        return grey
    small = within(grey, THUMB_PIXELS)
    return _written(small, ".jpg" if small.shape != grey.shape else ".png")


def whole(data: bytes) -> Picture | Gone:
    """The file itself where a browser shows it and it is not too large."""
    try:
        if len(data) <= SENT_BYTES:
            decode(data)  # what does not decode is no image, whatever it begins with
            sent, suffix = as_web_image(data)
            return Picture(sent, _KINDS[suffix])
    except BadImage:
        return UNSHOWN
    grey = _decoded(data)
    return grey if isinstance(grey, Gone) else _written(within(grey, SENT_PIXELS), ".jpg")


_KINDS = {".jpg": "image/jpeg", ".png": "image/png", ".gif": "image/gif"}


def _decoded(data: bytes) -> Pixels | Gone:
    try:
        return decode(data, MAX_IMAGE_PIXELS)
    except BadImage:
        return UNSHOWN


def _written(grey: Pixels, suffix: str) -> Picture:
    settings = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix == ".jpg" else []
    _, data = cv2.imencode(suffix, grey, settings)
    return Picture(data.tobytes(), _KINDS[suffix])
