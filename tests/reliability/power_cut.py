"""The power fails at any moment: the ledger must be whole at the next start, and end as if nothing had happened.

    python -m tests.reliability.power_cut [--images N] [--cuts K] [--seed S] [--checkpoint-pages P]

The real daemon counts images in a process of its own, with every write, truncation, sync and deletion of its SQLite files
recorded (crash_vfs.py). From the record we build what a power cut could leave at moment k (torn_disk.py), K times, and
ask of each: is the database whole; is it, page for page, the ledger after some commit; is that commit no older than the
last that was synced; do the accounts add up; is there no verdict that the undisturbed run did not give; and does the real
daemon, started on it, end with the verdicts and accounts of the undisturbed run. A fifth of the cuts each falls into the
making of the ledger, into checkpoints, and into the next start after a first cut; 5 K more are only opened and looked at.

The control: the same with PRAGMA synchronous = OFF, where some cuts must leave a damaged ledger, or we could not see one.

Not shown: sectors that are torn inside, file-system metadata beyond a name and a size, and the files beside the ledger
(counts.csv, status.json; bundle/whole.py). The images are all there after the cut. A disk that lies about flushes is only
counted, for comparison: no ledger can stand that. Exit code 1: a fault.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import logging
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bundle.errors import BadConfig
from edge.config import EdgeConfig, format_config, read_config
from edge.daemon import Clock, run
from edge.ledger import open_ledger, open_ledger_readonly
from edge.notify import Notifier

from ..edge.images import TINY_BUNDLE
from .crash_vfs import Recorder, read_events, why_no_recording
from .kill_nine import Image, drop_all, rendered
from .torn_disk import Commits, Disk, Event, Kind, Left, page_digests, whole_digest

NAME = "ledger.sqlite"


@dataclass(frozen=True)
class Counts:
    """What a ledger says."""

    verdicts: frozenset[tuple[str, int]]  # sha-256 in hexadecimal, class index
    rejects: frozenset[tuple[str, str]]  # sha-256 in hexadecimal, reason
    accounting: Mapping[str, int]

    def adds_up(self) -> bool:
        sums = self.accounting
        return sums["seen"] == sums["counted"] + sums["rejected"] + sums["waiting"] + sums.get("dropped", 0)


@dataclass
class Tally:
    """What came of all cuts."""

    cuts: Counter[str] = field(default_factory=Counter)  # by where they fell
    lost: list[int] = field(default_factory=list)  # commits that were taken back, of each cut
    damaged: list[str] = field(default_factory=list)  # SQLite finds a fault
    torn: list[str] = field(default_factory=list)  # SQLite finds none, but this is the ledger after no commit
    wrong: list[str] = field(default_factory=list)  # anything else

    def faults(self) -> list[str]:
        return self.damaged + self.torn + self.wrong

    def summary(self) -> str:
        lost = sorted(self.lost) or [0]
        fell = ", ".join(f"{count} {where}" for where, count in self.cuts.items())
        return (
            f"{self.cuts.total()} cuts ({fell}): {len(self.damaged)} damaged, {len(self.torn)} torn, {len(self.wrong)} wrong; "
            f"commits lost: none in {lost.count(0)}, median {lost[len(lost) // 2]}, most {lost[-1]}"
        )


class Decided:
    """The daemon's `stop`: once all files are decided on. Raises TimeoutError when that takes too long."""

    def __init__(self, ledger: Path, files: int, seconds: float = 300) -> None:
        self._ledger, self._files, self._seconds = ledger, files, seconds
        self._began = time.monotonic()
        self._look_at = 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + 0.05
        found = read(self._ledger).accounting
        if now - self._began > self._seconds:
            raise TimeoutError(f"not all of {self._files} files decided within {self._seconds:g} s: {found}")
        return found["waiting"] == 0 and found["seen"] + found["duplicates"] == self._files


def read(ledger: Path) -> Counts:
    with closing(open_ledger_readonly(ledger)) as connection:
        connection.execute("BEGIN")
        accounts = connection.execute("SELECT * FROM accounting")
        verdicts = connection.execute("SELECT hex(sha256), label FROM verdict JOIN image ON image.id = image_id")
        rejects = connection.execute("SELECT hex(sha256), reason FROM image WHERE reason IS NOT NULL")
        rows = verdicts.fetchall()
        assert len(rows) == len(set(rows)), "a verdict twice"
        names = [column[0] for column in accounts.description]
        accounting = dict(zip(names, accounts.fetchone(), strict=True))
        return Counts(frozenset(rows), frozenset(rejects.fetchall()), accounting)


