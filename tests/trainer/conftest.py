"""Rendered data sets: real image files of three shapes, drawn anew for each test."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHAPES = ("disc", "ring", "rod")


def draw(shape: str, random: np.random.Generator) -> np.ndarray:
    """A grey image of one dark shape on a light ground, a little different each time."""
    size = int(random.integers(24, 60))
    height = size // 4 if shape == "rod" else size
    image = np.full((height, size), 255, np.uint8)
    middle = (size // 2, height // 2)
    axes = (size // 2 - 3, max(2, height // 2 - 3))
    ink = int(random.integers(20, 120))
    cv2.ellipse(image, middle, axes, 0, 0, 360, ink, 3 if shape == "ring" else -1)
    noise = random.integers(0, 12, image.shape, dtype=np.uint8)
    return np.maximum(image, 12) - noise


def write_shapes(folder: Path, per_class: int, seed: int = 0, first: int = 0) -> Path:
    """FOLDER/SHAPE/N.png for each shape; the same seed draws the same images."""
    random = np.random.default_rng(seed)
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + per_class):
            cv2.imwrite(str(folder / shape / f"{number}.png"), draw(shape, random))
    return folder


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    return write_shapes(tmp_path / "shapes", per_class=20)
