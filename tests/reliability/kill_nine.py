"""Images arrive in bursts, the daemon is killed with `kill -9` on the way: the ledger must end as if nothing had happened.

    python -m tests.reliability.kill_nine [--images N] [--from FOLDER] [--bundle DIR] [--kills 2] [--seed 0]

Plays the same images into two folders. One has a daemon that is left in peace, the other one that is killed at random
moments while images arrive, and started again. Both must end with the same set of (sha-256, label), each image once,
nothing waiting, and the accounts adding up. Prints both runs' figures; exit code 1 and the difference if they differ.

The moments are drawn from the seed, as numbers of files decided: reproducible as far as a scheduler allows.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadConfig
from bundle.imagefile import IMAGE_SUFFIXES
from edge.ledger import open_ledger_readonly

from ..edge.images import FORMATS, TINY_BUNDLE, image_bytes, kind_of

Image = tuple[str, bytes]  # name, content


@dataclass(frozen=True)
class Ended:
    """What a run left in its ledger."""

    verdicts: frozenset[tuple[str, int]]  # sha-256 in hexadecimal, class index
    rejects: frozenset[tuple[str, str]]  # sha-256 in hexadecimal, reason
    accounting: tuple[int, ...]  # seen, counted, rejected, waiting, duplicates
    kills: tuple[str, ...]  # files decided + files waiting, each time it was killed
    seconds: float


def rendered(count: int) -> list[Image]:
    """Images in all formats, with some twice under another name, some torn and some foreign."""
    images = []
    for number in range(count):
        suffix = FORMATS[number % len(FORMATS)]
        data = image_bytes(kind_of(number), number, suffix)
        images.append((f"{number // 100:03d}/{number:06d}{suffix}", data))
        if number % 50 == 7:
            images.append((f"again/{number:06d}{suffix}", data))
        if number % 50 == 17:
            images.append((f"torn/{number:06d}.png", image_bytes("jelly", -number % 2**32, ".png")[:400]))
        if number % 50 == 27:
            images.append((f"foreign/{number:06d}.jpg", f"note {number}".encode()))
    return images


def taken_from(folder: Path, count: int) -> list[Image]:
    """The first `count` image files under `folder`, by name."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)[:count]
    return [(str(file.relative_to(folder)), file.read_bytes()) for file in files]


def play(images: Sequence[Image], base: Path, bundle: Path, kills: int, seed: int) -> Ended:
    """One run in the new folder `base`, with the daemon killed `kills` times while images arrive."""
    watch, ledger = base / "capture", base / "ledger.sqlite"
    watch.mkdir(parents=True)
    began = time.monotonic()
    # Its progress when it is killed: in the first four fifths, so that there is work in hand and work to come.
    kill_at = sorted(random.Random(seed).sample(range(1, len(images) * 4 // 5), kills))
    killed = []
    camera = threading.Thread(target=drop_all, args=(watch, images, random.Random(seed)))
    daemon = start(watch, bundle, ledger)
    try:
        camera.start()
        for progress in kill_at:
            until(lambda at=progress: decided(ledger)[0] >= at, f"{progress} files decided")
            daemon.send_signal(signal.SIGKILL)
            assert daemon.wait() == -signal.SIGKILL
            killed.append("{:g}+{:g}".format(*decided(ledger)))
            daemon = start(watch, bundle, ledger)
        camera.join()
        until(lambda: decided(ledger) == (len(images), 0), "everything decided")
        # One that was started a moment ago may not hear a SIGTERM as such yet.
        until(lambda: f"process {daemon.pid} watching" in ledger.with_name("log").read_text(), "the last daemon ready")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(120) == 0, "the daemon did not end well"
    finally:
        daemon.kill()
        daemon.wait()
        camera.join()
    return read(ledger, tuple(killed), time.monotonic() - began)


def drop_all(watch: Path, images: Sequence[Image], chance: random.Random) -> None:
    """The camera: bursts with pauses between them."""
    for name, data in images:
        put(watch, name, data, chance)
        if chance.random() < 0.02:
            time.sleep(chance.uniform(0, 0.3))


def put(watch: Path, name: str, data: bytes, chance: random.Random) -> None:
    """As cameras do it: written in place, written in two parts, or under another name first."""
    file = watch / name
    file.parent.mkdir(parents=True, exist_ok=True)
    way = chance.randrange(3)
    if way == 0:
        file.write_bytes(data)
    elif way == 1:
        with file.open("wb") as writing:
            writing.write(data[: len(data) // 2])
            writing.flush()
            writing.write(data[len(data) // 2 :])
    else:
        file.with_name(f"{file.name}.part").write_bytes(data)
        file.with_name(f"{file.name}.part").rename(file)


def start(watch: Path, bundle: Path, ledger: Path) -> subprocess.Popen[bytes]:
    config = ledger.with_name("edge.toml")
    config.write_text(
        f'watch = "{watch}"\nbundle = "{bundle.resolve()}"\nledger = "{ledger}"\n'
        "settle_seconds = 0.5\nrescan_seconds = 2\npublish_seconds = 1\nbatch_images = 8\n"
    )
    with ledger.with_name("log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "edge", "run", "--config", str(config)], stderr=log)


def decided(ledger: Path) -> tuple[int, int]:
    """Files decided on, and files waiting."""
    try:
        with closing(open_ledger_readonly(ledger)) as connection:
            waiting = "image_id IS NULL AND reason IS NULL"
            return next(rows(connection, f"SELECT TOTAL(NOT ({waiting})), TOTAL({waiting}) FROM sighting"))
    except BadConfig:  # the daemon is still making the ledger
        return 0, 0


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


def rows(connection: sqlite3.Connection, query: str) -> Iterator[tuple]:
    return iter(connection.execute(query).fetchall())


def until(condition: Callable[[], bool], what: str, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


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
    parser = argparse.ArgumentParser(description="kill -9 on the way changes no count")
    parser.add_argument("--images", type=int, default=int(os.environ.get("PLANKTOW_RELIABILITY_IMAGES", "300")))
    parser.add_argument("--from", dest="folder", type=Path, default=os.environ.get("PLANKTOW_IMAGES"))
    parser.add_argument("--bundle", type=Path, default=TINY_BUNDLE)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    images = taken_from(Path(options.folder), options.images) if options.folder else rendered(options.images)
    print(f"{len(images)} files, seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as base:
        wrong = compare(images, Path(base), options.bundle, options.kills, options.seed)
    for line in wrong or ["the same verdicts, each image once"]:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