# In the process that is recorded.


class Marking(Notifier):
    """Where the daemon would tell systemd that it is ready, it is noted in the record: the ledger is made."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(None)
        self._recorder = recorder

    def send(self, patience_seconds: float = 0.2, **fields: str) -> None:  # noqa: ARG002 - the daemon's interface
        if "READY" in fields:
            self._recorder.mark("ready")


def record(log: Path, config_file: Path, files: int, careless: bool, checkpoint_pages: int) -> None:
    """Runs the real daemon under the recorder until it has decided on all files. Ends the process."""
    recorder = Recorder(log)
    recorder.install()

    class Connection(sqlite3.Connection):
        """Checkpoints more often, so that a short run has some; careless: never syncs, whatever it is told."""

        _told = False

        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[arg-type]
            super().execute(f"PRAGMA wal_autocheckpoint = {checkpoint_pages}")
            if careless:
                super().execute("PRAGMA synchronous = OFF")

        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if careless and sql.upper().replace(" ", "").startswith("PRAGMASYNCHRONOUS="):
                sql = "PRAGMA synchronous = OFF"
            elif sql.startswith("INSERT") and not self._told:
                self._told = True
                for setting in _MODE:
                    (value,) = super().execute(f"PRAGMA {setting}").fetchone()
                    recorder.mark(f"{setting} {value}")
            return super().execute(sql, *parameters)  # type: ignore[arg-type]

    sqlite3.connect = functools.partial(sqlite3.connect, factory=Connection)
    config = read_config(config_file)
    run(config, Decided(config.ledger, files), Marking(recorder), Clock())
    recorder.close()
    sys.stderr.flush()
    os._exit(0)  # without a farewell: SQLite still points at us


_MODE = ("journal_mode", "synchronous", "wal_autocheckpoint", "page_size")


# In the process that cuts.


@dataclass(frozen=True)
class Sea:
    """What all runs share."""

    base: Path
    images: Sequence[Image]
    checkpoint_pages: int

    @property
    def capture(self) -> Path:
        return self.base / "capture"

    def config(self, folder: Path) -> EdgeConfig:
        return EdgeConfig(
            watch=self.capture,
            bundle=TINY_BUNDLE.resolve(),
            ledger=folder / NAME,
            out=folder / "counts",
            settle_seconds=0.3,
            rescan_seconds=1,
            publish_seconds=1,
            batch_images=4,
            workers=1,
        )

    def recorded(self, folder: Path, careless: bool = False) -> list[Event]:
        """Runs the daemon in `folder`, in a process of its own; what it did to the ledger's files."""
        config, log = folder / "edge.toml", folder / "events"
        config.write_text(format_config(self.config(folder)))
        command = [sys.executable, "-m", "tests.reliability.power_cut", "--record", str(log), "--config", str(config)]
        command += ["--files", str(len(self.images)), "--checkpoint-pages", str(self.checkpoint_pages)]
        with (folder / "log").open("wb") as messages:
            command += ["--careless"] * careless
            ended = subprocess.run(command, cwd=Path(__file__).parents[2], stderr=messages, timeout=900)
        if ended.returncode:
            raise RuntimeError(f"the recorded daemon ended with {ended.returncode}: {(folder / 'log').read_text()}")
        events = read_events(log)
        at = str((folder / NAME).resolve())
        ours = (event for event in events if event.kind is Kind.MARK or event.path.startswith(at))
        return [dataclasses.replace(event, path=Path(event.path).name) for event in ours]


