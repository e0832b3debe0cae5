"""From files to outcomes: read whole, known by content, prepared, and classified a batch at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bundle.ensemble import Ensemble
from bundle.errors import BadImage
from bundle.folder import Bundle
from bundle.preprocess import Prepared
from edge.files import Found
from edge.ledger import UNREADABLE
from edge.outcome import Again, Counted, Outcome, Rejected, Unread
from edge.settle import Candidate


@dataclass(frozen=True)
class Ready:
    """New content that awaits its verdict."""

    found: Found
    sha256: bytes
    prepared: Prepared


def take_in(
    root: Path, candidate: Candidate, bundle: Bundle, max_image_bytes: int, knows: Callable[[bytes], bool]
) -> Ready | Again | Rejected | Unread | None:
    """Reads one file and prepares its image, or says why not. None: not now, the file must be looked at again.

    knows: whether content of this sha-256 was decided before; it is then not decoded.
    A file that has not settled gets no verdict of its faults: its writer may not be done.
    """
    found = candidate.found
    if found.size > max_image_bytes:
        detail = f"{found.size} bytes, the limit is {max_image_bytes} (max_image_bytes)"
        return Unread(found, "too large", detail) if candidate.settled else None
    try:
        data = read_whole(root / found.path, found)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return Unread(found, UNREADABLE, error.strerror or str(error)) if candidate.settled else None
    if data is None:
        return None
    sha256 = hashlib.sha256(data).digest()
    if knows(sha256):
        return Again(found, sha256)
    try:
        return Ready(found, sha256, bundle.prepare(data))
    except BadImage as bad:
        return Rejected(found, sha256, bad.reason, bad.detail) if candidate.settled else None


def read_whole(file: Path, found: Found) -> bytes | None:
    """The bytes of a file that is, before and after the reading, as it was `found`; else None. Raises OSError."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # non-blocking: it might be a pipe by now
    with os.fdopen(descriptor, "rb", buffering=0) as opened:
        data = opened.read(found.size + 1)  # one more than there should be: a growing file shows itself
        while data and len(data) < found.size:
            rest = opened.read(found.size + 1 - len(data))
            if not rest:
                break
            data += rest
        after = os.fstat(descriptor)
    if (len(data), after.st_size, after.st_mtime_ns) != (found.size, found.size, found.mtime_ns):
        return None
    return data


def decide(bundle: Bundle, ensemble: Ensemble, taken: Sequence[Ready | Again | Rejected | Unread]) -> list[Outcome]:
    """The outcomes of a batch, in its order: those that are ready are classified together."""
    ready = [item for item in taken if isinstance(item, Ready)]
    if not ready:
        return [item for item in taken if not isinstance(item, Ready)]
    votes = bundle.classify(ensemble, [item.prepared for item in ready])
    verdicts = iter(zip(votes.label.tolist(), votes.votes.tolist(), votes.score.tolist(), strict=True))
    outcomes: list[Outcome] = []
    for item in taken:
        if isinstance(item, Ready):
            label, count, score = next(verdicts)
            prepared = item.prepared
            outcomes.append(Counted(item.found, item.sha256, prepared.width, prepared.height, label, count, score))
        else:
            outcomes.append(item)
    return outcomes
