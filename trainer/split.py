"""Which images train, which steer, and which judge: decided by an image's content, not by its name or its neighbours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from trainer.config import Shares

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


def split(hashes: Sequence[str], labels: Sequence[int], shares: Shares) -> list[Part]:
    """The part of each image, in the order given.

    hashes: sha-256 in hexadecimal; labels: class indices. The hash, read as a fraction of its range, falls below
    `shares.test`, or below that plus `shares.validation`, or above: so an image stays in its part when others are added.
    A class that would thus have no image in test or in validation, and has at least three, gives its lowest hashes; a
    class of fewer than three is all for training.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for image, label in enumerate(labels):
        members[label].append(image)
    parts: list[Part] = ["train"] * len(hashes)
    for images in members.values():
        if len(images) < 3:
            continue
        images.sort(key=lambda image: hashes[image])
        for image in images:
            parts[image] = _by_fraction(hashes[image], shares)
        for part in ("test", "validation", "train"):
            _ensure_one(parts, images, part)
    return parts


def _by_fraction(sha256: str, shares: Shares) -> Part:
    fraction = int(sha256[:12], 16) / 16**12
    if fraction < shares.test:
        return "test"
    return "validation" if fraction < shares.test + shares.validation else "train"


def _ensure_one(parts: list[Part], images: Sequence[int], part: Part) -> None:
    """Gives `part` the lowest hash of a part that can spare one, if it has none of these images."""
    if any(parts[image] == part for image in images):
        return
    for image in images:
        if sum(parts[other] == parts[image] for other in images) > 1:
            parts[image] = part
            return
