"""The token that gives the right to write: kept in a file that only its owner reads, made when there is none."""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadConfig

LEAST_LETTERS = 12
_MOST_BYTES = 1000


@dataclass(frozen=True)
class Token:
    """The token; `made`: this start wrote the file."""

    text: str
    made: bool


def read_or_make_token(file: Path) -> Token:
    """From the file, which is made when it is missing, with mode 600. Raises BadConfig."""
    try:
        return _read(file)
    except FileNotFoundError:
        pass
    text = secrets.token_urlsafe(18)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(text + "\n")
    except FileExistsError:  # another server was faster
        return _read(file)
    except OSError as error:
        raise BadConfig(
            f"{file}: cannot be made ({error.strerror}); give --token-file FILE in a folder that this user may write to, "
            "or --read-only"
        ) from None
    return Token(text, made=True)


def _read(file: Path) -> Token:
    try:
        with file.open("rb") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            text = opened.read(_MOST_BYTES).decode("ascii").strip()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadConfig(f"{file}: cannot be read ({error.strerror}); allow this user to read it") from None
    except UnicodeDecodeError:
        raise BadConfig(f"{file}: no token; it must be plain letters and digits") from None
    if mode & 0o077:
        raise BadConfig(f"{file}: others on this host may read the token; run: chmod 600 {file}")
    if len(text) < LEAST_LETTERS or not text.isprintable() or " " in text:
        raise BadConfig(
            f"{file}: a token has at least {LEAST_LETTERS} letters and no spaces; delete the file for a new one"
        )
    return Token(text, made=False)
