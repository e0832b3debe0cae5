"""Zip shards: the central directory read in a stream, each entry found again by its place, inflated within bounds.

The standard library's zipfile is not asked: it keeps an object for every member of the directory, and inflates bzip2 and
LZMA without a bound, so that 4 kB of a hostile file may take all memory. The tests hold this reader to what it writes.

A zip file gets its directory last. Where that is missing (the camera lost power, or still writes), the members are found by
their local headers, as far as these give sizes.
"""

from __future__ import annotations

import datetime
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from bundle.errors import BadImage
from edge.shards.inflate import METHODS, inflated
from edge.shards.shardfile import BadShard, Entry, ShardFile, fitting_ns


@dataclass(frozen=True, slots=True)
class ZipEntry(Entry):
    flags: int
    method: int
    crc: int
    stored: int  # bytes in the shard
    local_at: int  # byte of the shard where the local header begins
    mode: int  # of the file, as in st_mode; 0 if not told


class Zip:
    """A zip file; see `edge.shards.shardfile.Shard`."""

    def __init__(self, file: ShardFile) -> None:
        self._file = file
        self._directory: _Directory | None = None

    def entries(self) -> Iterator[ZipEntry]:
        """From the beginning. BadShard: `truncated` without a directory, `corrupt`, `unsupported` for one in several parts."""
        directory = self._directory = self._find_directory()
        if directory is None:
            yield from self._entries_without_directory()
            return
        at = directory.at
        while at < directory.end:
            entry, at = self._central(at, directory)
            if _is_file(entry):
                yield entry

    def entry_at(self, at: int) -> ZipEntry | None:
        try:
            return (self._central(at, self._directory) if self._directory else self._local(at))[0]
        except BadShard:
            return None

    def content(self, entry: Entry) -> bytes | None:
        assert isinstance(entry, ZipEntry)
        if entry.flags & _ENCRYPTED:
            raise BadImage("encrypted", "encrypted in the zip file; write the zip file without a password")
        if entry.method != _STORED and entry.method not in METHODS:
            raise BadImage(
                "unsupported", f"compressed by method {entry.method} in the zip file; write it with deflate, or stored"
            )
        # The local header and the data in one read: its extra fields are as a rule shorter than this.
        ahead = _LOCAL.size + len(entry.name.encode("utf-8", "surrogateescape")) + _EXTRA_AHEAD
        head = self._file.read(entry.local_at, ahead + min(entry.stored, _CHUNK))
        if len(head) < _LOCAL.size or not head.startswith(_LOCAL_SIGNATURE):
            raise BadImage("corrupt", "not where the directory of the zip file says it is")
        name_bytes, extra_bytes = _LOCAL.unpack_from(head)[-2:]
        begin = _LOCAL.size + name_bytes + extra_bytes
        if _text(head[_LOCAL.size : _LOCAL.size + name_bytes]) != entry.name:
            raise BadImage("corrupt", "the zip file has another name there than in its directory")
        data_at = entry.local_at + begin
        if data_at + entry.stored > self._file.size:
            raise BadImage("truncated", "the zip file ends inside this member")
        if entry.method == _STORED:
            if entry.stored != entry.size:
                raise BadImage("corrupt", "the zip file gives two sizes for one stored member")
            data = head[begin : begin + entry.size]
            data += self._file.read(data_at + len(data), entry.size - len(data))
        else:
            data = inflated(self._chunks(head[begin:], data_at, entry.stored), entry.method, entry.size)
        if zlib.crc32(data) != entry.crc:
            raise BadImage("corrupt", "the checksum in the zip file is another")
        return data

    def _chunks(self, first: bytes, at: int, count: int) -> Iterator[bytes]:
        """The `count` bytes of the shard from `at`, of which the `first` ones are here already."""
        first = first[:count]
        if first:
            yield first
        done = len(first)
        while done < count and (chunk := self._file.read(at + done, min(_CHUNK, count - done))):
            yield chunk
            done += len(chunk)

    def _find_directory(self) -> _Directory | None:
        """None where there is none, or only what an interrupted append left of an old one."""
        size = self._file.size
        start = max(0, size - _END.size - 0xFFFF)  # a comment may follow
        tail = self._file.read(start, size - start)
        place = tail.rfind(_END_SIGNATURE)
        if place < 0 or place + _END.size > len(tail):
            return None
        disk, _, _, entries, length, offset = _END.unpack_from(tail, place)[1:7]
        end = start + place
        if entries == 0xFFFF or 0xFFFFFFFF in (length, offset):
            large = self._file.read(end - _LOCATOR_BYTES - _END64.size, _END64.size)
            if large.startswith(_END64_SIGNATURE) and len(large) == _END64.size:
                disk, _, _, entries, length, offset = _END64.unpack(large)[4:10]
                end -= _LOCATOR_BYTES + _END64.size
        if disk:
            raise BadShard("unsupported", "a part of a zip file that was split; join the parts first")
        at = end - length
        if at < offset or (length and self._file.read(at, 4) != _CENTRAL_SIGNATURE):
            return None
        return _Directory(at, end, at - offset)

    def _central(self, at: int, directory: _Directory) -> tuple[ZipEntry, int]:
        """The entry of the directory at this byte, and the byte behind it."""
        head = self._file.read(at, min(_CENTRAL.size + _NAME_AHEAD, directory.end - at))
        if len(head) < _CENTRAL.size or not head.startswith(_CENTRAL_SIGNATURE):
            raise _corrupt(at)
        fields = _CENTRAL.unpack_from(head)
        made_by, flags, method, time, date, crc, stored, size, names, extras, comments, mode, local = fields[1:]
        begin = _CENTRAL.size
        end = at + begin + names + extras + comments
        if end > directory.end:
            raise _corrupt(at)
        if len(head) < begin + names + extras:
            head = self._file.read(at, begin + names + extras)
        extra = _extra(head[begin + names : begin + names + extras])
        size, stored, local = _large(extra, at, size, stored, local)
        unix = mode >> 16 if made_by >> 8 == _MADE_BY_UNIX else 0
        name, local_at = _text(head[begin : begin + names]), local + directory.shift
        return ZipEntry(at, name, size, _mtime_ns(extra, date, time), flags, method, crc, stored, local_at, unix), end

    def _entries_without_directory(self) -> Iterator[ZipEntry]:
        at = 0
        while True:
            entry, at = self._local(at)
            if _is_file(entry):
                yield entry

    def _local(self, at: int) -> tuple[ZipEntry, int]:
        """The member whose local header is at this byte, and the byte behind its data; both must be there in whole."""
        head = self._file.read(at, _LOCAL.size)
        if len(head) < _LOCAL.size or not head.startswith(_LOCAL_SIGNATURE):
            raise _truncated(at)
        flags, method, time, date, crc, stored, size, names, extras = _LOCAL.unpack(head)[1:]
        if flags & _SIZES_FOLLOW:
            raise _truncated(at)
        begin = at + _LOCAL.size
        described = self._file.read(begin, names + extras)
        extra = _extra(described[names:])
        size, stored, _ = _large(extra, at, size, stored, 0)
        end = begin + names + extras + stored
        # Writers that come back to the header once they know the sizes leave them 0 till then.
        if end > self._file.size or (stored == 0 and self._file.read(end, 2) != b"PK"):
            raise _truncated(at)
        mtime_ns = _mtime_ns(extra, date, time)
        return ZipEntry(at, _text(described[:names]), size, mtime_ns, flags, method, crc, stored, at, 0), end


