"""Arrays kept on disk between two runs: a convenience, so nothing that is wrong with it stops a run."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.whole import json_bytes, write_whole_with

Arrays = Mapping[str, NDArray[Any]]

_NOTES = "notes"  # the array that holds the notes, as JSON

# What NumPy's reader raises on files that are cut, overwritten or of something else. It unpickles nothing.
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def keep(path: Path, notes: object, arrays: Arrays, say: Callable[[str], None]) -> None:
    """Writes notes (a JSON value) and arrays to `path` whole, or says why that cannot be."""

    def fill(file: Any) -> None:
        np.savez(file, **{_NOTES: np.frombuffer(json_bytes(notes), np.uint8)}, **arrays)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole_with(path, fill)
    except OSError as error:
        say(f"{path}: not kept ({error.strerror}); the images will be read anew the next time")


def kept(path: Path, say: Callable[[str], None]) -> tuple[Any, dict[str, NDArray[Any]]] | None:
    """Notes and arrays as they were given to `keep`; None where there are none, or where they are damaged, which is said."""
    if not path.exists():
        return None
    try:
        # Opened here: NumPy would leave a file that is no archive open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return json.loads(arrays.pop(_NOTES).tobytes()), arrays
    except _DAMAGED:
        say(f"{path}: damaged; the images are read anew")
        return None
