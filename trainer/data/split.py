"""Which images train, which steer, and which judge: decided by an image's content, not by its name or its neighbours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from trainer.config import Shares
from trainer.data.dataset import Dataset

Part = Literal["train", "validation", "test", "unused"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")  # those that are used

SMALLEST_SPLIT = 3  # images of a class; fewer are all for training


def split_dataset(dataset: Dataset, shares: Shares) -> list[Part]:
    """The part of each image of the data set, augmented copies where their origins allow. The way to split one."""
    return split(dataset.hashes, dataset.classes.tolist(), shares, dataset.origins)


def split(hashes: Sequence[str], labels: Sequence[int], shares: Shares, origins: Sequence[str]) -> list[Part]:
    """The part of each image, in the order given.

    hashes: sha-256 in hexadecimal; labels: class indices. The hash, read as a fraction of its range, falls below
    `shares.test`, or below that plus `shares.validation`, or above: so an image stays in its part when others are added.
    A class that would thus have no image in test or in validation, and has at least three, gives its lowest hashes; a
    class of fewer than three is all for training. Of the validation images the share `shares.released` trains after all:
    those with the highest hashes, and the test images are the same as without.

    origins: for an augmented copy the sha-256 of the image it was made from, empty for an original. The originals fall as
    if there were no copies. A copy trains if its origin is here, in the same class, and trains; otherwise it is unused: a
    copy of an image that judges would give that image away.
    """
    originals = [image for image, origin in enumerate(origins) if not origin]
    parts: list[Part] = ["unused"] * len(hashes)
    fallen = _split_originals([hashes[image] for image in originals], [labels[image] for image in originals], shares)
    for image, part in zip(originals, fallen, strict=True):
        parts[image] = part
    training = {(hashes[image], labels[image]) for image in originals if parts[image] == "train"}
    for image, origin in enumerate(origins):
        if origin and (origin, labels[image]) in training:
            parts[image] = "train"
    return parts


def _split_originals(hashes: Sequence[str], labels: Sequence[int], shares: Shares) -> list[Part]:
    members: dict[int, list[int]] = defaultdict(list)
    for image, label in enumerate(labels):
        members[label].append(image)
    parts: list[Part] = ["train"] * len(hashes)
    for images in members.values():
        if len(images) < SMALLEST_SPLIT:
            continue
        images.sort(key=lambda image: hashes[image])
        for image in images:
            parts[image] = _by_fraction(hashes[image], shares)
        for part in ("test", "validation", "train"):
            _ensure_one(parts, images, part)
    if shares.released:
        _release(parts, hashes, shares)
    return parts


def _release(parts: list[Part], hashes: Sequence[str], shares: Shares) -> None:
    """Has validation images train after all; the one of the lowest hash stays, whatever the share."""
    border = shares.test + shares.validation * (1 - shares.released)
    validation = sorted((image for image, part in enumerate(parts) if part == "validation"), key=hashes.__getitem__)
    for image in validation[1:]:
        if _fraction(hashes[image]) >= border:
            parts[image] = "train"


def _fraction(sha256: str) -> float:
    return int(sha256[:12], 16) / 16**12


def _by_fraction(sha256: str, shares: Shares) -> Part:
    fraction = _fraction(sha256)
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
