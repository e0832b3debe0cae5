"""Sample images as small pictures within the page: looked up in the ledger, read, checked and made small."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from bundle.errors import BadConfig, BadImage
from bundle.preprocess import Pixels, decode
from edge.shards.shards import Shards

PICTURE_PIXELS = 88  # the longer side, at most; smaller images are not enlarged
MOST_BYTES = 9_000_000  # of all pictures as they stand in the page: a report is to be mailed
ALL = "all"  # the one way of a label with no more images than one way shows
_JPEG_QUALITY = 82
_MAX_IMAGE_BYTES = 200_000_000


@dataclass(frozen=True)
class Sample:
    """One image of a label, with its picture as the address of an <img>."""

    path: str
    capture_ns: int
    votes: int
    asked: int  # 0: not known
    score: float
    width: int  # pixels of the picture
    height: int
    uri: str


@dataclass(frozen=True)
class Shown:
    """The samples of one label by the way they were chosen; no image stands in two ways."""

    label: str
    ways: Mapping[str, tuple[Sample, ...]]


@dataclass(frozen=True)
class Collage:
    """All labels, in the order asked for."""

    labels: tuple[Shown, ...]
    missing: int  # images that were looked for and are no longer in the folder as they were counted
    left_out: tuple[str, ...]  # labels for which there was no room


def make_collage(
    connection: sqlite3.Connection,
    folder: Path,
    labels: Sequence[str],
    chosen: Mapping[str, Mapping[str, Sequence[int]]],
    each: int,
    most_bytes: int = MOST_BYTES,
) -> Collage:
    """Up to `each` images of each label in each way, of those that `chosen` names (way -> label -> images).

    folder: the watched one. A file that is gone, or has other content than what was counted, is passed by for the next.
    Raises BadConfig where there is no such folder.
    """
    if not folder.is_dir():
        raise BadConfig(
            f"{folder}: no such folder of images; give the one that `planktow-edge run` watches to --images"
        )
    shown: list[Shown] = []
    used = 0
    left_out: list[str] = []
    gone: set[int] = set()
    with Shards(folder) as shards:
        for label in labels:
            if used >= most_bytes:
                left_out.append(label)
                continue
            every = chosen[next(iter(chosen))].get(label, ())
            ways_of = {ALL: {label: every}} if len(every) <= each else chosen
            taken: set[int] = set()
            ways: dict[str, tuple[Sample, ...]] = {}
            # The random ones last: what the others show need not stand there again.
            for way in sorted(ways_of, key=lambda way: way == "random"):
                samples: list[Sample] = []
                for image in ways_of[way].get(label, ()):
                    if len(samples) == each:
                        break
                    if image in taken or image in gone:
                        continue
                    sample = _sample(connection, folder, shards, image)
                    if sample is None:
                        gone.add(image)
                        continue
                    taken.add(image)
                    samples.append(sample)
                    used += len(sample.uri)
                ways[way] = tuple(samples)
            shown.append(Shown(label, {way: ways[way] for way in ways_of}))
    return Collage(tuple(shown), len(gone), tuple(left_out))


def picture(data: bytes) -> tuple[int, int, str]:
    """Width, height and data URI of the image in these bytes, made small. Raises BadImage."""
    grey = within(decode(data), PICTURE_PIXELS)
    written, jpeg = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not written:
        raise BadImage("unsupported", "OpenCV cannot write it as JPEG")
    height, width = grey.shape
    return width, height, f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"


def within(grey: Pixels, side: int) -> Pixels:
    """The image, made so small that its longer side is at most `side` pixels; a smaller one as it is."""
    height, width = grey.shape
    factor = side / max(height, width)
    if factor >= 1:
        return grey
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(grey.dtype, copy=False)


def _sample(connection: sqlite3.Connection, folder: Path, shards: Shards, image: int) -> Sample | None:
    """The image with its picture; None where no file of the folder is it any more."""
    sha256, capture_ns, votes, asked, score = connection.execute(
        "SELECT sha256, capture_ns, votes, COALESCE(asked, 0), score FROM image JOIN verdict ON image_id = image.id"
        " WHERE image.id = ?",
        (image,),
    ).fetchone()
    for (path,) in connection.execute(
        "SELECT path FROM sighting WHERE image_id = ? AND gone_ns IS NULL ORDER BY id", (image,)
    ):
        data = _read(folder, shards, path)
        if data is not None and hashlib.sha256(data).digest() == sha256:
            with contextlib.suppress(BadImage):
                return Sample(path, capture_ns, votes, asked, score, *picture(data))
    return None


def _read(folder: Path, shards: Shards, path: str) -> bytes | None:
    """The bytes of a file or of a shard's member; None where it cannot be read."""
    try:
        return (folder / path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError):
        return None
    try:
        member = shards.look(path)
        return None if member is None else shards.read(member, _MAX_IMAGE_BYTES)
    except (OSError, BadImage):
        return None
