"""What the reliability programs share: images, a camera, and the real daemon as a process that can be stopped or killed."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bundle.errors import BadConfig
from bundle.imagefile import IMAGE_SUFFIXES
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.ledger.migrations import WAITING

from ..edge.images import FORMATS, TINY_BUNDLE, image_bytes, kind_of

Image = tuple[str, bytes]  # name, content

# Short times, so that a program of seconds sees what a ship sees in hours.
QUICK = {"settle_seconds": 0.5, "rescan_seconds": 2, "publish_seconds": 1, "batch_images": 8}
_ROOT = Path(__file__).parents[2]  # where `python -m tests...` finds itself
ACCOUNTS = ("seen", "counted", "rejected", "waiting", "dropped", "duplicates")


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


def stamped(data: bytes, stamp: int) -> bytes:
    """The same image file with other bytes: a comment where the format has one, else a number behind its end.

    Rendering 200,000 images would take longer than counting them.
    """
    text = b"%012d" % stamp
    if data.startswith(b"\xff\xd8"):
        return data[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(text)) + text + data[2:]
    if data.startswith(b"\x89PNG"):
        chunk = b"tEXtComment\0" + text
        return data[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    if data.startswith(b"P5\n"):
        return b"P5\n# " + text + data[2:]
    return data + text


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
        put_renamed(file, data)


def put_renamed(file: Path, data: bytes) -> None:
    file.with_name(f"{file.name}.part").write_bytes(data)
    file.with_name(f"{file.name}.part").rename(file)


def drop_all(watch: Path, images: Sequence[Image], chance: random.Random) -> None:
    """The camera: bursts with pauses between them."""
    for name, data in images:
        put(watch, name, data, chance)
        if chance.random() < 0.02:
            time.sleep(chance.uniform(0, 0.3))


def until(condition: Callable[[], object], what: str, seconds: float = 300, every: float = 0.01) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(every)


def rows(connection: sqlite3.Connection, query: str) -> Iterator[tuple]:
    return iter(connection.execute(query).fetchall())


@dataclass(frozen=True)
class Usage:
    """What a daemon and its workers hold at this moment."""

    resident_mib: float  # memory that several of them share counts once (Pss in proc(5))
    peak_mib: float  # the most they had resident together, by a look every 50 ms
    handles: int  # open file descriptors
    threads: int
    processor_seconds: float  # of all threads since its start


def tree(process: int) -> list[int]:
    """The process and its children, which have none."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [process, *map(int, children)]


def resident_mib(process: int) -> float:
    """The memory of a process and its children; what they share counts once. 0 where it has ended."""
    total = 0
    for each in tree(process):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
            total += int(text[text.index("\nPss:") :].split(maxsplit=2)[1])
    return total / 1024


