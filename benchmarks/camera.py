"""What a camera would bring: image files, each of a content of its own, real ones where there are some."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from random import Random

from bundle.errors import BadConfig
from bundle.imagefile import IMAGE_SUFFIXES
from tests.edge.images import image_bytes, kind_of
from tests.reliability.ship import Image, stamped

REAL = Path("data/planktonset-dev")  # where the project keeps real images, if it has them
A_FOLDER = 1000  # files
_SETTLED_SECONDS = 3600.0  # files of this age are read at once, whatever settle_seconds is


def images_folder(given: Path | None) -> Path | None:
    """The folder that was given, or the project's real images; None where there are none. Raises BadConfig."""
    if given is None:
        return REAL if REAL.is_dir() else None
    if not any(_is_image(file) for file in given.rglob("*")):
        raise BadConfig(f"{given}: no image files under it; give a folder of images")
    return given


def words_for(folder: Path | None) -> str:
    """What the images are, for the table."""
    return f"images from {folder}" if folder else "small rendered images (no real ones here; give --images DIR)"


def images_from(folder: Path | None) -> Iterator[Image]:
    """(name, content) without end, the same each time: the files under `folder` in an order drawn by chance, or rendered ones.

    Content that comes twice is passed by, for the daemon counts it once. When all files have been given they come again with
    a comment in the file that makes other bytes of the same pixels: they cost the same to read and to decode.
    """
    if folder is None:
        for number in count():
            yield f"{number:07d}.png", image_bytes(kind_of(number), number)
    files = sorted(file for file in folder.rglob("*") if _is_image(file))
    Random(0).shuffle(files)
    number = 0
    for lap in count():
        contents = set[bytes]()
        for file in files:
            data = file.read_bytes()
            digest = hashlib.sha256(data).digest()
            if digest not in contents:
                contents.add(digest)
                yield f"{number:07d}{file.suffix.lower()}", stamped(data, number) if lap else data
                number += 1


def write_images(folder: Path, images: Iterable[Image]) -> int:
    """Makes `folder` and writes the images to folders of A_FOLDER in it, settled long ago and on the disk. Returns how many."""
    then = time.time() - _SETTLED_SECONDS
    folder.mkdir()
    number = -1
    for number, (name, data) in enumerate(images):
        if number % A_FOLDER == 0:
            within = folder / f"{number // A_FOLDER:04d}"
            within.mkdir()
        (within / name).write_bytes(data)
        os.utime(within / name, (then, then))
    os.sync()  # or the system writes them while something is timed
    return number + 1


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES
