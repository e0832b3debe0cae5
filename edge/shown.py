"""Paths and other words of strangers in lines for a person: one line each, whatever bytes they have."""

from __future__ import annotations

import os


def shown(path: str) -> str:
    """A path within one line of text."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)
