"""Rendered images for the bundle tests/data/tiny-3, whose verdict is known from their size: chain, sphere, jelly."""

from pathlib import Path

import cv2
import numpy as np

TINY_BUNDLE = Path(__file__).parents[1] / "data" / "tiny-3"

# Height and width in pixels, each far from the borders of all three members: three votes.
SIZES = {"chain": (20, 100), "sphere": (22, 24), "jelly": (76, 80)}
KINDS = tuple(SIZES)  # in the order of the bundle's labels
FORMATS = (".jpg", ".png", ".tif", ".bmp", ".pgm")


def render(kind: str, seed: int = 0) -> np.ndarray:
    """A dark ellipse on a light ground with some noise, (H, W) uint8; another seed is another image."""
    height, width = SIZES[kind]
    image = np.full((height, width), 235, np.uint8)
    cv2.ellipse(image, (width // 2, height // 2), (width * 2 // 5, height * 2 // 5), 0, 0, 360, 70, -1)
    noise = np.random.default_rng(seed).integers(0, 20, image.shape, dtype=np.uint8)
    return image - noise


def image_bytes(kind: str, seed: int = 0, suffix: str = ".png") -> bytes:
    """A whole image file."""
    written, data = cv2.imencode(suffix, render(kind, seed))
    assert written
    return data.tobytes()


def kind_of(number: int) -> str:
    """The kinds in turn, for series of images."""
    return KINDS[number % len(KINDS)]


def png_header_of(width: int, height: int) -> bytes:
    """A small PNG that claims to be huge: header and end, no pixels."""
    data = bytearray(image_bytes("sphere"))
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return bytes(data)
