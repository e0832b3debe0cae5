"""Rejected files, moved or copied to a folder of their own, each with a small JSON that says why.

Twice is once: a kill at any instruction leaves the file in at least one of the two places, and the next try goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Literal

from bundle.errors import BadConfig
from bundle.whole import json_bytes, sync_folder, write_whole
from edge.bins import utc_text
from edge.intake.files import look
from edge.ledger.ledger import spelled, stored
from edge.setting import about, check_ranges

How = Literal["stay", "move", "copy"]


@dataclass(frozen=True)
class RejectSettings:
    """The table [rejects] of edge.toml."""

    files: How = field(
        default="stay",
        metadata=about(
            '"stay", "move" or "copy"',
            "What becomes of a rejected file: it stays where it is, or is moved or copied to `folder`, with a small\n"
            "JSON beside it that says why. Members of a tar or zip file are copied, never moved.",
        ),
    )
    folder: str = field(
        default="rejects",
        metadata=about(
            "folder",
            'Where to: a folder that exists, outside the watched one. Sub-folders are kept. Not used with "stay".',
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class Why:
    """What the ledger says of a rejected file."""

    reason: str  # a short word for tables
    detail: str
    size: int  # bytes
    mtime_ns: int  # UTC ns
    sha256: bytes | None  # 32 bytes; None where the content was never read
    bundle_digest: str


def check_reject_folder(settings: RejectSettings, folder: Path, watch: Path) -> None:
    """Raises BadConfig unless rejected files can go to `folder`: it is there, and neither lies in the other."""
    if settings.files == "stay":
        return
    if not folder.is_dir():
        # Not made by us: where its disk failed to mount, the files would fill the system's disk instead.
        raise BadConfig(f"{folder}: no such folder for rejected files; create it, or mount its disk")
    ours, watched = folder.resolve(), watch.resolve()
    if ours == watched or watched in ours.parents:
        raise BadConfig(f"{folder}: lies in the watched folder {watch}; give rejected files a folder outside it")
    if ours in watched.parents:
        raise BadConfig(f"{folder}: the watched folder {watch} lies in it; give rejected files a folder of their own")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadConfig(f"{folder}: rejected files cannot be written there; allow this user to")


def put_aside(
    root: Path,
    path: str,
    how: How,
    folder: Path,
    why: Why,
    now_ns: int,
    member: Callable[[], bytes | None] | None = None,
) -> Path | None:
    """Moves or copies the file `path` (relative to `root`, as the ledger has it) into `folder`; returns where it is now.

    None, and nothing done: with "stay", and where the file is gone or is another one by now (size or mtime).
    member: gives the bytes of a member of a shard, None where they are gone; a member is copied, never moved.
    A name taken by other content gets that of the content in it. The same content there already is done.
    Raises OSError: a full disk, a missing folder. The file is then still where it was; try again later.
    """
    if how == "stay":
        return None
    if not folder.is_dir():
        raise FileNotFoundError(2, "no such folder for rejected files", str(folder))
    if member is not None:
        data = member()
        if data is None or len(data) != why.size:
            return None
        target = _target(folder, path, hashlib.sha256(data).digest, len(data))
        if not target.exists():
            _write(target, data, why.mtime_ns)
        _explain(target, path, why, now_ns)
        return target
    source = next((root / name for name in spelled(path) if _still(root, name, why)), None)
    if source is None:
        return None
    target = _target(folder, path, lambda: _digest(source), why.size, source)
    if not target.exists():
        if how == "copy" or not _linked(source, target):
            _copy(source, target)
        if not _still(source.parent, source.name, why):  # written to while we took it: not this file any more
            target.unlink()
            return None
    _explain(target, path, why, now_ns)
    if how == "move":
        if target.samefile(source):
            if source.lstat().st_nlink < 2 and not source.is_symlink():  # a bind mount: one name, seen at two places
                raise OSError(22, "the folder for rejected files is the watched folder", str(folder))
        elif _digest(target) != _digest(source):
            # Before its last name goes, what is there is read back: a disk may have said "written" of what it lost.
            target.unlink()
            raise OSError(5, "read back otherwise than written", str(target))
        sync_folder(target.parent)
        if not _still(source.parent, source.name, why):
            return None
        source.unlink()
    return target


def _still(root: Path, path: str, why: Why) -> bool:
    found = look(root, path)
    return found is not None and (found.size, found.mtime_ns) == (why.size, why.mtime_ns)


def _target(folder: Path, path: str, digest: Callable[[], bytes], size: int, source: Path | None = None) -> Path:
    """Where in `folder` the content goes, or already is. Its sub-folder is made."""
    *parents, name = (_fitting(part) for part in PurePosixPath(stored(path)).parts if part not in ("/", ".", ".."))
    # A shard may itself be rejected, and would then be a file where its members want a folder.
    parents = [f"{part}.members" if part.lower().endswith((".tar", ".zip")) else part for part in parents]
    below = folder
    for part in parents:
        below /= part
        if not below.is_dir():
            below.mkdir(exist_ok=True)
            sync_folder(below.parent)
    plain = below / name
    if _has(plain, digest, size, source):
        return plain
    hexadecimal = digest().hex()
    for digits in (12, 64):
        other = below / f"{plain.stem}.{hexadecimal[:digits]}{plain.suffix}"
        if _has(other, digest, size, source):
            break
    return other


def _has(target: Path, digest: Callable[[], bytes], size: int, source: Path | None) -> bool:
    """Whether this name is free for the content, or has it already."""
    try:
        status = target.lstat()
    except FileNotFoundError:
        return True
    if not target.is_file() or target.is_symlink() or status.st_size != size:
        return False
    return (source is not None and target.samefile(source)) or _digest(target) == digest()


def _linked(source: Path, target: Path) -> bool:
    """Gives the file its second name, where that is on the same disk and the disk knows such: no byte is copied."""
    if source.is_symlink():
        return False
    try:
        os.link(source, target)
    except OSError:  # another disk, FAT, a limit: whatever it was, copying finds out whether it matters
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as opened:
        status = os.fstat(opened.fileno())
        _write(target, iter(lambda: opened.read(_CHUNK_BYTES), b""), status.st_mtime_ns)


def _write(target: Path, data: bytes | Iterator[bytes], mtime_ns: int) -> None:
    """Whole or absent, with its mtime. The temporary name is always the same: one left by a kill is used again."""
    temporary = target.with_name(f".{target.name}.partial")
    try:
        with temporary.open("wb") as file:
            for chunk in (data,) if isinstance(data, bytes) else data:
                file.write(chunk)
            file.flush()
            os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))
            os.fsync(file.fileno())
        temporary.rename(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def _explain(target: Path, path: str, why: Why, now_ns: int) -> None:
    """NAME.json beside the file; one that is there stays: it was written whole, when the file was first rejected."""
    file = target.with_name(f"{target.name}.json")
    if file.exists():
        return
    content = {
        "file": stored(path),
        "reason": why.reason,
        "detail": stored(why.detail),
        "sha256": why.sha256.hex() if why.sha256 is not None else None,
        "bytes": why.size,
        "modified": utc_text(why.mtime_ns),
        "modified_ns": why.mtime_ns,
        "set_aside": utc_text(now_ns),
        "bundle": why.bundle_digest,
        "planktow": version("planktow"),
    }
    write_whole(file, json_bytes(content))


def _digest(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


def _fitting(name: str) -> str:
    """The name, cut where no room would be left in a file system's 255 bytes for what we add to it."""
    if len(name.encode()) <= _LONGEST_NAME_BYTES:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:12]
    suffix = PurePosixPath(name).suffix
    suffix = suffix if len(suffix.encode()) <= 16 else ""
    room = _LONGEST_NAME_BYTES - len(mark) - 1 - len(suffix.encode())
    return f"{name.encode()[:room].decode(errors='ignore')}~{mark}{suffix}"


_CHUNK_BYTES = 1 << 20
# 255 less a content's 64 digits, .json, and the marks of a temporary name
_LONGEST_NAME_BYTES = 150
