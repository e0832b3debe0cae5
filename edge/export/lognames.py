"""What the quantities of the ship's logs are called among the columns of an export: like none of its own."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence


def log_names(names: Sequence[str], taken: Container[str]) -> dict[str, str]:
    """Each of `names` with its column: small letters, digits and _, a letter first, none of them twice or `taken`."""
    columns: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "x"
        column = plain if plain[0].isalpha() else f"log_{plain}"
        while column in taken or column in columns.values():
            column = f"log_{column}"
        columns[name] = column
    return columns
