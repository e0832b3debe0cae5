"""What the members of a shard are called: harmless paths, each once, and a compact table of where each is."""

from __future__ import annotations

import os
import re
from array import array
from hashlib import blake2b

from edge.intake.files import is_image_name

MOST_IMAGES = 1_000_000  # in one shard; the table then takes 34 MB


class Names:
    """The images of one shard, in the order in which they were taken."""

    def __init__(self) -> None:
        self._places = _Table()
        self._copies: dict[int, int] = {}  # key of a name that came again -> how often it was there

    def __len__(self) -> int:
        return len(self._places)

    def take(self, raw: str, at: int) -> str | None:
        """The path in the shard of a member that its writer called `raw`, at byte `at`; None if it is no image.

        A name that comes again is another image: `a.png`, `a~2.png`. Since a shard only grows at its end, what a member
        is called once it is called for good.
        """
        name = harmless(raw)
        if not is_image_name(name):
            return None
        if self._places.put(_key(name), at):
            return name
        first = _key(name)
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        copy = self._copies.get(first, 1) + 1
        while not self._places.put(_key(again := f"{stem}~{copy}{suffix}"), at):
            copy += 1
        self._copies[first] = copy
        return again

    def find(self, name: str) -> int | None:
        """The byte that was given with this name."""
        return self._places.get(_key(name))


def harmless(raw: str) -> str:
    """A relative path of printable letters; a backslash parts folders too, as writers on Windows mean it."""
    if not _ODD.search(raw) and len(raw) <= _LONGEST:
        return raw
    parts = [part for part in raw.replace("\\", "/").split("/") if part not in ("", ".")]
    name = _UNPRINTABLE.sub("_", "/".join("__" if part == ".." else part for part in parts))
    if len(name) > _LONGEST:
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        name = stem[: max(0, _LONGEST - len(suffix))] + suffix[:_LONGEST]
    return name


def stands_for(raw: str, name: str) -> bool:
    """Whether a member that its writer called `raw` can be the one that `Names.take` called `name`."""
    plain = harmless(raw)
    stem, suffix = os.path.splitext(plain)  # noqa: PTH122
    return name == plain or (name.startswith(f"{stem}~") and name.endswith(suffix))


def as_taken(name: str) -> str:
    r"""The name that `Names.take` gave, from the ledger's text, where bytes that are not UTF-8 are \xNN."""
    return _ESCAPED.sub(lambda escaped: chr(0xDC00 + int(escaped[1], 16)), name) if "\\" in name else name


def _key(name: str) -> int:
    # Of 64 bits: two of a million names have the same one in a shard of thirty million. Not hash(), which is another in
    # every process: a walk must give the same names again.
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little") or 1


class _Table:
    """64-bit keys, none 0, and their places in 16 bytes a slot and at most two thirds full; a dict takes 115 for each."""

    def __init__(self) -> None:
        self._count = 0
        self._make(1 << 10)

    def __len__(self) -> int:
        return self._count

    def put(self, key: int, place: int) -> bool:
        """False, and nothing changed, where the key is there already."""
        slot = self._slot(key)
        if self._keys[slot]:
            return False
        self._keys[slot], self._places[slot] = key, place
        self._count += 1
        if 3 * self._count > 2 * len(self._keys):
            keys, places = self._keys, self._places
            self._make(2 * len(keys))
            for old in range(len(keys)):
                if keys[old]:
                    slot = self._slot(keys[old])
                    self._keys[slot], self._places[slot] = keys[old], places[old]
        return True

    def get(self, key: int) -> int | None:
        slot = self._slot(key)
        return self._places[slot] if self._keys[slot] else None

    def _make(self, slots: int) -> None:
        self._keys, self._places, self._mask = array("Q", bytes(8 * slots)), array("Q", bytes(8 * slots)), slots - 1

    def _slot(self, key: int) -> int:
        """Where the key is, or the free slot for it: the next one from the place that its low bits name."""
        keys, mask = self._keys, self._mask
        slot = key & mask
        while keys[slot] and keys[slot] != key:
            slot = slot + 1 & mask
        return slot


_LONGEST = 4096  # letters, as the paths of a file system have at most
# Backslashes, what `_UNPRINTABLE` finds, and parts that are empty, "." or ".."; a leading ./ among them.
_CONTROLS = r"\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udc7f\udd00-\udfff"
_UNPRINTABLE = re.compile(f"[{_CONTROLS}]")
_ODD = re.compile(rf"[\\{_CONTROLS}]|(?:^|/)\.{{0,2}}(?:/|$)")
_ESCAPED = re.compile(r"\\x([89a-f][0-9a-f])")
