"""How many images a second this host classifies, against how many come."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from bundle.errors import BadImage
from bundle.folder import Bundle
from bundle.imagefile import IMAGE_SUFFIXES
from edge.check.finding import Finding, fail, ok, warn
from edge.check.inflow import Inflow

GROUP = "speed"
IMAGES = 300
_BATCH = 64
_MOST_BYTES = 4 * 1024 * 1024  # larger files are left out of the sample, or it would take minutes
_CLOSE = 0.8  # of what the host can do


@dataclass(frozen=True)
class Speed:
    """Of one process with all that it does but recording."""

    images: int
    seconds: float
    own: bool  # images from the watched folder, not made-up ones

    @property
    def images_per_second(self) -> float:
        return self.images / max(self.seconds, 1e-9)


def judge_speed(speed: Speed, workers: int, inflow: Inflow | None, busy: bool = False) -> Finding:
    """workers: processes side by side; two on two cores are taken for twice as fast as one. busy: it was measured beside
    other work, such as the daemon's own: then it is no proof that the host is too slow.
    """
    able = speed.images_per_second * workers
    whose = "images of the watched folder" if speed.own else "made-up images"
    said = f"some {able:.0f} images/s with {workers} workers ({speed.images} {whose}, {speed.images_per_second:.0f}/s in one)"
    if inflow is None:
        return ok(GROUP, f"{said}; how many come is not known yet")
    said += f"; {inflow.images_per_second:.1f}/s came in the last hour that had images"
    faster = "count with a smaller bundle (planktonset-121-fast), run planktow-edge tune, or set a policy in [overload]"
    if inflow.images_per_second > able and not busy:
        return fail(GROUP, f"{said}: too many, the backlog grows", faster)
    if inflow.images_per_second > _CLOSE * able:
        return warn(GROUP, f"{said}: close to what this host can do", faster)
    return ok(GROUP, said)


def measure_speed(bundle: Bundle, images: Sequence[bytes], own: bool) -> Speed:
    """Decodes, prepares and classifies them in one thread, as a worker does."""
    ensemble = bundle.load()
    _classify(bundle, ensemble, images[:_BATCH])  # the interpreters plan at their first batch
    began = time.perf_counter()
    for first in range(0, len(images), _BATCH):
        _classify(bundle, ensemble, images[first : first + _BATCH])
    return Speed(len(images), time.perf_counter() - began, own)


def sample(watch: Path, count: int = IMAGES) -> tuple[list[bytes], bool]:
    """Images of the watched folder, or where it has too few, made-up ones; and which they are."""
    found = list(islice(_images_in(watch), count))
    if len(found) >= min(count, 50):
        return found, True
    return made_up(count), False


def made_up(count: int) -> list[bytes]:
    """Grey blobs of the size of the many: 63 pixels."""
    rng = np.random.default_rng(1)
    made = []
    for _ in range(count):
        height, width = rng.integers(40, 100, 2)
        pixels = rng.integers(225, 255, (height, width), np.uint8)
        cv2.ellipse(
            pixels, (int(width) // 2, int(height) // 2), (int(width) // 3, int(height) // 4), 20, 0, 360, 90, -1
        )
        made.append(cv2.imencode(".png", pixels)[1].tobytes())
    return made


def _images_in(watch: Path) -> Iterator[bytes]:
    for where, folders, names in os.walk(watch):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(where, name)
            if file.suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
                try:
                    if file.stat().st_size <= _MOST_BYTES:
                        yield file.read_bytes()
                except OSError:
                    continue


def _classify(bundle: Bundle, ensemble: object, images: Sequence[bytes]) -> None:
    batch = []
    for data in images:
        try:
            batch.append(bundle.prepare(data))
        except BadImage:
            continue
    if batch:
        bundle.classify(ensemble, batch)  # type: ignore[arg-type]
