"""Online augmentation: each image is warped anew in each epoch, in one affine transform, then its grey levels vary.

In the loader rather than in layers: 64 x 64 pixels take about 15 microseconds with the defaults and 50 with everything
on, far less than a model needs for them.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bundle.preprocess import InputSpec
from trainer.config import Augmentation

Pixels = NDArray[np.uint8]


def augment(pixels: Pixels, spec: InputSpec, how: Augmentation, random: np.random.Generator) -> Pixels:
    """(B, S, S) uint8 from (B, S, S) uint8: every image warped, blurred, faded and made noisy by its own draw from `random`.

    pixels: as `bundle.preprocess` gives them, dark on light whatever the polarity of the files.
    """
    batch, side, _ = pixels.shape
    matrices = affine_matrices(batch, side, how, random)
    blurred = random.random(batch) < how.blur_chance
    sigmas = random.uniform(0.3, max(0.3, how.blur_sigma), batch)
    # What came later is drawn last, and only where it is on: a run of before, cut and resumed, sees the images it saw.
    tables = ink_tables(batch, how.intensity, random) if how.intensity > 1 else None
    noises = noise_draws(batch, how, random) if how.noise_chance > 0 else {}
    grounds = np.full(batch, 255) if spec.pad == "white" else border_medians(pixels)
    warped = np.empty_like(pixels)
    for image, (source, target, matrix, ground) in enumerate(
        zip(pixels, warped, matrices, grounds.tolist(), strict=True)
    ):
        cv2.warpAffine(
            source,
            matrix,
            (side, side),
            dst=target,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=ground,
        )
        if blurred[image]:
            cv2.GaussianBlur(target, (0, 0), sigmas[image], dst=target)
        if tables is not None:
            cv2.LUT(target, tables[image], dst=target)
        if image in noises:
            add_noise(target, *noises[image])
    return warped


def ink_tables(batch: int, intensity: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """(B, 256) uint8: for each image a look-up table that multiplies its ink (255 - pixel) by 1/intensity to intensity."""
    factors = np.exp(random.uniform(-np.log(intensity), np.log(intensity), batch))
    ink = np.arange(255, -1, -1) * factors[:, np.newaxis]
    return np.rint(255 - np.minimum(ink, 255)).astype(np.uint8)


def noise_draws(batch: int, how: Augmentation, random: np.random.Generator) -> dict[int, tuple[float, int]]:
    """For the images of the batch that get noise: its standard deviation in grey levels, and its seed."""
    noisy = random.random(batch) < how.noise_chance
    sigmas = random.uniform(0, how.noise_sigma, batch)
    seeds = random.integers(2**31, size=batch)
    return {int(image): (float(sigmas[image]), int(seeds[image])) for image in np.flatnonzero(noisy)}


def add_noise(image: Pixels, sigma: float, seed: int) -> None:
    """Adds Gaussian noise to the image in place; what passes 0 or 255 stays there.

    By OpenCV's generator, seeded for this image: three times as fast as NumPy's, and as repeatable.
    """
    cv2.setRNGSeed(seed)
    noise = np.empty(image.shape, np.float32)
    cv2.randn(noise, 0, sigma)
    cv2.add(image, noise, dst=image, dtype=cv2.CV_8U)


def border_medians(pixels: Pixels) -> NDArray[Any]:
    """(B,) uint8: `bundle.preprocess.border_median` of each image, for the whole batch at once."""
    ring = np.concatenate((pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]), axis=1)
    middle = (ring.shape[1] + 1) // 2 - 1
    return np.partition(ring, middle, axis=1)[:, middle]


def affine_matrices(batch: int, side: int, how: Augmentation, random: np.random.Generator) -> NDArray[np.float64]:
    """(B, 2, 3) float64, mapping source to target pixels about the image's centre: mirror, stretch, shear, zoom, turn, shift."""

    def spread(reach: float) -> NDArray[np.float64]:
        return random.uniform(-reach, reach, batch)

    angle = np.deg2rad(spread(how.rotation_degrees))
    shear = np.tan(np.deg2rad(spread(how.shear_degrees)))
    zoom, stretch = np.exp(spread(np.log(how.zoom))), np.exp(spread(np.log(how.stretch)) / 2)
    mirror = np.where(random.random(batch) < (0.5 if how.mirror else 0.0), -1.0, 1.0)
    shift = np.stack([spread(how.shift), spread(how.shift)], axis=1) * side
    cos, sin, zero, one = np.cos(angle), np.sin(angle), np.zeros(batch), np.ones(batch)
    turn = _matrices(cos, -sin, sin, cos)
    slant = _matrices(one, shear, zero, one)
    scale = _matrices(mirror * zoom * stretch, zero, zero, zoom / stretch)
    linear = turn @ slant @ scale  # (B, 2, 2)
    centre = np.full(2, (side - 1) / 2)
    offset = centre - linear @ centre + shift
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def _matrices(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(B, 2, 2) from the four entries, each (B,)."""
    return np.stack([a, b, c, d], axis=1).reshape(-1, 2, 2)
