"""A disk that is full or may not be written to is said in one line, not in a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bundle.errors import BadData


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Raises BadData for an OSError in the block."""
    try:
        yield
    except OSError as error:
        what = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        raise BadData(f"{folder}: cannot be written ({what}); free some space there or give another --out") from None
