"""Which images the demo shows: those that the classifier was not trained on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bundle.folder import Bundle
from bundle.training import TRAINING, image_key
from edge.demo.flowcam import Specimen
from edge.oneoff import find_targets

MOST = 400  # images shown, evenly spread over a larger folder: the demo is to end soon and fits in memory


@dataclass(frozen=True)
class Showing:
    """The images to show, and what a person must know of the choice."""

    specimens: tuple[Specimen, ...]
    held_out: bool  # False: the classifier may have been trained on them, or was
    remark: str


def read_folder(folder: Path) -> tuple[Specimen, ...]:
    """The images of a folder and below; the sub-folder of `folder` that one lies in is its taxon.

    Raises BadData for a folder that is missing or holds no images.
    """
    files = [target.path for target in find_targets([folder], truth=False)]
    step = max(1, -(-len(files) // MOST))
    return tuple(Specimen(file.name, file.read_bytes(), _taxon(file, folder)) for file in files[::step])


def choose(specimens: Sequence[Specimen], bundle: Bundle) -> Showing:
    """Leaves out what the bundle's training record says it was trained on or tuned with.

    The taxa stay only if every one of them is a label of the bundle: else there is nothing to score against.
    """
    if not all(image.taxon in bundle.labels for image in specimens):
        specimens = [replace(image, taxon=None) for image in specimens]
    name, seen = bundle.manifest.name, _trained_on(bundle)
    unseen = tuple(image for image in specimens if image_key(image.sha256) not in seen)
    if not seen:
        remark = f"{name} does not say what it was trained on: it may know these images already"
    elif not unseen:
        remark = f"{name} was trained on all of these images: the accuracy says nothing about new ones"
    else:
        remark = f"{len(unseen)} of {len(specimens)} images, all of them kept from {name} in its training"
    return Showing(unseen or tuple(specimens), bool(seen and unseen), remark)


def _taxon(file: Path, folder: Path) -> str | None:
    first, *rest = file.relative_to(folder).parts
    return first if rest else None


def _trained_on(bundle: Bundle) -> frozenset[str]:
    """The keys of the images in the parts `train` and `validation` of the bundle's split; empty where none is given."""
    try:
        split = json.loads(bundle.contents[TRAINING])["split"]
        return frozenset(key for part in ("train", "validation") for key in split[part])
    except (KeyError, TypeError, ValueError):
        return frozenset()  # a record by another trainer: nothing is known, and the remark says so
