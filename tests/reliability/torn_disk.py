"""What a power cut leaves of files, and what of a database had been committed by then: pure, from the events recorded.

What was written before a file's last sync is there. Of what came later, each sector of 512 bytes is on the disk as it was
at some moment since then, each at a moment of its own; so is the size, and what of a grown file never came is zeros.
Sectors are the unit since disks promise no larger one. That a sector is whole is what SQLite relies on too
(SQLITE_IOCAP_POWERSAFE_OVERWRITE).

A name that was made or deleted is on the disk for certain only once its folder was synced: POSIX promises no more, even if
ext4 does.
"""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

SECTOR_BYTES = 512


class Kind(IntEnum):
    """What was done to a file; MARK: nothing, a note of the one who recorded."""

    CREATE, WRITE, TRUNCATE, SYNC, DELETE, MARK = range(6)


@dataclass(frozen=True)
class Event:
    """One thing done to one file."""

    kind: Kind
    path: str  # the text of a MARK
    offset: int  # bytes; of TRUNCATE, the new size
    data: bytes | memoryview
    syncs_folder: bool  # of SYNC and DELETE: the folder was synced right after


@dataclass
class _File:
    durable: bytearray
    pending: list[tuple[int, bytes | memoryview | None]] = field(default_factory=list)  # offset, data; size, None

    def sync(self) -> None:
        for offset, data in self.pending:
            if data is None:
                _resize(self.durable, offset)
            else:
                self.durable.extend(bytes(max(0, offset - len(self.durable))))
                self.durable[offset : offset + len(data)] = data
        self.pending.clear()


class Disk:
    """The files of one folder, by path, with what is certain about them and what is not."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """files: what is on the disk at the start, all of it certain."""
        self._now = {path: _File(bytearray(content)) for path, content in files.items()}
        self._certain = dict(self._now)
        self._uncertain: list[tuple[str, _File | None]] = []  # names made and deleted since the folder was last synced

    def apply(self, event: Event) -> None:
        """One more event has happened."""
        match event.kind:
            case Kind.CREATE:
                self._name(event.path, _File(bytearray()))
            case Kind.WRITE:
                self._now[event.path].pending.append((event.offset, event.data))
            case Kind.TRUNCATE:
                self._now[event.path].pending.append((event.offset, None))
            case Kind.SYNC:
                self._now[event.path].sync()
            case Kind.DELETE:
                self._name(event.path, None)
        if event.syncs_folder:
            self._certain = dict(self._now)
            self._uncertain.clear()

    def _name(self, path: str, file: _File | None) -> None:
        self._uncertain.append((path, file))
        if file is None:
            self._now.pop(path, None)
        else:
            self._now[path] = file

    def after_power_cut(self, chance: random.Random) -> dict[str, bytes]:
        """The files that the next start finds. What came to pass of the uncertain is drawn from `chance`."""
        luck = chance.choice(
            (_nothing, _in_order, _each_at_its_time(0), _each_at_its_time(0.9), _each_at_its_time(0.99))
        )
        names = dict(self._certain)
        for path in sorted({path for path, _ in self._uncertain}):
            changes = [file for name, file in self._uncertain if name == path]
            came_to_pass = luck([range(1)] * len(changes), chance)(0)
            for file in changes[:came_to_pass]:
                if file is None:
                    names.pop(path, None)
                else:
                    names[path] = file
        return {path: _torn(file, luck, chance) for path, file in sorted(names.items())}

    def after_kill(self) -> dict[str, bytes]:
        """The files if only the process had died: everything that was done is there."""
        files = {}
        for path, file in self._now.items():
            whole = _File(bytearray(file.durable), list(file.pending))
            whole.sync()
            files[path] = bytes(whole.durable)
        return files


# How much came to pass of some changes, each given by the sectors that it touches. Told for every sector by a function of
# its number, made anew for each file: of the changes that touch it, those before this one.
_Luck = Callable[[Sequence[range], random.Random], Callable[[int], int]]


def _nothing(_changes: Sequence[range], _chance: random.Random) -> Callable[[int], int]:
    return lambda _sector: 0


def _in_order(changes: Sequence[range], chance: random.Random) -> Callable[[int], int]:
    """A file that was written in the order of the changes, cut off inside one of them, at a sector's border."""
    whole = chance.randint(0, len(changes))
    if whole == len(changes):
        return lambda _sector: whole
    border = chance.randint(changes[whole].start, changes[whole].stop)
    return lambda sector: whole + (sector < border)


