"""The file that an export writes: whole, or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadConfig
from bundle.whole import sync_folder


@dataclass(frozen=True)
class Exported:
    """What came of an export."""

    files: tuple[Path, ...]
    rows: int  # images, or bins and tows
    what: str  # "images", "events" or "bins"
    notes: tuple[str, ...] = ()  # what a person should know, a sentence each


def check_out(out: Path) -> None:
    """Raises BadConfig where no file can come to be there: before hours of work, and not after."""
    if out.is_dir():
        raise BadConfig(f"{out}: a folder; give --out the name of a file")
    if not out.parent.is_dir():
        raise BadConfig(f"{out.parent}: no such folder for the export; create it, or give another --out")
    if not os.access(out.parent, os.W_OK):
        raise BadConfig(f"{out.parent}: may not be written to; allow it, or give another --out")


@contextmanager
def whole_file(out: Path) -> Iterator[Path]:
    """A file to write, which bears the name `out` once the block has ended without an error, and is gone otherwise.

    Raises BadConfig where the disk refuses.
    """
    partial = partial_name(out)
    try:
        yield partial
        take_its_place(partial, out)
    except OSError as error:
        raise BadConfig(
            f"{out}: cannot be written ({error.strerror or error}); check the disk and the folder"
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def partial_name(out: Path) -> Path:
    """What `out` is called while it is written."""
    return out.with_name(f".{out.name}.{os.getpid()}.partial")


def take_its_place(partial: Path, out: Path) -> None:
    """Gives the finished file its name, so that a power cut leaves it whole or not there. Raises OSError."""
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(out)
    sync_folder(out.parent)
