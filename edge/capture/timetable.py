"""Names and their times, a million of them in 16 bytes each: what was read of a side-car."""

from __future__ import annotations

import os
from hashlib import blake2b

import numpy as np


class TimeTable:
    """UTC ns by name. Of two times of one name the later one holds."""

    def __init__(self) -> None:
        self._keys, self._times = np.empty(0, np.uint64), np.empty(0, np.int64)  # sorted by key
        self._fresh: dict[bytes, int] = {}  # key -> UTC ns: newer ones than those, not yet sorted in

    def __len__(self) -> int:
        return len(self._keys) + len(self._fresh)

    def add(self, name: bytes, ns: int) -> None:
        """A name as it stands in a side-car: with either slash; of an absolute path (also C:\\...) the last part counts."""
        self._fresh[_key(_relative(name))] = ns
        if len(self._fresh) > 65_536 + len(self._keys) // 8:
            self._sort_in()

    def find(self, path: str) -> int | None:
        """By the whole path, by the end of it, or by the bare name: the longest that has a time holds."""
        encoded = os.fsencode(path)
        while True:
            key = _key(encoded)
            ns = self._fresh.get(key)
            if ns is not None:
                return ns
            if len(self._keys):
                number = np.frombuffer(key, np.uint64)[0]
                place = int(self._keys.searchsorted(number))
                if place < len(self._keys) and self._keys[place] == number:
                    return int(self._times[place])
            _, slash, encoded = encoded.partition(b"/")
            if not slash:
                return None

    def _sort_in(self) -> None:
        keys = np.concatenate([self._keys, np.frombuffer(b"".join(self._fresh), np.uint64)])
        times = np.concatenate([self._times, np.fromiter(self._fresh.values(), np.int64, len(self._fresh))])
        order = np.argsort(keys, kind="stable")
        keys, times = keys[order], times[order]
        last = np.append(keys[1:] != keys[:-1], True)
        self._keys, self._times = keys[last], times[last]
        self._fresh = {}


def _key(name: bytes) -> bytes:
    """Sixty-four bits stand for a name: among a million names two are the same once in thirty million tables."""
    return blake2b(name, digest_size=8).digest()


def _relative(name: bytes) -> bytes:
    """A name as we know files: with forward slashes, and not from a root."""
    if b"\\" in name:
        name = name.replace(b"\\", b"/")
    if name.startswith(b"/") or name[1:2] == b":":
        return name.rpartition(b"/")[2]
    return name.removeprefix(b"./")
