"""What the bytes of an image file say of themselves before anything is decoded: format, size, and whether the end is there.

A decoder is no judge of this: OpenCV turns a truncated JPEG into a full-shape array with flat bottom rows, and allocates
whatever width times height a header asks for.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from bundle.errors import BadImage

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".pgm"})


@dataclass(frozen=True)
class ImageFile:
    """The header of an image file that is complete as far as its own structure tells."""

    format: str  # "jpeg", "png", "tiff", "bmp" or "pgm"
    width: int  # pixels
    height: int  # pixels


def inspect(data: bytes) -> ImageFile:
    """Reads the header of a whole file. Raises BadImage: `empty`, `not an image`, `truncated` or `corrupt`."""
    if not data:
        raise BadImage("empty", "the file has no bytes")
    for name, signature, read in _FORMATS:
        if signature.match(data):
            try:
                found = read(data)
            except (struct.error, IndexError):
                raise BadImage(
                    "truncated", f"the {name.upper()} file ends inside its header ({len(data)} bytes)"
                ) from None
            if found is None:
                raise BadImage("truncated", f"the {name.upper()} file ends before its image does ({len(data)} bytes)")
            width, height = found
            if width < 1 or height < 1:
                raise BadImage("corrupt", f"the {name.upper()} header gives a size of {width} x {height} pixels")
            return ImageFile(name, width, height)
    raise BadImage("not an image", f"not a JPEG, PNG, TIFF, BMP or PGM file (it begins with {data[:4].hex(' ')})")


Size = tuple[int, int]  # width, height in pixels

# Markers of a JPEG that stand alone, without a length: TEM and the restarts.
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
# Start-of-frame markers: the Cx range without DHT, JPG and DAC.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg(data: bytes) -> Size | None:
    """Walks the segments to the scan; after it an end marker must follow (ITU T.81: scan data never holds FF D9)."""
    size: Size | None = None
    at = 2
    while True:
        if data[at] != 0xFF:
            raise BadImage("corrupt", f"the JPEG file has no marker at byte {at}, where one must stand")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in _JPEG_BARE:
            at += 2
            continue
        if marker == 0xD9:
            raise BadImage("corrupt", "the JPEG file ends without a scan")
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            size = (width, height)
        at += 2 + length
        if marker == 0xDA:
            if size is None:
                raise BadImage("corrupt", "the JPEG file has a scan before its frame header")
            return size if data.find(b"\xff\xd9", at) >= 0 else None


def _png(data: bytes) -> Size | None:
    size: Size = struct.unpack_from(">II", data, 16)
    return size if data.find(b"IEND", 33) >= 0 and len(data) >= data.rfind(b"IEND") + 8 else None


def _bmp(data: bytes) -> Size | None:
    (declared,) = struct.unpack_from("<I", data, 2)
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    return (width, abs(height)) if len(data) >= declared else None


def _pgm(data: bytes) -> Size | None:
    found = _PGM_HEADER.match(data)
    if not found:
        raise BadImage("corrupt", "the PGM header is not: P5 (or P2), width, height, maximum")
    width, height, maximum = (int(found[group]) for group in (2, 3, 4))
    if not 1 <= maximum <= 65535:
        raise BadImage("corrupt", f"the PGM header gives a maximum of {maximum}")
    if found[1] == b"5":
        needed = width * height * (1 if maximum < 256 else 2)
        return (width, height) if len(data) - found.end() >= needed else None
    values = width * height
    return (width, height) if len(data) - found.end() >= 2 * values - 1 else None  # at least a digit and a space each


def _tiff(data: bytes) -> Size | None:
    """Reads the first directory: the size, and whether every strip or tile lies inside the file."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(count):
        tag, kind, values = struct.unpack_from(order + "HHI", data, at + 2 + 12 * entry)
        code = {1: "B", 3: "H", 4: "I"}.get(kind)
        if tag in _TIFF_TAGS and code is not None:
            if values > len(data):
                raise BadImage("corrupt", f"the TIFF directory gives {values} values for tag {tag}")
            form = f"{order}{values}{code}"
            place = at + 2 + 12 * entry + 8
            if struct.calcsize(form) > 4:
                (place,) = struct.unpack_from(order + "I", data, place)
            tags[tag] = struct.unpack_from(form, data, place)
    if not tags.get(256) or not tags.get(257):
        raise BadImage("corrupt", "the TIFF directory gives no width or height")
    starts = tags.get(273, tags.get(324, ()))
    lengths = tags.get(279, tags.get(325, ()))
    whole = all(start + length <= len(data) for start, length in zip(starts, lengths, strict=False))
    return (tags[256][0], tags[257][0]) if whole else None


_TIFF_TAGS = frozenset({256, 257, 273, 279, 324, 325})  # width, height, strips and tiles: offsets and byte counts
_PGM_HEADER = re.compile(rb"P([25])(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s")
_FORMATS: tuple[tuple[str, re.Pattern[bytes], Callable[[bytes], Size | None]], ...] = (
    ("jpeg", re.compile(rb"\xff\xd8\xff"), _jpeg),
    ("png", re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    ("tiff", re.compile(rb"II\*\x00|MM\x00\*"), _tiff),
    ("bmp", re.compile(rb"BM"), _bmp),
    ("pgm", re.compile(rb"P[25]\s"), _pgm),
)
