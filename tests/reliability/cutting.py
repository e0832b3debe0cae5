"""A daemon's run that was recorded, cut at any moment: what a power cut could leave of the ledger, and whether it is whole."""

from __future__ import annotations

import dataclasses
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from edge.config import EdgeConfig, format_config

from ..edge.images import TINY_BUNDLE
from .crash_vfs import read_events
from .kill_nine import Image
from .torn_disk import Commits, Disk, Event, Kind, Left, page_digests, whole_digest

NAME = "ledger.sqlite"


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
        command = [sys.executable, "-m", "tests.reliability.recorded", str(log), str(config)]
        command += [str(len(self.images)), str(self.checkpoint_pages)]
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
