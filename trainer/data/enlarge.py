"""Offline augmentation: a data set enlarged to a number of images for each class, as a new folder.

For other programs, for a look at what augmentation does, and for classes of a handful of images. To train with ours, the
online augmentation is better: it costs no disk and shows each image anew in each epoch (docs/training.md).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from bundle.errors import BadConfig, BadData
from bundle.pace import paced
from bundle.preprocess import InputSpec, decode
from bundle.whole import json_bytes, whole_folder
from bundle.writing import writing_to
from trainer.config import Augmentation, Shares
from trainer.data.classfolders import class_files, folder_faults
from trainer.data.dataset import Dataset, image_faults, read_dataset, refuse
from trainer.data.origin import mark
from trainer.data.split import split_dataset
from trainer.data.varied import varied

NOTE = "augmented.json"  # in the new folder: what it was made from, and how
SCHEMA_VERSION = 1
SIDE = 8  # pixels, the least there is: the pixels of a data set at a member's side play no part here


@dataclass(frozen=True)
class Recipe:
    """What decides every byte of an enlarged data set, besides the data."""

    per_class: int  # images, originals and copies together
    seed: int
    input: InputSpec  # its polarity and limit; its pad plays no part
    shares: Shares  # which images train, and so may be copied
    augmentation: Augmentation

    def __post_init__(self) -> None:
        if self.per_class < 1:
            raise BadConfig(f"--per-class must be at least 1, found {self.per_class}")


@dataclass(frozen=True)
class Copy:
    """One augmented image to be made."""

    label: str
    origin: str  # sha-256
    file: str  # the origin's path, relative to the data set
    number: int  # of the copies of this origin, from 0

    @property
    def name(self) -> str:
        """Its path, relative to the enlarged data set."""
        return f"{self.label}/aug-{self.origin[:16]}-{self.number:04d}.png"


def enlarge(data: Path, out: Path, recipe: Recipe, say: Callable[[str], None]) -> None:
    """Writes the image files of `data` and the copies that `recipe` asks for to the new folder `out`, whole or not at all.

    With the same data and recipe it does nothing the second time. Raises BadData.
    """
    if out.resolve().is_relative_to(data.resolve()) or data.resolve().is_relative_to(out.resolve()):
        raise BadData(f"{out}: lies in the data set, or the data set in it; give a folder beside it")
    files = class_files(data)
    refuse(folder_faults(data, files))
    dataset = read_dataset(data, files, recipe.input, SIDE, None, say)
    refuse([*image_faults(data, dataset).values()])
    if any(dataset.origins):
        raise BadData(f"{data}: has augmented copies already; give the data set that they were made from")
    note = json_bytes(
        {"schema_version": SCHEMA_VERSION, "data_digest": dataset.digest, "recipe": dataclasses.asdict(recipe)}
    )
    if out.exists():
        _refuse_unless_same(out, note)
        say(f"{out}: made before from the same images in the same way, left as it is")
        return
    copies = plan(dataset, split_dataset(dataset, recipe.shares), recipe.per_class)
    originals = [path for paths in files.values() for path in paths]
    say(f"writing {len(originals):,} files as they are and {len(copies):,} augmented copies to {out}")
    with writing_to(out), whole_folder(out) as partial:
        for path in paced(originals, len(originals), "files", say):
            target = partial / path.relative_to(data)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        for copy in paced(copies, len(copies), "copies", say):
            (partial / copy.name).write_bytes(copy_bytes(data, copy, recipe))
        (partial / NOTE).write_bytes(note)
        say("all written; waiting until they are safe on the disk")


def plan(dataset: Dataset, parts: Sequence[str], per_class: int) -> list[Copy]:
    """The copies that bring each class to `per_class` images: of its training images in turn, and of no others.

    A greater number plans the same copies and more.
    """
    copies = []
    for index, label in enumerate(dataset.labels):
        members = [image for image, of in enumerate(dataset.classes) if of == index]
        sources = [image for image in members if parts[image] == "train"]
        for made in range(per_class - len(members)):
            number, place = divmod(made, len(sources))
            source = sources[place]
            copies.append(Copy(label, dataset.hashes[source], dataset.files[source], number))
    return copies


def copy_bytes(data: Path, copy: Copy, recipe: Recipe) -> bytes:
    """The PNG file of one copy, drawn from the seed, the origin and its number alone."""
    grey = decode((data / copy.file).read_bytes(), recipe.input.max_image_pixels)
    random = np.random.default_rng((recipe.seed, int(copy.origin, 16), copy.number))
    _, png = cv2.imencode(".png", varied(grey, recipe.input.polarity, recipe.augmentation, random))
    return mark(png.tobytes(), copy.origin, copy.number)


def _refuse_unless_same(out: Path, note: bytes) -> None:
    found = out / NOTE
    if not found.is_file():
        raise BadData(f"{out}: exists already and was not made by planktow-trainer augment; give a new folder")
    if found.read_bytes() != note:
        raise BadData(
            f"{out}: was made from other images or with other settings ({NOTE} says which); give a new folder"
        )
