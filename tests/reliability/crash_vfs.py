"""Records what SQLite does to its files: a VFS in Python, laid over SQLite's own, inside the process that writes the ledger.

Python's `sqlite3` is linked to libsqlite3 as a shared library on Debian, so the very library that it uses can be reached
with ctypes and given another default VFS. Opening and deleting go through Python; an opened file keeps SQLite's own methods
but for write, truncate and sync. Locks, shared memory, reads and all else never come here: they work as they always do.

Not recorded: the -shm file, which is memory mapped and made anew after a power cut, and temporary files without a name.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sqlite3
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from .torn_disk import Event, Kind

_OPEN_CREATE = 0x4
_OPEN_SYNCING_FOLDER = 0x800 | 0x4000 | 0x80000  # main journal, super-journal, WAL: SQLite syncs their folder once
_HEAD = struct.Struct(
    "<BBHqI"
)  # kind, whether the folder is synced too, bytes of the path, offset or size, bytes of data

_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_Open = ctypes.CFUNCTYPE(_I, _P, _P, _P, _I, _P)  # vfs, name, file, flags, flags out
_Delete = ctypes.CFUNCTYPE(_I, _P, ctypes.c_char_p, _I)  # vfs, name, sync the folder
_Write = ctypes.CFUNCTYPE(_I, _P, _P, _I, _L)  # file, data, bytes, offset
_Truncate = ctypes.CFUNCTYPE(_I, _P, _L)  # file, size
_Sync = ctypes.CFUNCTYPE(_I, _P, _I)  # file, flags


class NoRecording(Exception):
    """SQLite cannot be reached here; the text says why."""


class _Vfs(ctypes.Structure):
    """sqlite3_vfs, version 3."""

    _fields_ = (
        ("iVersion", _I),
        ("szOsFile", _I),
        ("mxPathname", _I),
        ("pNext", _P),
        ("zName", ctypes.c_char_p),
        ("pAppData", _P),
        ("xOpen", _P),
        ("xDelete", _P),
        ("others", _P * 14),
    )


class _Methods(ctypes.Structure):
    """sqlite3_io_methods, version 3."""

    _fields_ = (
        ("iVersion", _I),
        ("xClose", _P),
        ("xRead", _P),
        ("xWrite", _P),
        ("xTruncate", _P),
        ("xSync", _P),
        ("others", _P * 13),
    )


class Recorder:
    """Writes every event to `log`, from all threads of this process (never from one forked off), once installed.

    Lives as long as the process: SQLite holds pointers into it. Leave the process with `os._exit` after `close`.
    """

    def __init__(self, log: Path) -> None:
        self._library = _library()
        self._log: BinaryIO = log.open("wb")
        self._lock, self._process = threading.RLock(), os.getpid()
        self._files: dict[int, _File] = {}  # by the address of SQLite's file object
        self._methods: dict[int, tuple[_Methods, tuple[Any, ...]]] = {}  # ours, by the address of SQLite's

    def install(self) -> None:
        """Makes this the VFS of every connection that is opened from now on."""
        below = ctypes.cast(self._library.sqlite3_vfs_find(None), ctypes.POINTER(_Vfs))
        real_open, real_delete = _Open(below.contents.xOpen), _Delete(below.contents.xDelete)
        address = ctypes.addressof(below.contents)

        def opened(_vfs: int, name: int | None, file: int, flags: int, flags_out: int | None) -> int:
            path = os.fsdecode(ctypes.string_at(name)) if name else None
            with self._lock:
                new = path is not None and not os.path.lexists(path)
                code = int(real_open(address, name, file, flags, flags_out))
                if code == 0 and path is not None:
                    self._wrap(file, path, new and bool(flags & _OPEN_SYNCING_FOLDER))
                    if new and flags & _OPEN_CREATE:
                        self._record(Kind.CREATE, path)
            return code

        def deleted(_vfs: int, name: bytes, syncs_folder: int) -> int:
            with self._lock:
                code = int(real_delete(address, name, syncs_folder))
                if code == 0:
                    self._record(Kind.DELETE, os.fsdecode(name), syncs_folder=bool(syncs_folder))
            return code

        vfs = _Vfs.from_buffer_copy(below.contents)
        vfs.zName, vfs.pNext = b"recorded", None
        self._callbacks = _Open(_or_die(opened)), _Delete(_or_die(deleted))
        vfs.xOpen, vfs.xDelete = (ctypes.cast(callback, _P).value for callback in self._callbacks)
        self._vfs = vfs
        if code := self._library.sqlite3_vfs_register(ctypes.byref(vfs), 1):
            raise NoRecording(f"sqlite3_vfs_register returned {code}")

    def mark(self, text: str) -> None:
        """A note of ours in the stream."""
        with self._lock:
            self._record(Kind.MARK, text)

    def close(self) -> None:
        """Ends the log; whatever SQLite does now is not recorded any more."""
        with self._lock:
            self._process = 0
            self._log.close()

    def _wrap(self, file: int, path: str, syncs_folder: bool) -> None:
        """Gives SQLite's open file our three methods. Its first word is the pointer to its methods."""
        self._files[file] = _File(path, syncs_folder)
        pointer = ctypes.cast(file, ctypes.POINTER(_P))
        theirs = int(pointer[0] or 0)
        if theirs not in self._methods:
            self._methods[theirs] = self._ours(_Methods.from_address(theirs))
        pointer[0] = ctypes.addressof(self._methods[theirs][0])

    def _ours(self, theirs: _Methods) -> tuple[_Methods, tuple[Any, ...]]:
        real_write, real_truncate, real_sync = _Write(theirs.xWrite), _Truncate(theirs.xTruncate), _Sync(theirs.xSync)

        def write(file: int, data: int, count: int, offset: int) -> int:
            with self._lock:
                code = int(real_write(file, data, count, offset))
                if code == 0:
                    self._record(Kind.WRITE, self._files[file].path, offset, ctypes.string_at(data, count))
            return code

        def truncate(file: int, size: int) -> int:
            with self._lock:
                code = int(real_truncate(file, size))
                if code == 0:
                    self._record(Kind.TRUNCATE, self._files[file].path, size)
            return code

        def sync(file: int, flags: int) -> int:
            with self._lock:
                code = int(real_sync(file, flags))
                if code == 0:
                    synced = self._files[file]
                    self._record(Kind.SYNC, synced.path, syncs_folder=synced.syncs_folder)
                    synced.syncs_folder = False
            return code

        callbacks = _Write(_or_die(write)), _Truncate(_or_die(truncate)), _Sync(_or_die(sync))
        ours = _Methods.from_buffer_copy(theirs)
        ours.xWrite, ours.xTruncate, ours.xSync = (ctypes.cast(callback, _P).value for callback in callbacks)
        return ours, callbacks

    def _record(self, kind: Kind, path: str, offset: int = 0, data: bytes = b"", syncs_folder: bool = False) -> None:
        if os.getpid() == self._process:
            name = os.fsencode(path)
            self._log.write(_HEAD.pack(kind, syncs_folder, len(name), offset, len(data)) + name + data)