def lay(files: Mapping[str, bytes], folder: Path, chance: random.Random) -> None:
    """Puts what a cut left into a new folder. The -shm file was mapped memory: it holds anything, or is not there."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if chance.random() < 0.5:
        (folder / f"{NAME}-shm").write_bytes(chance.randbytes(32768))
    if chance.random() < 0.5:
        (folder / f"{NAME}.lock").write_bytes(b"12345\n"[: chance.randrange(7)])


def recover(folder: Path) -> dict[int, int]:
    """Lets SQLite alone recover the ledger in `folder`; its pages. Raises sqlite3.DatabaseError where it finds a fault."""
    database = folder / NAME
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        verdict = connection.execute("PRAGMA integrity_check").fetchall()
        if verdict != [("ok",)]:
            raise sqlite3.DatabaseError(f"{verdict[0][0][:200]!r} and {len(verdict) - 1} more")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return page_digests(database.read_bytes())


class Cutting:
    """One record of a daemon's run, to be cut anywhere."""

    def __init__(self, folder: Path, events: Sequence[Event], left: Left | None = None) -> None:
        """left: what the daemon was started on; by default, nothing."""
        self._folder, self._events = folder, events
        self._left = left or Left({}, {})
        self.ready = next(at for at, event in enumerate(events) if event.kind is Kind.MARK and event.path == "ready")
        self.end = len(events)
        # In the files themselves, beside the WAL: before and after each step of the checkpoints.
        self.checkpoints = [
            at + after for at, event in enumerate(events) if at > self.ready and event.path == NAME for after in (0, 1)
        ]

    def cut(
        self, moments: Iterable[tuple[int, str]], tally: Tally, chance: random.Random
    ) -> Iterator[tuple[Path, str, Left]]:
        """Cuts before the given events. Yields the folder of each ledger that is whole, and what is in it."""
        disk, commits, done = Disk(self._left.files), Commits(NAME, self._left), 0
        for moment, where in sorted(moments):
            for event in self._events[done:moment]:
                disk.apply(event)
                commits.apply(event)
            done = moment
            name = f"cut before event {moment} of {self.end} ({where})"
            tally.cuts[where] += 1
            files = disk.after_power_cut(chance)
            folder, copy = self._folder / "cut", self._folder / "copy"
            lay(files, copy, random.Random(moment))
            try:
                left = Left(files, recover(copy))
            except sqlite3.DatabaseError as error:
                tally.damaged.append(f"{name}: {error}")
                continue
            finally:
                shutil.rmtree(copy)
            digest = whole_digest(left.pages)
            if digest not in commits.digests:
                tally.torn.append(f"{name}: the ledger is as it was after none of {len(commits.digests) - 1} commits")
                continue
            kept = len(commits.digests) - 1 - commits.digests[::-1].index(digest)
            tally.lost.append(len(commits.digests) - 1 - kept)
            if kept < commits.synced:
                tally.wrong.append(f"{name}: commit {commits.synced} was synced, commit {kept} is the last")
            lay(files, folder, random.Random(moment))
            yield folder, name, left
            shutil.rmtree(folder)

    def on_a_lying_disk(self) -> Cutting:
        """The same run, had the disk said that it was done at each flush, and had done nothing."""
        flushed = (event for event in self._events if event.kind is not Kind.SYNC)
        return Cutting(self._folder, [dataclasses.replace(event, syncs_folder=False) for event in flushed], self._left)

    def about(self) -> str:
        count = Counter(event.kind.name.lower() for event in self._events)
        kinds = ", ".join(f"{number} {kind}" for kind, number in count.items())
        commits = Commits(NAME, self._left)
        for event in self._events:
            commits.apply(event)
        return (
            f"{len(commits.digests) - 1} commits in {self.end} events ({kinds}), "
            f"{self.ready} to make the ledger, {len(self.checkpoints) // 2} in checkpoints"
        )

    def moments(self, count: int, where: str, chance: random.Random) -> list[tuple[int, str]]:
        """Where to cut: in the making of the ledger, in a checkpoint, or anywhere after the making."""
        if where == "making":
            return [(chance.randint(1, self.ready), where) for _ in range(count)]
        if where == "checkpoint":
            return [(chance.choice(self.checkpoints), where) for _ in range(count)]
        return [(chance.randint(self.ready, self.end), where) for _ in range(count)]


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
    mode = ", ".join(event.path for event in events if event.kind is Kind.MARK and event.path.startswith(_MODE))
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
    for ours in ("--record", "--config", "--files"):
        parser.add_argument(ours, help=argparse.SUPPRESS)
    parser.add_argument("--careless", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.record:
        pages = options.checkpoint_pages
        record(Path(options.record), Path(options.config), int(options.files), options.careless, pages)
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
