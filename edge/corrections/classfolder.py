"""What a label is called as a folder of images, on every disk."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from bundle.labels import UNCLASSIFIED

_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|\s*$)", re.IGNORECASE)  # names that Windows keeps
_MOST_BYTES = 120  # of the 255 that a name may have; a number may follow


def class_folders(labels: Iterable[str]) -> dict[str, str]:
    """label -> folder name, unlike each other also where a disk does not tell capital letters apart.

    As the trainer wants its class folders: no character that some disk refuses, no leading or final dot, no device of Windows.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for label in sorted(labels):
        plain = _plain(label)
        name, number = plain, 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.casefold())
        found[label] = name
    return found


def _plain(label: str) -> str:
    name = _NOT_IN_NAMES.sub("_", unicodedata.normalize("NFC", label))
    name = "".join(letter if letter.isprintable() else "_" for letter in name)
    name = name.encode()[:_MOST_BYTES].decode(errors="ignore").strip()
    if name.startswith("."):
        name = "_" + name[1:]
    if name.endswith("."):
        name = name[:-1] + "_"
    return f"_{name}" if not name or name == UNCLASSIFIED or _DEVICES.match(name) else name
