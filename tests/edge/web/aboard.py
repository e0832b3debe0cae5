"""A watched folder of drawn images and its ledger, counted as the daemon counts: read, decoded, classified, recorded."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from pathlib import Path

from bundle.folder import open_bundle
from edge.capture.capture import CaptureTimes
from edge.capture.timesettings import TimeSettings
from edge.daemon.classify import Reader, decide
from edge.intake.files import look
from edge.intake.settle import Candidate
from edge.ledger.ledger import open_ledger
from edge.shards.shards import Shards
from edge.web.place import Place

from ..images import TINY_BUNDLE, image_bytes, kind_of

SECOND = 1_000_000_000
NOW_NS = 1_795_600_800 * SECOND  # 2026-11-25T10:00:00Z: when the newest images of `count_drawn` were counted
TOKEN = "let me in"
ADDRESS = "http://127.0.0.1:8765"
KEEPER_NS = 40 * SECOND  # between an image's capture and the next one's


def count_drawn(base: Path, images: int) -> Place:
    """`images` drawn images (chain, sphere, jelly in turn; numbers 1 to `images`), then a file that is no image.

    They were taken every 40 s, the last at NOW_NS, and counted then. The page's clock stands at NOW_NS.
    """
    watch = base / "capture"
    watch.mkdir()
    names = []
    for number in range(images):
        names.append(f"{kind_of(number)}-{number:04d}.png")
        write(watch, names[-1], image_bytes(kind_of(number), seed=number), NOW_NS - (images - 1 - number) * KEEPER_NS)
    write(watch, "notes.png", b"no image at all", NOW_NS)
    count(base / "ledger.sqlite", watch, [*names, "notes.png"], NOW_NS)
    return Place(
        base / "ledger.sqlite",
        watch=watch,
        out=base / "counts",
        bundle=TINY_BUNDLE,
        token=TOKEN,
        now_ns=lambda: NOW_NS,
    )


def write(watch: Path, name: str, data: bytes, mtime_ns: int | None = None) -> None:
    """A file in the watched folder."""
    file = watch / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    if mtime_ns is not None:
        os.utime(file, ns=(mtime_ns, mtime_ns))


def count(ledger_file: Path, watch: Path, names: Sequence[str], now_ns: int) -> None:
    """These files (members of archives too) into the ledger, with the tiny bundle's verdicts, as counted at `now_ns`."""
    bundle = open_bundle(TINY_BUNDLE)
    times = CaptureTimes(TimeSettings(), watch, time.time_ns, time.monotonic, math.inf)
    with open_ledger(ledger_file) as ledger, Shards(watch) as shards:
        reader = Reader(watch, bundle, times, shards, 1 << 20)
        taken = []
        for name in names:
            found = look(watch, name) or shards.look(name)
            assert found is not None, name
            item = reader.take_in(Candidate(found, settled=True), lambda _sha256: False)
            assert item is not None, name
            taken.append(item)
        outcomes = decide(bundle, bundle.load(), taken)
        ledger.record(outcomes, ledger.bundle_id(bundle, now_ns), now_ns)
