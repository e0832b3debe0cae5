"""Ten thousand broken, hostile and absurd image files: the daemon must outlive them all and account for each.

    python -m tests.reliability.mutated [--images N] [--seed S] [--bundle DIR] [--from FOLDER] [--keep FOLDER]

Files of all formats are mutated (recipes.py) and put into the folder of a real daemon. It works in batches of one image, so
that a standstill of its progress is one file's time, measured in processor seconds, whatever else runs. It must run to the
end as the same process, with bounded memory, and every file must end counted or rejected with a reason.
`--keep` writes the files into a folder instead, to look at one. Exit code 1: a fault.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.ledger.migrations import WAITING

from ..edge.images import FORMATS, image_bytes, kind_of
from .recipes import mutations, set_pieces
from .ship import Image, Ship, Usage, options, taken_from, tell

PEAK_MIB = 600  # what the design allows the daemon at any load
FILE_SECONDS = 5  # processor seconds that one file may take; systemd's watchdog waits 30 s (systemd/)
STALLED_SECONDS = 120  # then we give up
AHEAD = 500  # files put in before the daemon has decided: bounds what lies on the disk and how long a wait lasts


@dataclass(frozen=True)
class Ended:
    """What a run left."""

    files: int
    contents: int  # distinct ones
    accounting: dict[str, int]
    reasons: Counter[str]
    usage: Usage
    seconds: float
    slowest: tuple[float, str]  # processor seconds without progress, and the file that ended it


def hostile(sources: Sequence[Image], count: int, seed: int) -> Iterator[Image]:
    """All set pieces, and mutations up to `count` files in all."""
    pieces = set_pieces()
    for name, make in pieces.items():
        yield name, make()
    yield from mutations(sources, max(0, count - len(pieces)), seed)


def sources_from(folder: Path | None, seed: int) -> list[Image]:
    """Whole files to mutate."""
    if folder:
        return taken_from(folder, 500)
    return [
        (f"{number}{suffix}", image_bytes(kind_of(number), seed * 1000 + number, suffix))
        for number in range(9)
        for suffix in FORMATS
    ]


def survive(files: Iterator[Image], base: Path, bundle: Path) -> tuple[Ended, list[str]]:
    """One run; returns what it left, and what is wrong."""
    put, contents, wrong = 0, set(), []
    slowest = (0.0, "")
    began = time.monotonic()
    with Ship(base, bundle, batch_images=1) as ship:
        ship.start()
        pid = ship.process.pid
        progress, since, used, more = (0, 0), time.monotonic(), 0.0, True
        while more or ship.decided() != (put, 0):
            if ship.ended():
                wrong.append(f"the daemon ended with {ship.process.returncode}: {ship.log.read_text()[-1500:]}")
                break
            while more and put - progress[0] < AHEAD:
                if (file := next(files, None)) is None:
                    more = False
                else:
                    put += 1
                    contents.add(hashlib.sha256(file[1]).digest())
                    place = ship.watch / file[0]
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(file[1])
            now, found, spent = time.monotonic(), ship.decided(), ship.usage().processor_seconds
            if found[0] != progress[0] or not found[1]:
                if progress[1] and spent - used > slowest[0]:
                    slowest = (spent - used, _last_decided(ship))
                since, used = now, spent
            progress = found
            if now - since > STALLED_SECONDS:
                wrong.append(
                    f"no progress in {STALLED_SECONDS} s; decided and waiting {found} of {put}; at {_waiting(ship)}"
                )
                break
            time.sleep(0.02)
        else:
            wrong += ship.faults(seen=len(contents), duplicates=put - len(contents))
            wrong += [f"not as the same process {pid}"] * (ship.status()["pid"] != pid)
            wrong += [line for line in ship.log.read_text().splitlines() if "it is replaced" in line]
        reasons = Counter(dict(ship.rows("SELECT reason, COUNT(*) FROM image WHERE reason IS NOT NULL GROUP BY 1")))
        unread = dict(ship.rows("SELECT reason, COUNT(*) FROM sighting WHERE reason IS NOT NULL GROUP BY 1"))
        usage = Usage(0, 0, 0, 0, 0) if ship.ended() else ship.usage()
        if unread:
            wrong.append(f"files that lie there were not read: {unread}")
        if usage.peak_mib > PEAK_MIB:
            wrong.append(f"peak memory {usage.peak_mib:.0f} MiB, the limit is {PEAK_MIB}")
        if slowest[0] > FILE_SECONDS:
            wrong.append(f"{slowest[1]} took {slowest[0]:.1f} processor seconds, the limit is {FILE_SECONDS}")
        if not ship.ended() and not wrong and ship.stop() != 0:
            wrong.append("the daemon did not end well")
        return Ended(put, len(contents), ship.accounting(), reasons, usage, time.monotonic() - began, slowest), wrong


def _last_decided(ship: Ship) -> str:
    return str(ship.rows("SELECT path FROM sighting WHERE image_id = (SELECT MAX(id) FROM image) LIMIT 1"))


def _waiting(ship: Ship) -> str:
    return str(ship.rows(f"SELECT path FROM sighting WHERE {WAITING} ORDER BY id LIMIT 1"))


def table(ended: Ended) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in ended.reasons.most_common())
    return (
        f"files {ended.files}, contents {ended.contents}, in {ended.seconds:.1f} s\n"
        f"accounts {', '.join(f'{name} {value}' for name, value in ended.accounting.items())}\n"
        f"rejected {reasons}\n"
        f"peak memory {ended.usage.peak_mib:.0f} MiB, at the end {ended.usage.resident_mib:.0f} MiB\n"
        f"longest standstill {ended.slowest[0]:.2f} processor seconds at {ended.slowest[1]}"
    )


def main() -> int:
    """The program; see the head of this file."""
    parser = options("hostile files break nothing", 10_000)
    parser.add_argument("--keep", type=Path)
    chosen = parser.parse_args()
    files = hostile(sources_from(chosen.folder, chosen.seed), chosen.images, chosen.seed)
    if chosen.keep:
        for name, data in files:
            (chosen.keep / name).parent.mkdir(parents=True, exist_ok=True)
            (chosen.keep / name).write_bytes(data)
        return 0
    with tempfile.TemporaryDirectory() as base:
        ended, wrong = survive(files, Path(base) / "ship", chosen.bundle)
    print(f"seed {chosen.seed}\n{table(ended)}")
    return tell(wrong, "every file accounted for, by one process")


if __name__ == "__main__":
    sys.exit(main())
