"""Where the time of an image goes: the daemon's own functions, called one after another in one thread on the same files."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from bundle.folder import Bundle
from bundle.measures import measure
from bundle.preprocess import decode_as, inspect_within
from edge.capture.capture import CaptureTimes
from edge.config import EdgeConfig
from edge.daemon.classify import read_whole
from edge.daemon.outcome import Counted
from edge.intake.files import Found
from edge.ledger.ledger import Ledger, open_ledger
from edge.ledger.ledgerfile import open_ledger_readonly

STAGES = ("note", "read", "hash", "capture time", "known?", "decode", "measure", "prepare", "members", "record")
ALL_MEMBERS = "members, all asked"  # instead of "members", where ballots = "all"


class Stages:
    """Takes the stages apart, batch by batch. Loaded once, used in every round."""

    def __init__(self, bundle: Bundle, root: Path) -> None:
        self._bundle, self._root = bundle, root
        self._ensemble, self._all = bundle.load(threads=1), bundle.load(threads=1)  # each keeps to its batch sizes
        self._seconds: dict[str, float] = {}

    def microseconds(self, files: Sequence[Found], ledger_file: Path) -> dict[str, float]:
        """For an image, of each of STAGES and ALL_MEMBERS. `files` are under the root; the ledger is new, and deleted after."""
        self._seconds = dict.fromkeys((*STAGES, ALL_MEMBERS), 0.0)
        size = EdgeConfig().batch_images
        times = CaptureTimes(EdgeConfig().time, self._root)
        with open_ledger(ledger_file) as ledger, closing(open_ledger_readonly(ledger_file)) as reader:
            bundle_id = ledger.bundle_id(self._bundle, time.time_ns())
            for start in range(0, len(files), size):
                self._one_batch(files[start : start + size], ledger, reader, bundle_id, times)
        for file in ledger_file.parent.glob(f"{ledger_file.name}*"):
            file.unlink()
        return {name: 1e6 * seconds / len(files) for name, seconds in self._seconds.items()}

    def _one_batch(
        self, batch: Sequence[Found], ledger: Ledger, reader: sqlite3.Connection, bundle_id: int, times: CaptureTimes
    ) -> None:
        bundle = self._bundle
        most = bundle.manifest.input.max_image_pixels
        with self._stage("note"):
            ledger.note(batch, time.time_ns())
        with self._stage("read"):
            contents = [read_whole(self._root / found.path, found) for found in batch]
        if None in contents:
            raise RuntimeError("a file changed while it was measured")
        with self._stage("hash"):
            hashes = [hashlib.sha256(data).digest() for data in contents]
        with self._stage("capture time"):
            captures = [times.of(found, data) for found, data in zip(batch, contents, strict=True)]
        with self._stage("known?"):
            query = "SELECT EXISTS (SELECT 1 FROM image WHERE sha256 = ?)"
            for sha256 in hashes:
                reader.execute(query, (sha256,)).fetchone()
        with self._stage("decode"):
            greys = [decode_as(inspect_within(data, most), data) for data in contents]
        with self._stage("measure"):
            measures = [measure(grey) for grey in greys]
        with self._stage("prepare"):
            prepared = [bundle.prepare_grey(grey) for grey in greys]
        with self._stage("members"):
            votes = bundle.classify(self._ensemble, prepared)
        with self._stage(ALL_MEMBERS):
            bundle.classify(self._all, prepared, all_ballots=True)
        with self._stage("record"):
            columns = (votes.label, votes.votes, votes.score, votes.asked)
            verdicts = zip(*(column.tolist() for column in columns), strict=True)
            facts = zip(batch, hashes, captures, measures, verdicts, strict=True)
            ledger.record([Counted(*known, *verdict) for *known, verdict in facts], bundle_id, time.time_ns())

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._seconds[name] += time.perf_counter() - began
