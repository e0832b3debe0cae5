"""What the bytes of an image file say of themselves before anything is decoded: format, size, and whether the end is there.

A decoder is no judge of this: OpenCV turns a truncated JPEG into a full-shape array with flat bottom rows, and allocates
whatever width times height a header asks for.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bundle.errors import BadImage

MAX_JPEG_SCANNED = 1_000_000_000  # pixels times scans: about a second to decode; cameras write 1 to 10 scans
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".pgm"})


@dataclass(frozen=True)
class ImageFile:
    """The header of an image file that is complete as far as its own structure tells."""

    format: str  # "jpeg", "png", "tiff", "bmp" or "pgm"
    width: int  # pixels as stored
    height: int  # pixels as stored
    tiff_orientation: int = 1  # 1..8, 1 is as stored; only TIFF's is told, since OpenCV turns those unasked


def inspect(data: bytes) -> ImageFile:
    """Reads the header of a whole file. Raises BadImage: `empty`, `not an image`, `truncated`, `corrupt`, `unsupported`."""
    if not data:
        raise BadImage("empty", "the file has no bytes")
    for name, signature, read in _FORMATS:
        if signature.match(data):
            try:
                found = read(data)
            except (struct.error, IndexError, OverflowError):  # the last: a place beyond what 32 bits can index
                raise BadImage(
                    "truncated", f"the {name.upper()} file ends inside its header ({len(data)} bytes)"
                ) from None
            except BadImage as error:
                if error.reason == "corrupt" and not any(data[-_UNWRITTEN_BYTES:]):
                    raise BadImage(
                        "truncated", f"the {name.upper()} file ends in zeros, as if not yet written"
                    ) from None
                raise
            if found is None:
                raise BadImage("truncated", f"the {name.upper()} file ends before its image does ({len(data)} bytes)")
            if found.width < 1 or found.height < 1:
                raise BadImage(
                    "corrupt", f"the {name.upper()} header gives a size of {found.width} x {found.height} pixels"
                )
            return found
    raise BadImage("not an image", f"not a JPEG, PNG, TIFF, BMP or PGM file (it begins with {data[:4].hex(' ')})")


# Markers of a JPEG that stand alone, without a length: TEM and the restarts.
JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
# Start-of-frame markers: the Cx range without DHT, JPG and DAC.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# What ends the data of a scan: a marker that is no stuffed zero, no restart and no fill byte (ITU T.81, B.1.1.5).
_JPEG_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


def _jpeg(data: bytes) -> ImageFile | None:
    """Walks segments and scans (a progressive file has several) to the end marker, which must be there.

    A search for FF D9 would not do: a segment between two scans may hold these bytes.
    """
    size: tuple[int, int] | None = None  # width, height
    scans = 0
    at = 2
    while True:
        if data[at] != 0xFF:
            raise BadImage("corrupt", f"the JPEG file has no marker at byte {at}, where one must stand")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in JPEG_BARE:
            at += 2
            continue
        if marker == 0xD9:
            if size is None or not scans:
                raise BadImage("corrupt", "the JPEG file ends without a scan")
            return ImageFile("jpeg", *size)
        (length,) = struct.unpack_from(">H", data, at + 2)
        if length < 2:
            raise BadImage("corrupt", f"the JPEG segment at byte {at} gives a length of {length}")
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            size = (width, height)
        at += 2 + length
        if marker == 0xDA:
            if size is None:
                raise BadImage("corrupt", "the JPEG file has a scan before its frame header")
            scans += 1
            if scans * size[0] * size[1] > MAX_JPEG_SCANNED:  # each scan of a progressive file goes over all its pixels
                raise BadImage(
                    "too large",
                    f"a JPEG of {size[0]} x {size[1]} pixels with {scans} or more scans takes too long to decode",
                )
            end = _JPEG_AFTER_SCAN.search(data, at)
            if end is None:
                return None
            at = end.start()


def _png(data: bytes) -> ImageFile | None:
    """Walks the chunks to IEND; their checksums are left to the decoder, which compares them."""
    found: ImageFile | None = None
    pixels = False
    at = 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        if not kind.isalpha():
            raise BadImage("corrupt", f"the PNG file has no chunk at byte {at}, where one must stand")
        if at + 12 + length > len(data):
            return None
        if kind == b"IHDR":
            if length != 13:
                raise BadImage("corrupt", f"the PNG header has {length} bytes, not 13")
            found = ImageFile("png", *struct.unpack_from(">II", data, at + 8))
        if found is None:
            raise BadImage("corrupt", "the PNG file does not begin with its header")
        pixels = pixels or kind == b"IDAT"
        if kind == b"IEND":
            if not pixels:
                raise BadImage("corrupt", "the PNG file ends without pixels")
            return found
        at += 12 + length


def _bmp(data: bytes) -> ImageFile | None:
    """The declared file size is not asked where the rows can be reckoned: some writers leave it 0."""
    declared, _, offset, header = struct.unpack_from("<IIII", data, 2)
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)  # negative: stored from the top
    if compression in (1, 2):  # run lengths: only the declared sizes tell
        (pixels,) = struct.unpack_from("<I", data, 34)
        needed = max(declared, offset + pixels)
    else:
        needed = offset + (width * bits + 31) // 32 * 4 * height
    return ImageFile("bmp", width, height) if len(data) >= needed else None


def _pgm(data: bytes) -> ImageFile | None:
    found = _PGM_HEADER.match(data, 0, _PGM_HEADER_BYTES)
    if not found:
        if len(data) < _PGM_HEADER_BYTES and _PGM_BEGINNING.fullmatch(data):
            return None
        raise BadImage("corrupt", "the PGM header is not: P5 (or P2), width, height, maximum")
    width, height, maximum = (int(found[group]) for group in (2, 3, 4))
    if maximum not in (255, 65535):  # OpenCV would hand on 12 bits as the darkest sixteenth of 16
        raise BadImage("unsupported", f"the PGM maximum is {maximum}; write the images with 255 or 65535")
    if found[1] == b"5":
        values = len(data) - found.end()
        needed = width * height * (1 if maximum == 255 else 2)
    else:
        text = np.frombuffer(data, np.uint8)[found.end() :]
        digit, space = (text >= ord("0")) & (text <= ord("9")), np.isin(text, np.frombuffer(b" \t\n\v\f\r", np.uint8))
        if not (digit | space).all():
            raise BadImage("corrupt", "the PGM pixels are not decimal numbers")
        values = int(np.count_nonzero(digit[:-1] & space[1:]))  # a number counts once the space behind it is there
        needed = width * height
    return ImageFile("pgm", width, height) if values >= needed else None


def _tiff(data: bytes) -> ImageFile | None:
    """Reads the first directory: the size, and whether every strip or tile lies inside the file."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    struct.unpack_from(f"{12 * count + 4}x", data, at + 2)  # the directory must be all there, the next one's place too
    tags: dict[int, tuple[int, ...]] = {}
    for entry, (tag, kind, values, place) in enumerate(tiff_entries(data, order, at)):
        if tag == 0:
            raise BadImage("corrupt", f"the TIFF directory's entry {entry} is empty")
        if place + values * _TIFF_VALUE_BYTES.get(kind, 0) > len(data):
            return None
        code = {1: "B", 3: "H", 4: "I"}.get(kind)
        if tag in _TIFF_TAGS and tag not in tags and code is not None:
            tags[tag] = struct.unpack_from(f"{order}{values}{code}", data, place)

    def first(tag: int, default: int) -> int:
        return (tags.get(tag) or (default,))[0]

    width, height = first(_WIDTH, 0), first(_HEIGHT, 0)
    starts = tags.get(_STRIPS, tags.get(_TILES, ()))
    lengths = tags.get(_STRIP_BYTES, tags.get(_TILE_BYTES, ()))
    placed = bool(starts) and len(starts) == len(lengths) and min(starts) >= 8 and min(lengths) >= 1
    if width < 1 or height < 1 or not placed:
        raise BadImage("corrupt", "the TIFF directory does not give a size and the place of its pixels")
    # A tile may overhang the image, but the decoder allocates it whole: a small image must not ask for a huge one.
    if first(_TILE_WIDTH, 1) > width + _TILE_OVERHANG or first(_TILE_HEIGHT, 1) > height + _TILE_OVERHANG:
        raise BadImage("corrupt", f"the TIFF tiles are far larger than the image of {width} x {height} pixels")
    if first(_PHOTOMETRIC, 1) == 0 and first(_BITS, 1) > 8:  # OpenCV inverts 8 bits, as it should, and not 16
        raise BadImage("unsupported", "the TIFF stores 16 bits with white as zero; write the images with black as zero")
    if not all(start + length <= len(data) for start, length in zip(starts, lengths, strict=True)):
        return None
    orientation = first(_ORIENTATION, 1)
    return ImageFile("tiff", width, height, orientation if 1 <= orientation <= 8 else 1)


