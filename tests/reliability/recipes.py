"""Image files that no camera writes: set pieces by hand, and mutations of whole files drawn from a seed.

Each is made again from its seed and number alone: what breaks something can be made once more and looked at.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from bundle.imagefile import IMAGE_SUFFIXES

from ..edge.images import image_bytes, png_header_of
from .ship import stamped

Make = Callable[[], bytes]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of_zeros(width: int, height: int, bits: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    """A whole PNG of equal pixels, some thousand times smaller than they are. `colour`: 0 grey, 2 RGB, 6 RGBA."""
    row_bytes = 1 + (width * bits * {0: 1, 2: 3, 6: 4}[colour] + 7) // 8
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    pixels = _deflated_zeros(row_bytes * height)
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff(entries: Sequence[tuple[int, int, int, int]], body: bytes, following: int = 0) -> bytes:
    """A TIFF of one directory behind `body`, which begins at byte 8. Entries: tag, type, count, value."""
    directory = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    place = 8 + len(body)
    return (
        b"II*\0"
        + struct.pack("<I", place)
        + body
        + struct.pack("<H", len(entries))
        + directory
        + struct.pack("<I", following)
    )


def tiff_entries(width: int, height: int, length: int, compression: int) -> list[tuple[int, int, int, int]]:
    """Those of an 8-bit grey image in one strip at byte 8."""
    return [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, compression),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, length),
    ]


def tiff_of_zeros(width: int, height: int, compression: int) -> bytes:
    """`compression`: 8 deflate, 32773 packed bits."""
    if compression == 8:
        body = _deflated_zeros(width * height)
    else:
        runs, rest = divmod(width * height, 128)
        body = b"\x81\0" * runs + (bytes([257 - rest, 0]) if rest > 1 else b"\0\0" * rest)
    return tiff(tiff_entries(width, height, len(body), compression), body)


def progressive(side: int, more_scans: int, colour: bool = False) -> bytes:
    """A progressive JPEG of equal pixels whose last scan stands `more_scans` times more: each is a walk over all blocks."""
    pixels = np.full((side, side, 3) if colour else (side, side), 128, np.uint8)
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    last_scan = data[data.rfind(b"\xff\xc4", 0, data.rfind(b"\xff\xda")) : -2]  # with the Huffman table before it
    return data[:-2] + last_scan * more_scans + b"\xff\xd9"


def with_exif(block: bytes) -> bytes:
    """A JPEG with this as its EXIF."""
    data, body = image_bytes("sphere", 1, ".jpg"), b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body + data[2:]


def huge(suffix: str) -> bytes:
    """A small file whose header asks for very many pixels."""
    data = bytearray(image_bytes("sphere", 2, suffix))
    if suffix == ".png":
        return png_header_of(2**31 - 1, 2**31 - 1)
    if suffix == ".bmp":
        struct.pack_into("<ii", data, 18, 2**31 - 1, -(2**31))
    elif suffix == ".pgm":
        return b"P5\n999999999 999999999\n255\n" + bytes(100)
    elif suffix == ".tif":
        return tiff(tiff_entries(2**32 - 1, 2**32 - 1, 100, 1), bytes(100))
    else:
        frame = data.index(b"\xff\xc0")
        struct.pack_into(">HH", data, frame + 5, 65535, 65535)
    return bytes(data)


def set_pieces() -> dict[str, Make]:
    """Name of a file -> what makes it. The bombs stay under the pixel limit: they must be decoded, not refused."""
    rational = struct.pack("<HHII", 0x011A, 5, 0xFFFFFFFF, 26)  # a value of 32 GiB
    loop = struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8)  # an EXIF directory that is its own parent
    small = image_bytes("sphere", 3, ".jpg")
    tags = [(1000 + tag, 3, 1, 0) for tag in range(64_500)]
    comment = png_chunk(b"tEXt", b"a\0b")
    zipped = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000), 9))
    pieces: dict[str, Make] = {
        "bomb/wide.png": lambda: png_of_zeros(60_000, 1_000),
        "bomb/rgba16.png": lambda: png_of_zeros(8_000, 8_000, 16, 6),
        "bomb/limit.png": lambda: png_of_zeros(63_999_999, 1),
        "bomb/over.png": lambda: png_of_zeros(8_001, 8_000),
        "bomb/chunks.png": lambda: png_of_zeros(100, 100, extra=comment * 200_000),
        "bomb/text.png": lambda: png_of_zeros(100, 101, extra=zipped * 20),
        "bomb/profile.png": lambda: png_of_zeros(100, 102, extra=zipped.replace(b"zTXt", b"iCCP")),
        "bomb/packed.tif": lambda: tiff_of_zeros(8_000, 8_000, 32773),
        "bomb/deflated.tif": lambda: tiff_of_zeros(8_000, 8_000, 8),
        "bomb/one-column.tif": lambda: tiff_of_zeros(1, 63_999_999, 8),
        "bomb/colour.jpg": lambda: progressive(8_000, 0, colour=True),
        "bomb/scans-100.jpg": lambda: progressive(1_000, 100),
        "bomb/scans-5000.jpg": lambda: progressive(1_000, 5_000),
        "bomb/scans-1000.jpg": lambda: progressive(8_000, 1_000),
        "meta/exif-huge.jpg": lambda: with_exif(b"II*\0\x08\0\0\0\x01\0" + rational),
        "meta/exif-loop.jpg": lambda: with_exif(b"II*\0\x08\0\0\0\x01\0" + loop),
        "meta/exif-full.jpg": lambda: with_exif(bytes(65_000)),
        "meta/exif-1000.jpg": lambda: small[:2] + (b"\xff\xe1\xff\xff" + bytes(65_533)) * 1000 + small[2:],
        "meta/tags.tif": lambda: tiff(tiff_entries(20, 20, 400, 1) + tags, bytes(400)),
        "meta/loop.tif": lambda: tiff(tiff_entries(20, 21, 420, 1), bytes(420), following=428),
        "meta/strips.tif": lambda: tiff(
            [*tiff_entries(20, 22, 440, 1)[:5], (273, 4, 2**31, 8), (279, 4, 2**31, 8)], bytes(440)
        ),
        "poly/zip.jpg": lambda: b"PK\x03\x04" + bytes(26) + small,
        "poly/jpeg-zip.jpg": lambda: small + b"PK\x05\x06" + bytes(18),
        "poly/jpeg-png.jpg": lambda: small + image_bytes("jelly", 4, ".png"),
        "poly/jpeg-jpeg.jpg": lambda: small + image_bytes("jelly", 5, ".jpg"),
        "text/comments.pgm": lambda: b"P5\n" + b"#\n" * 100_000 + b"2 2\n255\n" + bytes(4),
        "text/blanks.pgm": lambda: b"P5" + b" " * 3_000_000,
        "text/plain.pgm": lambda: b"P2 1000 1000 255\n" + b"7 " * 1_000_000,
        "text/plain-huge.pgm": lambda: b"P2 2 2 255\n" + b"9" * 1_000_000 + b" 1 2 3\n",
        "empty.jpg": lambda: b"",
    }
    for suffix in (".jpg", ".png", ".tif", ".bmp", ".pgm"):
        pieces[f"huge/sphere{suffix}"] = lambda suffix=suffix: huge(suffix)
        pieces[f"magic/only{suffix}"] = lambda suffix=suffix: image_bytes("sphere", 6, suffix)[:4]
    return pieces


def mutations(sources: Sequence[tuple[str, bytes]], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents of `count` files; number k depends on the sources, the seed and k alone."""
    for number in range(count):
        yield mutation(sources, number, seed)


