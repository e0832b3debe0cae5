"""What can become of a file: the words that the classifying and the ledger share."""

from __future__ import annotations

from dataclasses import dataclass

from bundle.measures import Measures
from edge.capture.capture import Capture
from edge.intake.files import Found


@dataclass(frozen=True)
class Shadowed:
    """The verdict of a bundle that only shadows the one that counts."""

    digest: str  # of that bundle
    label: int  # its class index, or bundle.vote.NO_LABEL
    votes: int
    score: float  # 0..1
    asked: int | None = None  # members that were asked; None: all there are


@dataclass(frozen=True)
class Counted:
    """New content with a verdict; a rule of the name `aside`, if any, keeps it out of the counts."""

    found: Found
    sha256: bytes  # 32 bytes
    capture: Capture
    measures: Measures
    label: int  # class index, or bundle.vote.NO_LABEL
    votes: int
    score: float  # 0..1
    aside: str | None = None
    asked: int | None = None  # members that were asked; None: all there are
    scores: bytes | None = None  # of all classes, as edge.keptscores packs them
    shadow: Shadowed | None = None  # what a second bundle, which counts nothing, thought of it


@dataclass(frozen=True)
class Rejected:
    """Content that cannot be counted."""

    found: Found
    sha256: bytes  # 32 bytes
    capture: Capture
    reason: str  # a short word for tables
    detail: str


@dataclass(frozen=True)
class Again:
    """Content that the ledger knows already, or that stands earlier in the same batch."""

    found: Found
    sha256: bytes  # 32 bytes
    capture: Capture


@dataclass(frozen=True)
class Unread:
    """A file whose content was never read."""

    found: Found
    reason: str
    detail: str


Outcome = Counted | Rejected | Again | Unread
