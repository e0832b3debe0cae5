"""A zip file of at most so many bytes: images as they come, and at the end the table that describes them."""

from __future__ import annotations

import csv
import io
import re
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from bundle.whole import json_bytes
from edge.export.provenance import Provenance

_PER_ENTRY = 256  # bytes of a zip file around each entry: two headers, and its name in both
_ROOM = 64 * 1024  # for the head of the table and the provenance
_BLOCK = 1 << 20


class ZipWithTable:
    """One zip file that is being written: images as they come, the table at the end."""

    def __init__(
        self, path: Path, table: str, columns: Mapping[str, str], max_bytes: int, provenance: Provenance
    ) -> None:
        self.path = path
        self._table_name, self._room, self._provenance = table, max_bytes - _ROOM, provenance
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self._table: IO[bytes] = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115
        self._table.write(tsv_line(columns).encode("utf-8-sig") + tsv_line(columns.values()).encode())

    def has_room(self, size: int, cells: Sequence[str]) -> bool:
        """Whether an image of `size` bytes and its row still fit."""
        return size + len(tsv_line(cells).encode()) + _PER_ENTRY < self._room

    def add(self, name: str, data: bytes, cells: Sequence[str]) -> None:
        line = tsv_line(cells).encode()
        self._zip.writestr(_entry(name), data)  # stored: images are compressed already
        self._table.write(line)
        self._room -= len(data) + len(line) + _PER_ENTRY

    def close(self) -> None:
        with self._table, self._zip:
            self._table.seek(0)
            with self._zip.open(_entry(self._table_name, zipfile.ZIP_DEFLATED), "w", force_zip64=True) as inside:
                while block := self._table.read(_BLOCK):
                    inside.write(block)
            self._zip.writestr(_entry("planktow.json"), json_bytes(self._provenance.table()))

    def abandon(self) -> None:
        with suppress(OSError), self._table, self._zip:  # a full disk takes the end of the file no more than its middle
            pass
        self.path.unlink(missing_ok=True)


def _entry(name: str, method: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # of 1980: the same export is the same bytes
    entry.compress_type, entry.external_attr = method, 0o644 << 16
    return entry


def tsv_line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    row = [_CONTROLS.sub(" ", cell) for cell in cells]
    csv.writer(text, delimiter="\t", lineterminator="\n").writerow(row)
    return text.getvalue()


_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
