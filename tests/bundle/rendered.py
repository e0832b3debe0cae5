"""Images of known content, as the files a camera might write."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]


def file_of(suffix: str, image: Image, *options: int) -> bytes:
    """The image as a file of the format that `suffix` (".png") stands for."""
    ok, data = cv2.imencode(suffix, image, list(options))
    assert ok
    return data.tobytes()


def organism(height: int, width: int, background: int = 250, ink: int = 40) -> Image:
    """(height, width) uint8: a dark ellipse that fills a light image but for a margin, by integers alone."""
    rows, columns = np.arange(height)[:, None] * 2 + 1 - height, np.arange(width)[None, :] * 2 + 1 - width
    inside = 25 * (rows**2 * width**2 + columns**2 * height**2) <= 16 * (height * width) ** 2  # 4/5 of each axis
    return np.where(inside, ink, background).astype(np.uint8)


def pattern(height: int, width: int) -> Image:
    """(height, width) uint8: smooth slopes with edges where they wrap, different in every pixel's neighbourhood."""
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    return ((rows * 5 + columns * 3 + rows * columns // 7) % 256).astype(np.uint8)


def every_format(image: Image) -> dict[str, bytes]:
    """The 8-bit grey image in each format and variant we take. All but the JPEGs are lossless."""
    return {
        "baseline.jpg": file_of(".jpg", image),
        "progressive.jpg": file_of(".jpg", image, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "restarts.jpg": file_of(".jpg", image, cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
        "grey.png": file_of(".png", image),
        "grey.bmp": file_of(".bmp", image),
        "colour.bmp": file_of(".bmp", np.dstack([image] * 3)),
        "binary.pgm": file_of(".pgm", image),
        "plain.pgm": plain_pgm(image),
        "lzw.tiff": file_of(".tiff", image, cv2.IMWRITE_TIFF_COMPRESSION, 5),
        "raw.tiff": file_of(".tiff", image, cv2.IMWRITE_TIFF_COMPRESSION, 1),
        "strips.tiff": file_of(".tiff", image, cv2.IMWRITE_TIFF_COMPRESSION, 8, cv2.IMWRITE_TIFF_ROWSPERSTRIP, 2),
        "big-endian.tiff": tiff(image, order=">"),
    }


def plain_pgm(image: Image) -> bytes:
    rows = "\n".join(" ".join(str(value) for value in row) for row in image)
    return f"P2\n# rendered\n{image.shape[1]} {image.shape[0]}\n255\n{rows}\n".encode()


def tiff(image: Image, order: str = "<", **changed: int) -> bytes:
    """An uncompressed TIFF whose directory comes first, so that a cut takes pixels. `changed` sets tags by number: t274=6."""
    height, width = image.shape
    sample_format = {"u": 1, "i": 2, "f": 3}[image.dtype.kind]
    pixels = image.astype(image.dtype.newbyteorder(order)).tobytes()
    tags = {256: width, 257: height, 258: image.dtype.itemsize * 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: height}
    tags |= {279: len(pixels), 339: sample_format} | {int(name[1:]): value for name, value in changed.items()}
    place = 8 + 2 + 12 * len(tags) + 4
    tags[273] = changed.get("t273", place)
    directory = b"".join(struct.pack(order + "HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return head + struct.pack(order + "H", len(tags)) + directory + bytes(4) + pixels


def jpeg_with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    """The JPEG with one more segment behind its first two bytes."""
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + jpeg[2:]


def exif_with_orientation(value: int) -> bytes:
    """The content of an APP1 segment that tells a viewer to turn the image."""
    return b"Exif\0\0" + b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, value, 0, 0)