def tiff_entries(data: bytes, order: str, at: int) -> Iterator[tuple[int, int, int, int]]:
    """The entries of the TIFF directory at byte `at`: tag, type, number of values, and where the values lie.

    order: "<" or ">". Raises struct.error where the data ends before the directory does; values may lie beyond the end.
    """
    if at > len(data):
        raise struct.error  # a machine of 32 bits would have an OverflowError
    (count,) = struct.unpack_from(order + "H", data, at)
    for place in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, values, offset = struct.unpack_from(order + "HHII", data, place)
        yield tag, kind, values, offset if values * _TIFF_VALUE_BYTES.get(kind, 0) > 4 else place + 8


# A copy over a network may reserve the file's whole length first: what it has not come to yet reads as zeros.
_UNWRITTEN_BYTES = 16

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 262, 274
_STRIPS, _STRIP_BYTES, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 273, 279, 322, 323, 324, 325
_TIFF_TAGS = frozenset({_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION}) | frozenset(
    {_STRIPS, _STRIP_BYTES, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES}
)
_TIFF_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # by the entry's type
_TILE_OVERHANG = 4096  # pixels
_PGM_HEADER_BYTES = 4096  # comments included; a bound, so that a long file of blanks costs nothing
_PGM_HEADER = re.compile(rb"P([25])(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s")
_PGM_BEGINNING = re.compile(rb"P[25](?:[\s\d]|#[^\n]*(?:\n|\Z))*")
_FORMATS: tuple[tuple[str, re.Pattern[bytes], Callable[[bytes], ImageFile | None]], ...] = (
    ("jpeg", re.compile(rb"\xff\xd8\xff"), _jpeg),
    ("png", re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    ("tiff", re.compile(rb"II\*\x00|MM\x00\*"), _tiff),
    ("bmp", re.compile(rb"BM"), _bmp),
    ("pgm", re.compile(rb"P[25]\s"), _pgm),
)
