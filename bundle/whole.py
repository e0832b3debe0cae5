"""Files that are written whole or not at all, whatever happens in between."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which bears the name `path` once the block has ended without an error, and is gone otherwise.

    `path` must not exist. Files are synced before the rename, so a power cut leaves the whole folder or none. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that had our number and was killed
    try:
        partial.mkdir()
        yield partial
        for file in filter(Path.is_file, partial.rglob("*")):
            with file.open("rb") as written:
                os.fsync(written.fileno())
        for folder in [partial, *filter(Path.is_dir, partial.rglob("*"))]:
            sync_folder(folder)
        partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
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
