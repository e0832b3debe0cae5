"""The class folders of a data set: which files each holds, and why their names or contents would not do."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bundle.errors import BadData
from bundle.imagefile import IMAGE_SUFFIXES
from bundle.labels import UNCLASSIFIED

ClassFiles = dict[str, list[Path]]  # class name to its image files, both sorted

# What Windows, exFAT and network shares refuse in a name, or silently change. A data set that was named on Linux is
# copied to such disks sooner or later, and two of its classes must not become one there.
_NOT_IN_NAMES = '\\/:*?"<>|'
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789")}
)


def class_files(folder: Path) -> ClassFiles:
    """The image files in FOLDER/CLASS, any depth. Hidden folders are none. Raises BadData where there is no folder."""
    if not folder.is_dir():
        raise BadData(f"{folder}: not a folder; give a folder that has one sub-folder of images for each class")
    return {
        sub.name: sorted(path for path in sub.rglob("*") if is_image(path))
        for sub in sorted(folder.iterdir())
        if sub.is_dir() and not sub.name.startswith(".")
    }


def is_image(path: Path) -> bool:
    """Whether the name says that this is an image that we read."""
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def folder_faults(folder: Path, files: Mapping[str, Sequence[Path]]) -> list[str]:
    """Why nothing can be trained on these class folders, a line for each fault; none where all is well."""
    faults = []
    if len(files) < 2:
        faults.append(f"{folder}: {len(files)} class sub-folder(s), but a classifier needs at least two")
        if not files and any(map(is_image, folder.iterdir())):
            faults[0] += "; the images lie loose in it: put them into a sub-folder for each class"
    faults += [
        f"{folder / name}: no images in this class; fill the folder or take it away"
        for name, paths in files.items()
        if not paths
    ]
    return name_faults(folder, files) + faults


def name_faults(folder: Path, names: Iterable[str]) -> list[str]:
    """Why these names of class folders cannot be labels, or file names on another computer; a line for each fault."""
    faults = []
    seen: dict[str, str] = {}
    for name in names:
        fault = _name_fault(name)
        if fault is not None:
            faults.append(f"{folder}: the class folder {name!r} {fault}; rename it")
        first = seen.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if first != name:
            faults.append(
                f"{folder}: the class folders {first!r} and {name!r} are one folder on disks that do not tell capital "
                "letters or accents apart; rename or join them"
            )
    return faults


def _name_fault(name: str) -> str | None:
    if not name.isprintable():
        return "has a character that cannot be printed"
    if name != name.strip(" ") or not name:
        return "begins or ends with a space"
    found = [character for character in _NOT_IN_NAMES if character in name]
    if found:
        return f"has a {found[0]}, which cannot stand in a file name on every disk"
    if name.endswith("."):
        return "ends with a dot, which Windows drops"
    if name.split(".")[0].strip().lower() in _RESERVED:
        return "is the name of a device on Windows and cannot be a file name there"
    if name == UNCLASSIFIED:
        return "has the name that an open vote gives"
    return None