class _Peak(threading.Thread):
    """Looks at a daemon's memory as long as it lives."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.mib = 0.0
        self._process = process

    def run(self) -> None:
        while self.now():
            time.sleep(0.05)

    def now(self) -> float:
        """The memory at this moment, MiB."""
        mib = resident_mib(self._process)
        self.mib = max(self.mib, mib)
        return mib


class Ship:
    """One capture folder, one ledger, and the daemons that run on them, one after another.

    A context manager: a daemon that still runs at its end is killed.
    """

    def __init__(self, base: Path, bundle: Path = TINY_BUNDLE, **settings: object) -> None:
        self.watch, self.ledger, self.out = base / "capture", base / "ledger.sqlite", base / "counts"
        self.log, self.config = base / "log", base / "edge.toml"
        self.watch.mkdir(parents=True)
        self.process: subprocess.Popen[bytes] | None = None
        paths = {"watch": self.watch, "bundle": bundle.resolve(), "ledger": self.ledger, "out": self.out}
        values = {**{name: str(path) for name, path in paths.items()}, **QUICK, **settings}
        self.config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
        self.log.touch()

    def __enter__(self) -> Ship:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def start(self, command: Sequence[str] = (), ready: bool = True) -> None:
        """Starts the daemon and, by default, waits until it watches. `command`: another one than `planktow-edge run`."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command or self.command(), stderr=log, cwd=_ROOT)
        self._peak = _Peak(self.process.pid)
        self._peak.start()
        if ready:
            self.await_watching()

    def command(self) -> list[str]:
        return [sys.executable, "-m", "edge", "run", "--config", str(self.config)]

    def await_watching(self) -> None:
        """One that was started a moment ago may not hear a SIGTERM as such yet."""
        until(lambda: self.ended() or self.status().get("pid") == self.process.pid, "the daemon watches", 60)
        if self.ended():
            raise RuntimeError(f"the daemon did not start:\n{self.log.read_text()[-2000:]}")

    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def stop(self) -> int:
        """Stops the daemon as systemd does; returns its exit code."""
        self.await_watching()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def kill(self) -> None:
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL, "it had ended before it was killed"

    def status(self) -> dict:
        try:
            return json.loads((self.out / "status.json").read_bytes())
        except FileNotFoundError:
            return {}

    def rows(self, query: str) -> list[tuple]:
        """None, too, where the daemon is still making the ledger."""
        try:
            with closing(open_ledger_readonly(self.ledger)) as connection:
                return list(rows(connection, query))
        except BadConfig:
            return []

    def accounting(self) -> dict[str, int]:
        """The accounts, all zero where the ledger is still being made."""
        found = self.rows(f"SELECT {', '.join(ACCOUNTS)} FROM accounting") or [(0,) * len(ACCOUNTS)]
        return dict(zip(ACCOUNTS, found[0], strict=True))

    def decided(self) -> tuple[int, int]:
        """Files decided on, and files waiting."""
        found = self.rows(f"SELECT TOTAL(NOT ({WAITING})), TOTAL({WAITING}) FROM sighting")
        return (int(found[0][0]), int(found[0][1])) if found else (0, 0)

    def await_decided(self, files: int, seconds: float = 300, every: float = 0.05) -> None:
        """Waits until so many files are decided and nothing waits. Raises TimeoutError, or RuntimeError at its end."""

        def done() -> bool:
            if self.ended():
                code = self.process.returncode if self.process else None
                raise RuntimeError(f"the daemon ended with {code}:\n{self.log.read_text()[-2000:]}")
            return self.decided() == (files, 0)

        try:
            until(done, f"{files} files decided", seconds, every)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; decided and waiting are {self.decided()}") from None

    def usage(self) -> Usage:
        """Of the daemon that runs, its workers included."""
        resident, handles, threads, used = self._peak.now(), 0, 0, 0.0
        for process in tree(self.process.pid):
            proc = Path("/proc") / str(process)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a worker that ended just now
                fields = (proc / "stat").read_text().rpartition(")")[2].split()  # proc(5), from the third
                handles += len(os.listdir(proc / "fd"))  # noqa: PTH208
                threads += int(fields[17])
                used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return Usage(resident, self._peak.mib, handles, threads, used)

    def faults(self, **wanted: int) -> list[str]:
        """What is wrong with the ledger at the end of a run: accounts that do not add up, or are not as `wanted`."""
        found = self.accounting()
        wrong = []
        if found["seen"] != sum(found[name] for name in ("counted", "rejected", "waiting", "dropped")):
            wrong.append(f"the accounts do not add up: {found}")
        recounted = dict(zip(ACCOUNTS, self.rows(f"SELECT {', '.join(ACCOUNTS)} FROM audit")[0], strict=True))
        if recounted != found:
            wrong.append(f"the accounts that are kept say {found}, a recount says {recounted}")
        if found["waiting"]:
            wrong.append(f"{found['waiting']} files wait")
        wrong += [
            f"{name} is {found[name]}, {value} were to be" for name, value in wanted.items() if found[name] != value
        ]
        verdicts, contents = self.rows(
            "SELECT COUNT(*), COUNT(DISTINCT sha256) FROM verdict JOIN image ON id = image_id"
        )[0]
        if not verdicts == contents == found["counted"]:
            wrong.append(f"{found['counted']} counted, {verdicts} verdicts, {contents} contents")
        if "Traceback" in self.log.read_text(errors="replace"):
            wrong.append(f"the daemon said: {self.log.read_text(errors='replace')[-1500:]}")
        return wrong


def options(description: str, images: int) -> argparse.ArgumentParser:
    """The options that every program has, with the lengths of the environment as defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--images", type=int, default=int(os.environ.get("PLANKTOW_RELIABILITY_IMAGES", images)))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("PLANKTOW_SEED", "0")))
    parser.add_argument("--bundle", type=Path, default=Path(os.environ.get("PLANKTOW_BUNDLE", TINY_BUNDLE)))
    parser.add_argument("--from", dest="folder", type=Path, default=os.environ.get("PLANKTOW_IMAGES"))
    return parser


def tell(wrong: Sequence[str], well: str) -> int:
    """Prints the end of a program and returns its exit code."""
    for line in wrong or [well]:
        print(line)
    return 1 if wrong else 0