def _each_at_its_time(surely: float) -> _Luck:
    """Each sector was last written at a moment of its own; `surely` of them at the end."""

    def luck(changes: Sequence[range], chance: random.Random) -> Callable[[int], int]:
        drawn: dict[int, int] = {}

        def of(sector: int) -> int:
            if sector not in drawn:
                drawn[sector] = len(changes) if chance.random() < surely else chance.randint(0, len(changes))
            return drawn[sector]

        return of

    return luck


def _torn(file: _File, luck: _Luck, chance: random.Random) -> bytes:
    """The content of one file after the cut."""
    if not file.pending:
        return bytes(file.durable)
    content = bytearray(file.durable)
    spans, sizes = [], [len(content)]  # bytes that each change touches; the size before the first one and after each
    longest = len(content)
    for offset, data in file.pending:
        end = longest if data is None else offset + len(data)
        spans.append((offset, max(offset, end)))
        sizes.append(offset if data is None else max(sizes[-1], end))
        longest = max(longest, end)
    _resize(content, longest)
    sectors = [range(start // SECTOR_BYTES, -(-end // SECTOR_BYTES)) for start, end in spans]
    came_to_pass = luck(sectors, chance)
    for time, ((start, end), touched, (_, data)) in enumerate(zip(spans, sectors, file.pending, strict=True)):
        for sector in touched:
            if came_to_pass(sector) > time:
                low, high = max(start, sector * SECTOR_BYTES), min(end, (sector + 1) * SECTOR_BYTES)
                content[low:high] = bytes(high - low) if data is None else data[low - start : high - start]
    _resize(content, sizes[came_to_pass(-1)])
    return bytes(content)


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


@dataclass(frozen=True)
class Left:
    """What a cut left, and what SQLite made of it."""

    files: Mapping[str, bytes]  # name -> content, as they were left
    pages: Mapping[int, int]  # the database's pages after recovery: number -> digest


class Commits:
    """How often the ledger had been committed, and what each commit left, page for page: told by the events alone."""

    def __init__(self, database: str, left: Left) -> None:
        """left: what there was at the start."""
        self._database, self._content = database, bytearray(left.files.get(database, b""))
        self._pages = dict(left.pages)
        self._frames: dict[
            int, tuple[int, int, int]
        ] = {}  # of the WAL, not committed: offset -> page, last page, digest
        self._head: tuple[int, int, int] | None = None  # the frame whose page comes next: offset, page, last page
        self.digests = [whole_digest(self._pages)]
        self.synced = 0  # the last commit that is on the disk for certain

    def apply(self, event: Event) -> None:
        """One more event has happened."""
        if event.path == self._database and event.kind is Kind.WRITE:
            end = event.offset + len(event.data)
            self._content.extend(bytes(max(0, end - len(self._content))))
            self._content[event.offset : end] = event.data
        elif event.path == self._database and event.kind is Kind.TRUNCATE:
            del self._content[event.offset :]
        elif event.path == f"{self._database}-journal" and event.kind is Kind.DELETE:
            self._pages = page_digests(self._content)
            self._commit()
            self.synced = len(self.digests) - 1 if event.syncs_folder else self.synced
        elif event.path == f"{self._database}-wal" and event.kind is Kind.SYNC:
            self.synced = len(self.digests) - 1
        elif event.path == f"{self._database}-wal" and event.kind is Kind.WRITE:
            self._write_wal(event)

    def _write_wal(self, event: Event) -> None:
        """WAL format: sqlite.org/fileformat2.html#walformat. SQLite writes a frame's head and its page one after another."""
        if event.offset == 0:
            self._frames.clear()
        elif len(event.data) == 24:
            page, last = int.from_bytes(event.data[:4]), int.from_bytes(event.data[4:8])
            self._head = event.offset, page, last
        elif self._head is not None and event.offset == self._head[0] + 24:
            offset, page, last = self._head
            self._frames[offset] = page, last, _page_digest(page, event.data)
            if last:
                for _, (number, _, digest) in sorted(self._frames.items()):
                    self._pages[number] = digest
                self._pages = {number: digest for number, digest in self._pages.items() if number <= last}
                self._frames.clear()
                self._commit()

    def _commit(self) -> None:
        self.digests.append(whole_digest(self._pages))


def page_digests(content: bytes | bytearray) -> dict[int, int]:
    """The pages of a database file in rollback mode, or after a checkpoint; as many as its head says."""
    if not content:
        return {}
    size = int.from_bytes(content[16:18])
    size = 65536 if size == 1 else size
    count = int.from_bytes(content[28:32])
    return {
        number: _page_digest(number, content[(number - 1) * size : number * size]) for number in range(1, count + 1)
    }


def _page_digest(number: int, content: bytes | bytearray | memoryview) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=16, salt=number.to_bytes(16)).digest())


def whole_digest(pages: Mapping[int, int]) -> int:
    return functools.reduce(int.__xor__, pages.values(), 0)
