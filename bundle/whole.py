"""Files that are written whole or not at all, whatever happens in between."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def sha256_hex(data: bytes) -> str:
    """The sha-256 of `data` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Writes `data` to `path` so that a reader, or a power cut, finds the old file or the new one and nothing else.

    A temporary name in the same folder, fsync, rename, fsync of the folder. Raises OSError; `path` is then untouched.
    """
    write_whole_with(path, lambda file: file.write(data))


def write_whole_with(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Like `write_whole`, for content that `fill` writes to an open binary file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with temporary.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` durable: a rename is only on disk once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def json_bytes(value: object) -> bytes:
    """`value` as JSON for people and for hashes: indented, UTF-8, keys in the order given, a newline at the end."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