@dataclass(frozen=True, slots=True)
class _Directory:
    at: int  # byte of the shard
    end: int
    shift: int  # bytes that were put before the zip file, such as a program to unpack it


def _is_file(entry: ZipEntry) -> bool:
    kind = stat.S_IFMT(entry.mode)
    return kind in (0, stat.S_IFREG) and not entry.name.endswith(("/", "\\"))


def _extra(data: bytes) -> dict[int, bytes]:
    """The extra fields by their number; what does not add up is left out."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        number, length = struct.unpack_from("<HH", data, at)
        if at + 4 + length > len(data):
            break
        found.setdefault(number, data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _large(extra: dict[int, bytes], at: int, size: int, stored: int, local: int) -> tuple[int, int, int]:
    """Size, stored size and place; where they are too large for 32 bits, they stand in the extra field of zip64."""
    values = [size, stored, local]
    wide = [number for number, value in enumerate(values) if value == 0xFFFFFFFF]
    field = extra.get(_ZIP64, b"")
    if wide and field:
        if len(field) < 8 * len(wide):
            raise _corrupt(at)
        for number, value in zip(wide, struct.unpack_from(f"<{len(wide)}Q", field), strict=True):
            values[number] = min(value, _MOST_SIZE)
    return values[0], values[1], values[2]


def _mtime_ns(extra: dict[int, bytes], date: int, time: int) -> int:
    """The extended timestamp where there is one; else the time of DOS, in steps of 2 s, taken as UTC."""
    field = extra.get(_EXTENDED_TIMESTAMP, b"")
    if len(field) >= 5 and field[0] & 1:
        (seconds,) = struct.unpack_from("<i", field, 1)
        return fitting_ns(seconds)
    day = (1980 + (date >> 9), date >> 5 & 15, date & 31)
    try:
        moment = datetime.datetime(*day, time >> 11, time >> 5 & 63, (time & 31) * 2, tzinfo=datetime.UTC)
    except ValueError:  # a month 0, say, of writers that have no clock
        return 0
    return fitting_ns(int(moment.timestamp()))


def _text(name: bytes) -> str:
    # The format says code page 437 unless a flag says UTF-8; writers do not heed it, and this way no byte is lost.
    return name.decode("utf-8", "surrogateescape")


def _truncated(at: int) -> BadShard:
    return BadShard(
        "truncated",
        f"the zip file has no directory, and no whole member at byte {at}; the members before it are counted, and the rest "
        "is once the file is complete; if it stays so, mend it with zip -FF",
    )


def _corrupt(at: int) -> BadShard:
    return BadShard(
        "corrupt",
        f"the directory of the zip file is damaged at byte {at}; the members before it are counted, for the rest copy the "
        "file anew or mend it with zip -FF",
    )


_LOCAL_SIGNATURE, _CENTRAL_SIGNATURE = b"PK\3\4", b"PK\1\2"
_END_SIGNATURE, _END64_SIGNATURE = b"PK\5\6", b"PK\6\6"
# The structures of APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.16 and 4.3.14.
_LOCAL = struct.Struct("<4s2x4H3I2H")
_CENTRAL = struct.Struct("<4sH2x4H3I3H4x2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_BYTES = 20
_STORED = 0
_ENCRYPTED, _SIZES_FOLLOW = 1, 8  # flags
_ZIP64, _EXTENDED_TIMESTAMP = 0x0001, 0x5455  # extra fields
_MADE_BY_UNIX = 3
_CHUNK = 1 << 16  # bytes, of the shard
_NAME_AHEAD, _EXTRA_AHEAD = 256, 64  # bytes that save a second read as a rule
_MOST_SIZE = 2**63 - 1  # what the ledger can hold
