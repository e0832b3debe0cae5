"""What a person said of an image."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from bundle.errors import BadConfig

LABEL_LETTERS, PERSON_LETTERS = 100, 80


class HumanLabel(NamedTuple):
    """One row of the history. The label of a bundle, `unclassified` (cannot tell), or any other name.

    A tuple, made a hundred thousand times a second when the history is read; what is written is checked before (`check`).
    """

    sha256: bytes  # 32 bytes: the image, by its content; the same picture is the same organism wherever it lies
    label: str | None  # None: what was said is taken back, and the machine's verdict holds again
    person: str
    machine_label: str | None  # what the person saw as the machine's verdict; None: not known
    bundle_digest: str | None  # of the bundle that gave it
    labelled_ns: int  # UTC ns

    @property
    def confirms(self) -> bool:
        """Whether the person said what the machine had said."""
        return self.label is not None and self.label == self.machine_label


def check(said: HumanLabel) -> HumanLabel:
    """The same. Raises ValueError and BadConfig for what the history must not hold: a caller's fault."""
    if len(said.sha256) != 32:
        raise ValueError(f"a sha-256 has 32 bytes, not {len(said.sha256)}")
    if said.label is not None and said.label != checked_label(said.label):
        raise ValueError(f"not a clean label: {said.label!r}")
    if said.person != checked_person(said.person):
        raise ValueError(f"not a clean name: {said.person!r}")
    return said


def checked_label(text: str) -> str:
    """The label as it is kept: composed letters, single spaces, none at the ends. Raises BadConfig."""
    return _clean(text, "label", LABEL_LETTERS)


def checked_person(text: str) -> str:
    """The name of a person as it is kept. Raises BadConfig."""
    return _clean(text, "name", PERSON_LETTERS)


def _clean(text: str, what: str, most: int) -> str:
    clean = " ".join(unicodedata.normalize("NFC", text).split())
    if not clean:
        raise BadConfig(f"no {what} was given; write one")
    if len(clean) > most:
        raise BadConfig(f"the {what} has {len(clean)} letters; at most {most} are kept")
    if not clean.isprintable():
        raise BadConfig(f"the {what} {clean!r} has a character that cannot be printed; leave it out")
    return clean
