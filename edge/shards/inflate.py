"""Inflating a member of a zip file within the size that it gives itself, whatever its bytes would come to."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Protocol

from bundle.errors import BadImage


def inflated(chunks: Iterable[bytes], method: int, size: int) -> bytes:
    """Exactly `size` bytes. Asks for one more, to see the member that would give more, and never holds more than that.

    Raises BadImage: `corrupt`. Whether they are the right bytes, only their checksum tells.
    """
    engine = METHODS[method](size)
    parts: list[bytes] = []
    left = size + 1
    for chunk in chunks:
        try:
            # Less than was asked for means that the whole chunk was taken up.
            part = engine.decompress(chunk, left)
        except (zlib.error, lzma.LZMAError, EOFError, ValueError, OSError) as error:  # OSError: bz2's word for bad data
            raise BadImage("corrupt", f"its bytes in the zip file cannot be inflated ({error})") from None
        parts.append(part)
        left -= len(part)
        if left == 0 or engine.eof:
            break
    if left != 1:
        fault = "more" if left == 0 else "fewer"
        raise BadImage("corrupt", f"inflates to {fault} than the {size} bytes that the zip file tells")
    return b"".join(parts)


class _Engine(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Lzma:
    """LZMA as zip has it: four bytes of version and length, five of properties, then the raw stream."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._head = b""
        self._engine: lzma.LZMADecompressor | None = None

    @property
    def eof(self) -> bool:
        return self._engine is not None and self._engine.eof

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        if self._engine is None:
            self._head += data
            if len(self._head) < _LZMA_HEAD.size:
                return b""
            length, properties, dictionary = _LZMA_HEAD.unpack_from(self._head)
            if length != 5:
                raise ValueError("its LZMA properties are not five bytes")
            rest, lc = divmod(properties, 9)
            pb, lp = divmod(rest, 5)
            # A dictionary larger than what comes out is never filled, but would be allocated.
            usable = max(min(dictionary, self._size), 4096)
            filters = [{"id": lzma.FILTER_LZMA1, "dict_size": usable, "lc": lc, "lp": lp, "pb": pb}]
            self._engine = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
            data, self._head = self._head[_LZMA_HEAD.size :], b""
        return self._engine.decompress(data, max_length)


_LZMA_HEAD = struct.Struct("<2xHBI")
# By the number in the zip file (APPNOTE.TXT 6.3.10, section 4.4.5): deflate, bzip2, LZMA.
METHODS: dict[int, Callable[[int], _Engine]] = {
    8: lambda _size: zlib.decompressobj(-zlib.MAX_WBITS),
    12: lambda _size: bz2.BZ2Decompressor(),
    14: _Lzma,
}
