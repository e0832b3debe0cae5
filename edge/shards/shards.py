"""Shards: tar and zip files full of images, which are to us like folders. The image `0001.png` in `tow1/shard.tar` has the
path `tow1/shard.tar/0001.png`, relative to the watched folder like any other.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType

from bundle.errors import BadImage
from edge.intake.files import Found, is_shard_name
from edge.shards.membernames import MOST_IMAGES, Names, as_taken, stands_for
from edge.shards.shardfile import BadShard, Entry, Shard, ShardFile
from edge.shards.tarshard import Tar
from edge.shards.zipshard import Zip

_HELD = 2  # shards whose members are known by their place: one that is read, one that follows


def members(root: Path, shard: Found) -> Generator[Found]:
    """Every image in the shard, in its order; a repeated walk gives the same again.

    Lazily, with the shard open until the walk ends or is closed. Images only: folders, links, devices and whatever is
    hidden are passed by. Raises BadShard behind the last whole member where the shard cannot be walked on, and OSError.
    """
    file = ShardFile(_joined(root, shard.path))
    try:
        for name, entry in _images(_opened(file, shard.path), Names()):
            yield Found(f"{shard.path}/{name}", entry.size, entry.mtime_ns)
    finally:
        file.close()


class Shards:
    """A context manager that reads members one at a time, best in the order of their shard. One thread."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[str, _Held] = {}  # by the shard's path, the one used last at the end

    def __enter__(self) -> Shards:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close_idle()
        self._held.clear()

    def close_idle(self) -> None:
        """Lets go of all files, so that their disk can be unmounted; their indexes are kept for the next read."""
        for held in self._held.values():
            held.file.close()

    def look(self, path: str) -> Found | None:
        """The member as it is now; None where there is no such shard or no such member in it. Raises OSError.

        An error of the disk is raised, not taken for None: a shard is not listed twice, and its member would be lost.
        """
        place = self._find(path)
        return None if place is None else Found(path, place[1].size, place[1].mtime_ns)

    def read(self, found: Found, max_image_bytes: int) -> bytes | None:
        """The bytes of a member that is still as it was `found`, else None.

        Raises BadImage for faults of this member (`too large`, `corrupt`, `encrypted`, `unsupported`, `truncated`), and
        OSError. Never inflates more than `found.size + 1` bytes.
        """
        if found.size > max_image_bytes:
            raise BadImage("too large", f"{found.size} bytes, the limit is {max_image_bytes} (max_image_bytes)")
        place = self._find(found.path)
        if place is None or (place[1].size, place[1].mtime_ns) != (found.size, found.mtime_ns):
            return None
        return place[0].shard.content(place[1])

    def _find(self, path: str) -> tuple[_Held, Entry] | None:
        try:
            shard = self._shard_of(path)
            if shard is None:
                return None
            held = self._hold(shard)
            entry = held.find(as_taken(path[len(shard) + 1 :]))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if entry is None else (held, entry)

    def _shard_of(self, path: str) -> str | None:
        """The part of the path that is a shard's; a folder may be called .tar as well."""
        for shard in self._held:
            if path.startswith(f"{shard}/"):
                return shard
        end = path.find("/")
        while end >= 0:
            part = path[:end]
            if is_shard_name(part) and os.path.isfile(_joined(self._root, part)):  # noqa: PTH113
                return part
            end = path.find("/", end + 1)
        return None

    def _hold(self, shard: str) -> _Held:
        """The shard as it is now. Raises FileNotFoundError or NotADirectoryError, and forgets it, where it is gone."""
        held = self._held.pop(shard, None)
        if held is not None:
            try:
                change = held.file.change()
            except OSError:
                held.file.close()
                raise
            if not change or (change == "grown" and held.go_on()):
                self._held[shard] = held
                return held
            held.file.close()
        held = _Held(shard, ShardFile(_joined(self._root, shard)))
        while len(self._held) >= _HELD:
            self._held.pop(next(iter(self._held))).file.close()
        self._held[shard] = held
        return held


class _Held:
    """A shard with the places of its members, as far as the walk has come that runs ahead of the reading."""

    def __init__(self, path: str, file: ShardFile) -> None:
        self.file = file
        self._path = path
        self._begin()

    def _begin(self) -> None:
        self.shard = _opened(self.file, self._path)
        self._names = Names()
        self._walk = _images(self.shard, self._names)
        self._grew = False

    def go_on(self) -> bool:
        """The file grew: whether the places known so far may be kept, to be looked at when they are read."""
        if not isinstance(self.shard, Tar):  # the directory of a zip file moves
            return False
        self._walk = _images(self.shard, self._names)
        self._grew = True
        return True

    def find(self, name: str) -> Entry | None:
        entry = self._look(name)
        if entry is None and self._grew:  # or it was written anew in its old place
            self._begin()
            entry = self._look(name)
        return entry

    def _look(self, name: str) -> Entry | None:
        at = self._names.find(name)
        if at is not None:
            entry = self.shard.entry_at(at)
            return entry if entry is not None and stands_for(entry.name, name) else None
        try:
            return next((entry for taken, entry in self._walk if taken == name), None)
        except BadShard:  # whoever lists the members is told
            return None
        except OSError:
            self._begin()  # a walk that was cut off would end where it is, and the members behind it seem gone
            raise


def _images(shard: Shard, names: Names) -> Iterator[tuple[str, Entry]]:
    for entry in shard.entries():
        if len(names) >= MOST_IMAGES:
            raise BadShard("too large", f"more than {MOST_IMAGES} images; write several smaller shards")
        name = names.take(entry.name, entry.at)
        if name is not None:
            yield name, entry


def _opened(file: ShardFile, path: str) -> Shard:
    return Tar(file) if path.lower().endswith(".tar") else Zip(file)


def _joined(root: Path, path: str) -> str:
    return f"{root}/{path}"  # of each member that is read: no Path
