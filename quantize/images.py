"""The labelled images behind a training run, found again by their content."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from bundle.errors import BadData, BadImage
from bundle.folder import Bundle
from bundle.imagefile import IMAGE_SUFFIXES
from bundle.pace import Say, paced, silent
from bundle.preprocess import FEATURES, Inputs, InputSpec, Pixels, prepare
from bundle.training import image_key
from bundle.whole import sha256_hex

Item = TypeVar("Item")


@dataclass(frozen=True)
class Found:
    """Where an image of the data set lies, and what it shows."""

    path: Path
    label: int  # class index


@dataclass(frozen=True)
class Labelled:
    """M images, ready for the members."""

    classes: NDArray[np.int32]  # (M,) class index
    inputs: Inputs  # of M images

    def __len__(self) -> int:
        return len(self.classes)

    def part(self, which: slice) -> Labelled:
        """Some of them, without a copy."""
        return Labelled(self.classes[which], self.inputs.at(which))


def find_images(folder: Path, labels: Sequence[str], say: Say = silent) -> dict[str, Found]:
    """Every image in FOLDER/LABEL by its key. Content that stands under two labels is left out, as in training.

    Raises BadData where there is no folder, or nothing in it for any label.
    """
    if not folder.is_dir():
        raise BadData(f"{folder}: not a folder; give the data set that the members were trained on")
    found: dict[str, Found] = {}
    conflicts: set[str] = set()
    images = [
        Found(path, index)
        for index, label in enumerate(labels)
        for path in sorted((folder / label).rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    ]
    for image in paced(images, len(images), "images looked at", say):
        key = image_key(sha256_hex(_read(image.path)))
        if found.setdefault(key, image).label != image.label:
            conflicts.add(key)
    if not found:
        raise BadData(f"{folder}: no images in sub-folders named for the labels ({labels[0]}, {labels[1]}, …)")
    return {key: image for key, image in found.items() if key not in conflicts}


def require_images(found: Mapping[str, Found], keys: Sequence[str], part: str, folder: Path) -> None:
    """Raises BadData unless every image of a part of the split was found."""
    missing = [key for key in keys if key not in found]
    if missing:
        raise BadData(
            f"{folder}: {len(missing)} of the {len(keys)} {part} images are not there, for example the one whose "
            f"sha-256 begins with {missing[0]}; give the data set that the members were trained on"
        )


def load_images(
    found: Mapping[str, Found],
    keys: Sequence[str],
    spec: InputSpec,
    sides: Collection[int],
    store: Callable[[int], Path] | None = None,
    say: Say = silent,
) -> Labelled:
    """The images with these keys, in this order, through the bundle's preprocessing, at each of `sides`. Raises BadData.

    store: names for each side a new .npy file that holds the pixels, mapped into memory; without it they stand in memory.
    """
    pixels = {side: _room(len(keys), side, store) for side in sides}
    features = np.empty((len(keys), len(FEATURES)), np.float32)
    for index, key in enumerate(paced(keys, len(keys), "images prepared", say)):
        path = found[key].path
        try:
            prepared = prepare(_read(path), spec, sides)
        except BadImage as error:
            raise BadData(f"{path}: {error}; the members were trained when it could be read") from None
        features[index] = prepared.features
        for side, filled in pixels.items():
            filled[index] = prepared.pixels[side]
    for filled in pixels.values():
        if isinstance(filled, np.memmap):
            filled.flush()
    return Labelled(np.array([found[key].label for key in keys], np.int32), Inputs(pixels, features))


def _room(images: int, side: int, store: Callable[[int], Path] | None) -> Pixels:
    """(M, S, S), to be filled."""
    shape = images, side, side
    if store is None or not images:  # an empty file cannot be mapped
        return np.empty(shape, np.uint8)
    return open_memmap(store(side), "w+", np.uint8, shape)


def decoded(bundle: Bundle, path: Path) -> Pixels:
    """An image that the bundle was validated on, (H, W) uint8. Raises BadData."""
    try:
        return bundle.decode(_read(path))
    except BadImage as error:
        raise BadData(
            f"{path}: {error}; it could be read when the bundle was made, so look at this host's OpenCV"
        ) from None


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """So many at a time; the last batch may have fewer."""
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def require_varied(labelled: Labelled, folder: Path) -> None:
    """Raises BadData unless the representative images are of two classes at least: one class does not show the ranges."""
    classes = len(np.unique(labelled.classes))
    if classes < 2:
        raise BadData(
            f"{folder}: the {len(labelled)} representative images are of {classes} class; raise representative_images, or "
            "give a run that was trained on more classes"
        )


def draw_representative(found: Mapping[str, Found], keys: Sequence[str], size: int, seed: int) -> list[str]:
    """At most `size` of the training images, stratified: one of every class first, then in proportion.

    Rare classes come first because an activation range that never saw them clips them. The order within a class is that
    of sha256(seed:key), which no library's random generator can change.
    """
    classes: dict[int, list[str]] = defaultdict(list)
    for key in sorted(set(keys), key=lambda key: sha256_hex(f"{seed}:{key}".encode())):
        classes[found[key].label].append(key)
    # The i-th of n images of a class has rank i/n: all firsts have rank 0, and then each class advances in step.
    ranked = sorted(
        (place / len(members), label, key) for label, members in classes.items() for place, key in enumerate(members)
    )
    return [key for _, _, key in ranked[:size]]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
