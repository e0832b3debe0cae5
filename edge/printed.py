"""What a command has to say, on standard output or in a file."""

from __future__ import annotations

import sys
from pathlib import Path

from bundle.errors import BadConfig
from bundle.whole import write_whole


def put(text: str, out: Path | None) -> None:
    """To standard output, or whole into a file. Raises BadConfig when the file cannot be written."""
    if out is None:
        sys.stdout.buffer.write(text.encode())  # UTF-8 whatever the locale, as in a file: programs read it
        sys.stdout.buffer.flush()
        return
    try:
        write_whole(out, text.encode())
    except OSError as error:
        raise BadConfig(f"{out}: cannot be written ({error.strerror}); check the folder") from None