def mutation(sources: Sequence[tuple[str, bytes]], number: int, seed: int) -> tuple[str, bytes]:
    chance = random.Random(f"{seed}/{number}")
    name, data = chance.choice(sources)
    other = chance.choice(sources)[1]
    kind = chance.choice(list(_KINDS))
    suffix = name[name.rfind(".") :]
    if chance.random() < 0.05:
        suffix = chance.choice(sorted(IMAGE_SUFFIXES))
    odd = chance.choice(_ODD_NAMES) if chance.random() < 0.02 else ""
    return f"{kind}/{number:06d}{odd}{suffix}", _KINDS[kind](data, other, chance)


def _deflated_zeros(length: int) -> bytes:
    packing, block = zlib.compressobj(1), bytes(1 << 20)
    parts = [packing.compress(block[: min(len(block), length - at)]) for at in range(0, length, len(block))]
    return b"".join(parts) + packing.flush()


def _truncated(data: bytes, _other: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _flipped(data: bytes, _other: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 3, 30))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _header_set(data: bytes, _other: bytes, chance: random.Random) -> bytes:
    """Extreme numbers where the sizes, offsets and lengths stand."""
    changed = bytearray(data)
    # A TIFF of OpenCV has its directory at the end, the others have theirs in front.
    low, high = (max(8, len(data) - 250), len(data)) if data[:2] in (b"II", b"MM") else (2, min(len(data), 200))
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(low, high)
        value = chance.choice((b"\0", b"\xff", b"\x7f", b"\x80", b"\x01")) * chance.choice((1, 2, 4))
        changed[at : at + len(value)] = value[: len(changed) - at]
    return bytes(changed)


def _zeroed(data: bytes, _other: bytes, chance: random.Random) -> bytes:
    low, high = sorted((chance.randrange(len(data)), chance.randrange(len(data))))
    return data[:low] + bytes(high - low) + data[high:]


def _scrambled(data: bytes, _other: bytes, chance: random.Random) -> bytes:
    low = chance.randrange(len(data))
    high = min(len(data), low + chance.randrange(1, 300))
    return data[:low] + chance.randbytes(high - low) + data[high:]


def _spliced(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :]


def _repeated(data: bytes, _other: bytes, chance: random.Random) -> bytes:
    low, high = sorted((chance.randrange(len(data)), chance.randrange(len(data))))
    return data[:high] + data[low:high] * chance.choice((1, 5, 50)) + data[high:]


def _cut_out(data: bytes, _other: bytes, chance: random.Random) -> bytes:
    low = chance.randrange(len(data))
    return data[:low] + data[low + chance.randrange(1, 100) :]


def _foreign_magic(data: bytes, other: bytes, _chance: random.Random) -> bytes:
    return other[:8] + data[8:]


def _joined(data: bytes, other: bytes, _chance: random.Random) -> bytes:
    return data + other


def _padded(data: bytes, _other: bytes, chance: random.Random) -> bytes:
    return data + chance.choice((bytes(5000), chance.randbytes(5000)))


def _stamped(data: bytes, _other: bytes, chance: random.Random) -> bytes:
    """Whole: that nothing but rejects comes out would prove little."""
    return stamped(data, chance.randrange(10**12))


_KINDS: dict[str, Callable[[bytes, bytes, random.Random], bytes]] = {
    "truncated": _truncated,
    "flipped": _flipped,
    "header": _header_set,
    "zeroed": _zeroed,
    "scrambled": _scrambled,
    "spliced": _spliced,
    "repeated": _repeated,
    "cut-out": _cut_out,
    "magic": _foreign_magic,
    "joined": _joined,
    "padded": _padded,
    "whole": _stamped,
}
_ODD_NAMES = ("\udcff\udce9", "\n", " ' \" ; --", "\u0301é🐟", "x" * 200, "%s{0}", "\x1b[2J")
