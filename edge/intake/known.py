"""Files that the ledger is done with, or has in hand: eight bytes each, so that a rescan of a million asks nobody.

A file is known by a 64-bit hash of its path, size and mtime. Two of a million files fall together with a chance of 3e-8,
and then only if one of them is new would it be passed by, until the next start: hashes are drawn anew by every process.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.intake.files import Found

_MERGE = 1 << 16  # hashes kept in a set (some 100 bytes each) before they are sorted into the array


class Known:
    """A set of files that only grows."""

    def __init__(self, merge: int = _MERGE) -> None:
        """merge: so many hashes are kept in a set before they are sorted in."""
        self._merge_at = merge
        self._sorted = np.empty(0, np.int64)
        self._recent: set[int] = set()

    def add(self, found: Found) -> None:
        """From now on `found` is known, as it was found."""
        self._recent.add(hash(found))
        if len(self._recent) >= self._merge_at:
            self._sort_in(np.sort(np.fromiter(self._recent, np.int64, len(self._recent))))
            self._recent = set()

    def _sort_in(self, recent: NDArray[np.int64]) -> None:
        at = self._sorted.searchsorted(recent)  # not np.union1d: that sorts the whole million anew
        if len(self._sorted):
            new = self._sorted[np.minimum(at, len(self._sorted) - 1)] != recent
            at, recent = at[new], recent[new]
        self._sorted = np.insert(self._sorted, at, recent)

    def unknown(self, found: Sequence[Found]) -> list[Found]:
        """Those that are not known, in their order."""
        keys = [hash(file) for file in found]
        if len(self._sorted) and keys:
            wanted = np.array(keys, np.int64)
            at = np.minimum(self._sorted.searchsorted(wanted), len(self._sorted) - 1)
            sorted_in = (self._sorted[at] == wanted).tolist()
        else:
            sorted_in = [False] * len(keys)
        return [
            file
            for file, key, there in zip(found, keys, sorted_in, strict=True)
            if not there and key not in self._recent
        ]
