"""The watched folder as it lies: which names can be images, what a file is right now, and a walk over all of them.

Paths here are relative to the watched folder, with forward slashes: the ledger then survives a move of the folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bundle.imagefile import IMAGE_SUFFIXES

FARTHEST_NS = 9_150_000_000_000_000_000  # 1680 to 2259: SQLite's 64 bits, less a year for the bin it falls into
SHARD_SUFFIXES = frozenset({".tar", ".zip"})


@dataclass(frozen=True)
class Found:
    """A file as it was when we looked; a change of size or mtime makes it another one."""

    path: str  # relative to the watched folder
    size: int  # bytes
    mtime_ns: int  # UTC ns, by the clock of whoever wrote the file


def is_image_name(path: str) -> bool:
    """Whether a file of this relative path is meant as an image: the suffix, and nothing hidden on the way.

    A leading dot marks what rsync, editors and desktop folders keep for themselves. Names such as `a.jpg.part` or
    `a.jpg~` fall out by their suffix.
    """
    *folders, name = path.split("/")
    if name.startswith(".") or any(is_hidden(folder) for folder in folders):
        return False
    return _suffix(name) in IMAGE_SUFFIXES


def _suffix(name: str) -> str:
    return name[name.rfind(".") :].lower()  # of each name of each scan; without a dot the last letter, which is none


def is_ours(path: str) -> bool:
    """Whether a file of this relative path is meant as an image or as a shard."""
    return is_image_name(path) or is_shard_name(path)


def is_shard_name(path: str) -> bool:
    """Whether a file of this relative path is meant as a shard, an archive of images; nothing hidden on the way.

    Not .tar.gz or .tgz: a member in the middle could only be read by inflating all before it.
    """
    return _suffix(path) in SHARD_SUFFIXES and not any(is_hidden(part) for part in path.split("/"))


def is_hidden(folder: str) -> bool:
    """Whether a folder of this name is passed by, with all that is in it."""
    return folder.startswith(".")


def look(root: Path, path: str) -> Found | None:
    """The file as it is now, or None where there is no such regular file (a link to one counts)."""
    try:
        status = os.stat(f"{root}/{path}")  # noqa: PTH116 - of each file of each scan: no Path
    except OSError:
        return None
    return Found(path, status.st_size, mtime_of(status)) if stat.S_ISREG(status.st_mode) else None


def mtime_of(status: os.stat_result) -> int:
    """UTC ns, no farther from 1970 than we reckon with: a file system may hold a year of 2446."""
    return max(-FARTHEST_NS, min(status.st_mtime_ns, FARTHEST_NS))


def scan(
    root: Path, recursive: bool, below: str = "", refused: Callable[[str, OSError], None] = lambda _path, _error: None
) -> Iterator[Found]:
    """Every image file and archive in the folder `below` and, if `recursive`, under it.

    Lazily, so that a walk over a large folder can be taken in slices. Folders reached by a symbolic link are passed by:
    they could lead in a circle. Calls `refused` for a folder that cannot be listed; one that is gone is no matter.
    """
    folders = [below]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(f"{root}/{folder}") as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if recursive and not is_hidden(entry.name):
                            folders.append(path)
                    elif is_ours(entry.name) and (found := look(root, path)):
                        yield found
        except FileNotFoundError:
            continue
        except OSError as error:
            refused(folder, error)