class _File:
    def __init__(self, path: str, syncs_folder: bool) -> None:
        self.path, self.syncs_folder = path, syncs_folder  # syncs_folder: the next sync is also one of the folder


def read_events(log: Path) -> list[Event]:
    """What was recorded, in its order. The data stay in the file, mapped: the log of a long run is large."""
    with log.open("rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    events, at = [], 0
    while at < len(mapped):
        kind, syncs_folder, name_bytes, offset, data_bytes = _HEAD.unpack_from(mapped, at)
        data_at = at + _HEAD.size + name_bytes
        name = os.fsdecode(bytes(mapped[at + _HEAD.size : data_at]))
        at = data_at + data_bytes
        events.append(Event(Kind(kind), name, offset, mapped[data_at:at], bool(syncs_folder)))
    return events


def _library() -> ctypes.CDLL:
    """The shared library that this process's `sqlite3` uses. Raises NoRecording where there is none."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError as error:
        raise NoRecording(f"/proc/self/maps cannot be read: {error.strerror}") from None
    mapped = {
        fields[5] for fields in map(str.split, maps.splitlines()) if len(fields) == 6 and "libsqlite3" in fields[5]
    }
    if len(mapped) != 1:
        raise NoRecording(
            f"Python's sqlite3 is not linked to one shared libsqlite3 (found: {sorted(mapped) or 'none'})"
        )
    library = ctypes.CDLL(mapped.pop())
    library.sqlite3_libversion.restype = ctypes.c_char_p
    library.sqlite3_vfs_find.argtypes, library.sqlite3_vfs_find.restype = [ctypes.c_char_p], _P
    library.sqlite3_vfs_register.argtypes = [_P, _I]
    version = library.sqlite3_libversion().decode()
    if version != sqlite3.sqlite_version:
        raise NoRecording(f"the shared libsqlite3 is {version}, Python's sqlite3 uses {sqlite3.sqlite_version}")
    below = ctypes.cast(library.sqlite3_vfs_find(None), ctypes.POINTER(_Vfs)).contents
    if below.zName != b"unix" or below.iVersion != 3:
        raise NoRecording(f"the default VFS is {below.zName!r} version {below.iVersion}, written for: unix version 3")
    return library


def why_no_recording() -> str | None:
    """Why `Recorder` cannot work in this Python, or None where it can."""
    try:
        _library()
    except NoRecording as why:
        return str(why)
    return None


def _or_die(callback: Callable[..., int]) -> Callable[..., int]:
    """An error in a callback would be swallowed by ctypes and an event lost: a recording with a hole proves nothing."""

    def guarded(*arguments: object) -> int:
        try:
            return callback(*arguments)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(70)

    return guarded
