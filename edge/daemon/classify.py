"""From files to outcomes: read whole, known by content, measured, prepared, and classified a batch at a time."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bundle.ensemble import Ensemble
from bundle.errors import BadImage
from bundle.folder import Bundle
from bundle.measures import Measures, measure
from bundle.preprocess import Pixels, Prepared, decode_as, inspect_within
from edge.capture.capture import Capture, CaptureTimes
from edge.daemon.outcome import Again, Counted, Outcome, Rejected, Unread
from edge.intake.files import Found, mtime_of
from edge.intake.settle import Candidate
from edge.keptscores import pack
from edge.shards.shards import Shards


@dataclass(frozen=True)
class Ready:
    """New content that awaits its verdict."""

    found: Found
    sha256: bytes
    capture: Capture
    measures: Measures
    prepared: Prepared
    for_shadow: Prepared | None = None  # for a second bundle that sees it too


class Preparing(Protocol):
    """How a second bundle wants an image: of this sha-256, decoded, and as the first one wants it; None: it does not."""

    def prepare(self, sha256: bytes, grey: Pixels, prepared: Prepared) -> Prepared | None: ...


Taken = Ready | Again | Rejected | Unread


class Reader:
    """Reads files of the watched folder, members of its archives too, and prepares their images."""

    def __init__(
        self,
        root: Path,
        bundle: Bundle,
        times: CaptureTimes,
        shards: Shards,
        max_image_bytes: int,
        alone: Callable[[int], AbstractContextManager[None]] = lambda _pixels: contextlib.nullcontext(),
        shadow: Preparing | None = None,
    ) -> None:
        """alone: the time in which a file of so many bytes, or an image of so many pixels, may be held, for a caller who
        bounds the memory.
        """
        self._root, self._bundle, self._times, self._shards = root, bundle, times, shards
        self._max_image_bytes, self._alone, self._shadow = max_image_bytes, alone, shadow

    def take_in(self, candidate: Candidate, knows: Callable[[bytes], bool]) -> Taken | None:
        """Reads one file and prepares its image, or says why not. None: not now, the file must be looked at again.

        knows: whether content of this sha-256 was decided before; it is then not decoded.
        A file that has not settled gets no verdict of its faults: its writer may not be done. Raises OSError where the
        file is there and cannot be read, which may pass.
        """
        found = candidate.found
        if found.size > self._max_image_bytes:
            detail = f"{found.size} bytes, the limit is {self._max_image_bytes} (max_image_bytes)"
            return Unread(found, "too large", detail) if candidate.settled else None
        with self._alone(found.size):
            return self._taken_in(candidate, knows)

    def _taken_in(self, candidate: Candidate, knows: Callable[[bytes], bool]) -> Taken | None:
        found = candidate.found
        try:
            data = self.read(found)
        except FileNotFoundError:
            return None
        except BadImage as bad:  # an archive's member whose bytes cannot be had
            return Unread(found, bad.reason, bad.detail) if candidate.settled else None
        if data is None:
            return None
        sha256 = hashlib.sha256(data).digest()
        capture = self._times.of(found, data)
        if knows(sha256):
            return Again(found, sha256, capture)
        try:
            header = inspect_within(data, self._bundle.manifest.input.max_image_pixels)
            with self._alone(header.width * header.height):
                grey = decode_as(header, data)
                del data  # of a large image as much again as its pixels
                prepared = self._bundle.prepare_grey(grey)
                shadow = self._shadow.prepare(sha256, grey, prepared) if self._shadow else None
                return Ready(found, sha256, capture, measure(grey), prepared, shadow)
        except BadImage as bad:
            return Rejected(found, sha256, capture, bad.reason, bad.detail) if candidate.settled else None

    def read(self, found: Found) -> bytes | None:
        """The bytes of a file, or of a member of an archive, that is as it was `found`; else None. Raises OSError, BadImage."""
        try:
            return read_whole(f"{self._root}/{found.path}", found)
        except NotADirectoryError:
            return self._shards.read(found, self._max_image_bytes)


def read_whole(file: str | Path, found: Found) -> bytes | None:
    """The bytes of a file that is, before and after the reading, as it was `found`; else None. Raises OSError."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # non-blocking: it might be a pipe by now
    try:
        data = os.read(descriptor, found.size + 1)  # one more than there should be: a growing file shows itself
        while data and len(data) < found.size:
            rest = os.read(descriptor, found.size + 1 - len(data))
            if not rest:
                break
            data += rest
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if (len(data), after.st_size, mtime_of(after)) != (found.size, found.size, found.mtime_ns):
        return None
    return data


def decide(bundle: Bundle, ensemble: Ensemble, taken: Sequence[Taken], all_ballots: bool = False) -> list[Outcome]:
    """The outcomes of a batch, in its order: those that are ready are classified together.

    all_ballots: ask every member, also where the hard vote is decided already.
    """
    ready = [item for item in taken if isinstance(item, Ready)]
    if not ready:
        return [item for item in taken if not isinstance(item, Ready)]
    found = bundle.classify(ensemble, [item.prepared for item in ready], all_ballots)
    columns = (found.label, found.votes, found.score, found.asked)
    verdicts = zip(*(column.tolist() for column in columns), pack(found.mean), strict=True)
    outcomes: list[Outcome] = []
    for item in taken:
        if isinstance(item, Ready):
            label, votes, score, asked, scores = next(verdicts)
            verdict = (item.found, item.sha256, item.capture, item.measures, label, votes, score)
            outcomes.append(Counted(*verdict, asked=asked, scores=scores))
        else:
            outcomes.append(item)
    return outcomes
