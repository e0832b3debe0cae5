"""The power fails at any moment: the ledger must be whole at the next start, and end as if nothing had happened.

    python -m tests.reliability.power_cut [--images N] [--cuts K] [--seed S] [--checkpoint-pages P]

The real daemon counts images in a process of its own, with every write, truncation, sync and deletion of its SQLite files
recorded (recorded.py, crash_vfs.py). From the record we build what a power cut could leave at moment k (cutting.py,
torn_disk.py), K times, and ask of each: is the database whole; is it, page for page, the ledger after some commit; is that
commit no older than the last that was synced; do the accounts add up; is there no verdict that the undisturbed run did not
give; and does the real daemon, started on it, end with the verdicts and accounts of the undisturbed run. A fifth of the
cuts each falls into the making of the ledger, into checkpoints, and into the next start after a first cut; 5 K more are
only opened and looked at.

The control: the same with PRAGMA synchronous = OFF, where some cuts must leave a damaged ledger, or we could not see one.

Not shown: sectors that are torn inside, file-system metadata beyond a name and a size, and the files beside the ledger
(counts.csv, status.json; bundle/whole.py). The images are all there after the cut. A disk that lies about flushes is only
counted, for comparison: no ledger can stand that. Exit code 1: a fault.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from bundle.errors import BadConfig
from edge.daemon.daemon import Clock, run
from edge.daemon.notify import Notifier
from edge.ledger.ledger import open_ledger

from .crash_vfs import why_no_recording
from .cutting import NAME, Cutting, Sea, Tally
from .kill_nine import Image, drop_all, rendered
from .recorded import MODE, Counts, Decided, read
from .torn_disk import Kind


def judge(sea: Sea, folder: Path, name: str, wanted: Counts, tally: Tally) -> None:
    """Opens what a cut left as the daemon does, then lets the daemon finish; notes what is not as it should be."""
    ledger = folder / NAME
    try:
        open_ledger(ledger).close()
        found = read(ledger)
        if not found.adds_up():
            tally.wrong.append(f"{name}: the accounts do not add up: {found.accounting}")
        if not found.verdicts <= wanted.verdicts:
            tally.wrong.append(f"{name}: verdicts from nowhere: {sorted(found.verdicts - wanted.verdicts)[:3]}")
        run(sea.config(folder), Decided(ledger, len(sea.images)), Notifier(None), Clock())
        ended = read(ledger)
    except (sqlite3.Error, BadConfig, TimeoutError, AssertionError) as error:
        tally.wrong.append(f"{name}: {type(error).__name__}: {error}")
        return
    if ended != wanted:
        tally.wrong.append(
            f"{name}: ends with {dict(ended.accounting)} instead of {dict(wanted.accounting)}; missing "
            f"{sorted(wanted.verdicts - ended.verdicts)[:3]}, too many {sorted(ended.verdicts - wanted.verdicts)[:3]}"
        )


def undisturbed(sea: Sea, seed: int) -> tuple[Cutting, Counts, str]:
    """The record of a daemon that nobody disturbs: half of the images are there, the others arrive meanwhile."""
    folder, chance = sea.base / "undisturbed", random.Random(seed)
    folder.mkdir()
    sea.capture.mkdir()
    half = len(sea.images) // 2
    for name, data in sea.images[:half]:
        (sea.capture / name).parent.mkdir(exist_ok=True)
        (sea.capture / name).write_bytes(data)
    camera = threading.Thread(target=drop_all, args=(sea.capture, sea.images[half:], chance))
    camera.start()
    try:
        events = sea.recorded(folder)
    finally:
        camera.join()
    mode = ", ".join(event.path for event in events if event.kind is Kind.MARK and event.path.startswith(MODE))
    return Cutting(folder, events), read(folder / NAME), mode


def cut_twice(sea: Sea, cutting: Cutting, count: int, wanted: Counts, tally: Tally, chance: random.Random) -> None:
    """A first cut, the daemon started on what it left, a second cut: mostly while it starts."""
    first = Tally()
    for folder, name, left in cutting.cut(cutting.moments(count, "first of two", chance), first, chance):
        try:
            again = Cutting(folder, sea.recorded(folder), left)
        except RuntimeError as error:
            first.wrong.append(f"{name}: {error}")
            continue
        moment = chance.randint(0, again.ready if chance.random() < 0.7 else again.end)
        for second, second_name, _ in again.cut([(moment, "second of two")], tally, chance):
            judge(sea, second, f"{name}, then {second_name}", wanted, tally)
    tally.damaged += first.damaged
    tally.torn += first.torn
    tally.wrong += first.wrong


def study(images: Sequence[Image], base: Path, cuts: int, seed: int, checkpoint_pages: int) -> list[str]:
    """Everything; prints the figures and returns what is wrong, line by line: nothing, one hopes."""
    sea, chance, tally = Sea(base, images, checkpoint_pages), random.Random(seed), Tally()
    began = time.monotonic()
    cutting, wanted, mode = undisturbed(sea, seed)
    tell(f"undisturbed: {dict(wanted.accounting)}; {cutting.about()}; {mode}", began)
    if not wanted.adds_up():
        tally.wrong.append(f"undisturbed: the accounts do not add up: {wanted.accounting}")

    looked = Tally()
    for where, count in (("making", cuts), ("checkpoint", cuts), ("anywhere", 3 * cuts)):
        for _ in cutting.cut(cutting.moments(count, where, chance), looked, chance):
            pass
    tell(f"looked at: {looked.summary()}", began)

    for where in ("making", "checkpoint", "anywhere"):
        share = -(-cuts // 5) if where != "anywhere" else cuts - 3 * -(-cuts // 5)
        for folder, name, _ in cutting.cut(cutting.moments(share, where, chance), tally, chance):
            judge(sea, folder, name, wanted, tally)
    cut_twice(sea, cutting, -(-cuts // 5), wanted, tally, chance)
    tell(f"judged to the end: {tally.summary()}", began)

    control = Tally()
    careless = sea.base / "careless"
    careless.mkdir()
    uncertain = Cutting(careless, sea.recorded(careless, careless=True))
    for _ in uncertain.cut(uncertain.moments(max(100, cuts), "anywhere", chance), control, chance):
        pass
    tell(f"control, synchronous = OFF: {uncertain.about()}; {control.summary()}", began)
    for fault in control.faults()[:3]:
        print(f"    as it should be: {fault}")
    lied = Tally()
    lied_to = cutting.on_a_lying_disk()
    for _ in lied_to.cut(lied_to.moments(max(100, cuts), "anywhere", chance), lied, chance):
        pass
    tell(f"for comparison, a disk that lies about flushes: {lied.summary()}", began)
    blind = []
    if not control.damaged + control.torn:
        blind.append(
            f"the control shows nothing: no damage in {control.cuts.total()} cuts of a ledger that is never synced"
        )
    return looked.faults() + tally.faults() + blind


def tell(text: str, began: float) -> None:
    print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)


def main() -> int:
    """The program; see the head of this file."""
    environment = os.environ.get
    parser = argparse.ArgumentParser(description="a power cut at any moment changes no count")
    parser.add_argument("--images", type=int, default=int(environment("PLANKTOW_RELIABILITY_IMAGES", "300")))
    parser.add_argument("--cuts", type=int, default=int(environment("PLANKTOW_CUTS", "30")))
    parser.add_argument("--seed", type=int, default=int(environment("PLANKTOW_SEED", "0")))
    parser.add_argument("--checkpoint-pages", type=int, default=100, help="SQLite's own default is 1000")
    options = parser.parse_args()
    if why := why_no_recording():
        print(f"not possible with this Python: {why}")
        return 2
    images = rendered(options.images)
    print(f"{len(images)} files, {options.cuts} cuts, seed {options.seed}, SQLite {sqlite3.sqlite_version}", flush=True)
    with tempfile.TemporaryDirectory() as base:
        logging.basicConfig(filename=Path(base) / "log")
        wrong = study(images, Path(base), options.cuts, options.seed, options.checkpoint_pages)
    for line in wrong or ["every ledger was whole, and ended as the undisturbed one"]:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
