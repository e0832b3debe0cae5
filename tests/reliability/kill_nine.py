"""Images arrive in bursts, the daemon is killed with `kill -9` on the way: the ledger must end as if nothing had happened.

    python -m tests.reliability.kill_nine [--images N] [--from FOLDER] [--bundle DIR] [--kills 2] [--seed 0]

Plays the same images into two folders. One has a daemon that is left in peace, the other one that is killed at random
moments while images arrive, and started again. Both must end with the same set of (sha-256, label), each image once,
nothing waiting, and the accounts adding up. Prints both runs' figures; exit code 1 and the difference if they differ.

The moments are drawn from the seed, as numbers of files decided: reproducible as far as a scheduler allows.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge.ledger.ledger import open_ledger_readonly

from .ship import Image, Ship, drop_all, options, rendered, rows, taken_from, tell, until


@dataclass(frozen=True)
class Ended:
    """What a run left in its ledger."""

    verdicts: frozenset[tuple[str, int]]  # sha-256 in hexadecimal, class index
    rejects: frozenset[tuple[str, str]]  # sha-256 in hexadecimal, reason
    accounting: tuple[int, ...]  # seen, counted, rejected, waiting, duplicates
    kills: tuple[str, ...]  # files decided + files waiting, each time it was killed
    seconds: float


def play(images: Sequence[Image], base: Path, bundle: Path, kills: int, seed: int) -> Ended:
    """One run in the new folder `base`, with the daemon killed `kills` times while images arrive."""
    began = time.monotonic()
    # Its progress when it is killed: in the first four fifths, so that there is work in hand and work to come.
    kill_at = sorted(random.Random(seed).sample(range(1, len(images) * 4 // 5), kills))
    killed = []
    with Ship(base, bundle) as ship:
        camera = threading.Thread(target=drop_all, args=(ship.watch, images, random.Random(seed)))
        ship.start(ready=False)
        camera.start()
        try:
            for progress in kill_at:
                until(lambda at=progress: ship.decided()[0] >= at, f"{progress} files decided")
                ship.kill()
                killed.append("{:g}+{:g}".format(*ship.decided()))
                ship.start(ready=False)
        finally:
            camera.join()
        ship.await_decided(len(images))
        assert ship.stop() == 0, "the daemon did not end well"
    return read(ship.ledger, tuple(killed), time.monotonic() - began)


def read(ledger: Path, kills: tuple[str, ...], seconds: float) -> Ended:
    with closing(open_ledger_readonly(ledger)) as connection:
        connection.execute("BEGIN")
        return Ended(
            frozenset(rows(connection, "SELECT hex(sha256), label FROM verdict JOIN image ON image.id = image_id")),
            frozenset(rows(connection, "SELECT hex(sha256), reason FROM image WHERE reason IS NOT NULL")),
            next(rows(connection, "SELECT seen, counted, rejected, waiting, duplicates FROM accounting")),
            kills,
            seconds,
        )


def compare(images: Sequence[Image], base: Path, bundle: Path, kills: int, seed: int) -> list[str]:
    """Both runs; returns what is wrong, line by line: nothing, one hopes."""
    undisturbed = play(images, base / "undisturbed", bundle, 0, seed)
    killed = play(images, base / "killed", bundle, kills, seed)
    for name, ended in (("undisturbed", undisturbed), (f"killed {kills} times", killed)):
        seen, counted, rejected, waiting, duplicates = ended.accounting
        print(
            f"{name:16} {ended.seconds:6.1f} s  seen {seen} = counted {counted} + rejected {rejected} + waiting "
            f"{waiting}; duplicates {duplicates}; killed at {', '.join(ended.kills) or '-'}",
            flush=True,
        )
    wrong = []
    for name, ended in (("undisturbed", undisturbed), ("killed", killed)):
        seen, counted, rejected, waiting, _ = ended.accounting
        if seen != counted + rejected + waiting:
            wrong.append(f"{name}: the accounts do not add up: {ended.accounting}")
        if len(ended.verdicts) != counted or len({sha256 for sha256, _ in ended.verdicts}) != counted:
            wrong.append(f"{name}: {counted} verdicts for {len({sha256 for sha256, _ in ended.verdicts})} images")
    if undisturbed.accounting != killed.accounting:
        wrong.append(f"accounts differ: undisturbed {undisturbed.accounting}, killed {killed.accounting}")
    for what, one, other in (
        ("verdicts", undisturbed.verdicts, killed.verdicts),
        ("rejects", undisturbed.rejects, killed.rejects),
    ):
        if one != other:
            wrong.append(f"{what}: only undisturbed {sorted(one - other)[:5]}, only killed {sorted(other - one)[:5]}")
    if len(killed.kills) != kills:
        wrong.append(f"killed {len(killed.kills)} times, {kills} were asked for")
    return wrong


def main() -> int:
    """The program; see the head of this file."""
    parser = options("kill -9 on the way changes no count", 300)
    parser.add_argument("--kills", type=int, default=2)
    chosen = parser.parse_args()
    images = taken_from(chosen.folder, chosen.images) if chosen.folder else rendered(chosen.images)
    print(f"{len(images)} files, seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory() as base:
        wrong = compare(images, Path(base), chosen.bundle, chosen.kills, chosen.seed)
    return tell(wrong, "the same verdicts, each image once")


if __name__ == "__main__":
    sys.exit(main())
