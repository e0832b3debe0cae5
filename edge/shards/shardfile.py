"""What tar and zip shards have in common: the opened file, one entry of it, and the fault that ends a walk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from bundle.errors import PlanktowError


class BadShard(PlanktowError):
    """A shard that cannot be walked on. `reason` is a short word for tables, the text says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file in a shard, as the shard describes it."""

    at: int  # byte of the shard where this description begins
    name: str  # as the writer gave it: data, never a path to open
    size: int  # bytes, uncompressed
    mtime_ns: int  # UTC ns


class Shard(Protocol):
    """One opened shard of either kind. All its methods raise OSError where the disk does."""

    def entries(self) -> Iterator[Entry]:
        """The whole regular files, in the order of the shard. Raises BadShard where it cannot be walked on."""

    def entry_at(self, at: int) -> Entry | None:
        """The entry whose description begins at this byte, or None where there is no such thing (any more)."""

    def content(self, entry: Entry) -> bytes | None:
        """The entry's bytes, None where they are gone. Raises BadImage for faults of this one entry."""


class ShardFile:
    """The file under a shard: opened when it is read, closed whenever nobody needs it, and known by its identity."""

    def __init__(self, path: str) -> None:
        """Raises OSError where there is no such regular file."""
        self._path = path
        self._descriptor: int | None = None
        self._identity = self._look()

    @property
    def size(self) -> int:
        """Bytes, as of the last `change`."""
        return self._identity[2]

    def change(self) -> str:
        """What became of the file since we last asked: "" for nothing, "grown", or "other" for a file made anew.

        Grown is a file of at least the old length: appending to a tar may need no byte more than its old padding.
        """
        before, self._identity = self._identity, self._look()
        if self._identity == before:
            return ""
        return "grown" if self._identity[:2] == before[:2] and self._identity[2] >= before[2] else "other"

    def read(self, at: int, count: int) -> bytes:
        """`count` bytes from byte `at`; fewer where the file ends, or is said to have begun."""
        if not 0 <= at < self.size:  # a place that a header made up may not even fit the system's call
            return b""
        if self._descriptor is None:
            # Non-blocking: it might be a pipe by now.
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        data = os.pread(self._descriptor, count, at)
        while len(data) < count:  # a signal, or the kernel's limit of 2 GiB in one call
            rest = os.pread(self._descriptor, count - len(data), at + len(data))
            if not rest:
                break
            data += rest
        return data

    def close(self) -> None:
        """Lets go of the file; the next read opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _look(self) -> tuple[int, int, int, int]:
        status = os.stat(self._path)  # noqa: PTH116
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(f"{self._path}: not a regular file")
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def fitting_ns(seconds: int, ns: int = 0) -> int:
    """A time in ns that the ledger's 64 bits can hold; one that cannot be meant is the epoch."""
    total = seconds * 1_000_000_000 + ns
    return total if -(2**63) <= total < 2**63 else 0
