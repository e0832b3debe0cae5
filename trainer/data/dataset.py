"""A folder of class sub-folders as arrays: read once, hashed, preprocessed by the bundle's own code, cached."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import bundle.imagefile
import bundle.preprocess
from bundle.errors import BadData, BadImage
from bundle.pace import Say, paced
from bundle.preprocess import FEATURES, InputSpec, Prepared, prepare
from bundle.training import image_key
from bundle.whole import sha256_hex
from trainer.data.cache import keep, kept
from trainer.data.classfolders import ClassFiles, class_files, folder_faults
from trainer.data.origin import origin_of

_CACHE_FORMAT = 2  # counts up when the fields below change


@dataclass(frozen=True)
class Findings:
    """What a person should know about the files before trusting a model made from them."""

    files: int
    duplicates: tuple[str, ...]  # further files with the content of one already taken, in the same class
    conflicts: tuple[str, ...]  # files left out because the same content stands under two classes
    unreadable: tuple[str, ...]  # files left out, each with the reason


@dataclass(frozen=True)
class Dataset:
    """M distinct images in C classes, in the order of their hashes."""

    labels: tuple[str, ...]  # C class names, sorted
    hashes: tuple[str, ...]  # M sha-256 in hexadecimal
    origins: tuple[str, ...]  # M: sha-256 of the image that this one is an augmented copy of; empty for an original
    files: tuple[str, ...]  # M paths relative to the folder
    classes: NDArray[np.int32]  # (M,) class index
    pixels: NDArray[np.uint8]  # (M, S, S)
    features: NDArray[np.float32]  # (M, F)
    digest: str  # sha-256 over every hash and label
    findings: Findings

    @property
    def keys(self) -> tuple[str, ...]:
        """M names, by which a record's split means these images."""
        return tuple(map(image_key, self.hashes))


def load_dataset(folder: Path, spec: InputSpec, side: int, cache: Path, say: Say) -> Dataset:
    """The data set in `folder` (FOLDER/CLASS/image), preprocessed for `spec` at `side`; the arrays are kept in `cache`.

    The cache is used again only if files, sizes, times, input and the preprocessing code are what they were. `say` takes
    a line for the person. Raises BadData, with the first fault, where a classifier cannot be made from it.
    """
    files = class_files(folder)
    refuse(folder_faults(folder, files))
    dataset = read_dataset(folder, files, spec, side, cache, say)
    refuse([*image_faults(folder, dataset).values()])
    return dataset


def read_dataset(folder: Path, files: ClassFiles, spec: InputSpec, side: int, cache: Path | None, say: Say) -> Dataset:
    """The usable images among `files`, whatever their number; from `cache` and kept there, unless it is None."""
    place = cache / f"dataset-{_cache_key(folder, files, spec, side)[:16]}.npz" if cache else None
    found = kept(place, say) if place else None
    if found is not None:
        return _from_notes(*found)
    total = sum(map(len, files.values()))
    say(f"reading {total} files in {len(files)} classes from {folder}")
    dataset = _read(folder, files, spec, side, say)
    if place:
        keep(place, *_to_notes(dataset), say)
    return dataset


def image_faults(folder: Path, dataset: Dataset) -> dict[str, str]:
    """Why nothing can be trained on these images: by label, for each class without a usable image of its own."""
    original = np.array([not origin for origin in dataset.origins], bool)
    counts = np.bincount(dataset.classes[original], minlength=len(dataset.labels))
    return {
        label: f"{folder / label}: none of its images can be used (unreadable, or also in another class); mend or take "
        "the class away"
        for label, count in zip(dataset.labels, counts, strict=True)
        if not count
    }


def refuse(faults: Sequence[str]) -> None:
    """Raises BadData with the first of the faults, if there is any."""
    if faults:
        more = f" (and {len(faults) - 1} more: planktow-trainer inspect shows all)" if len(faults) > 1 else ""
        raise BadData(faults[0] + more)


@dataclass(frozen=True)
class _Taken:
    index: int  # class
    file: str
    origin: str
    image: Prepared


def _read(folder: Path, files: ClassFiles, spec: InputSpec, side: int, say: Say) -> Dataset:
    labels = tuple(_shown(Path(label)) for label in files)
    every = [(index, path) for index, paths in enumerate(files.values()) for path in paths]
    taken: dict[str, _Taken] = {}
    duplicates, conflicts, unreadable = [], [], []
    conflicting = set()
    for index, path in paced(every, len(every), "files", say):
        name = _shown(path.relative_to(folder))
        try:
            data = path.read_bytes()
            sha256 = sha256_hex(data)
            if sha256 not in taken:
                taken[sha256] = _Taken(index, name, origin_of(data), prepare(data, spec, (side,)))
                continue
        except OSError as error:
            unreadable.append(f"{name}: {error.strerror}")
            continue
        except BadImage as error:
            unreadable.append(f"{name}: {error}")
            continue
        same = taken[sha256].index == index
        (duplicates if same else conflicts).append(f"{name} has the content of {taken[sha256].file}")
        if not same:
            conflicting.add(sha256)
    hashes = sorted(taken.keys() - conflicting)
    chosen = [taken[sha256] for sha256 in hashes]
    return Dataset(
        labels,
        tuple(hashes),
        tuple(one.origin for one in chosen),
        tuple(one.file for one in chosen),
        np.array([one.index for one in chosen], np.int32),
        np.array([one.image.pixels[side] for one in chosen], np.uint8).reshape(-1, side, side),  # also for none
        np.array([one.image.features for one in chosen], np.float32).reshape(-1, len(FEATURES)),
        _digest(labels, hashes, chosen),
        Findings(len(every), tuple(duplicates), tuple(conflicts), tuple(unreadable)),
    )


def _digest(labels: Sequence[str], hashes: Sequence[str], chosen: Sequence[_Taken]) -> str:
    lines = (f"{sha256} {labels[one.index]}\n" for sha256, one in zip(hashes, chosen, strict=True))
    return sha256_hex("".join(lines).encode())


def _shown(path: Path) -> str:
    """The path as text that can be printed and stored, also where its bytes are not UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _cache_key(folder: Path, files: ClassFiles, spec: InputSpec, side: int) -> str:
    key = hashlib.sha256(json.dumps([_CACHE_FORMAT, dataclasses.asdict(spec), side, FEATURES]).encode())
    for module in (bundle.preprocess, bundle.imagefile):
        key.update(Path(str(module.__file__)).read_bytes())
    for label, paths in files.items():
        key.update(os.fsencode(f"{label}\n"))
        for path in paths:
            status = path.stat()
            key.update(os.fsencode(f"{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n"))
    return key.hexdigest()


def _to_notes(dataset: Dataset) -> tuple[object, dict[str, NDArray]]:
    fields = {field.name: getattr(dataset, field.name) for field in dataclasses.fields(dataset)}
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    notes = {name: value for name, value in fields.items() if name not in arrays}
    return notes | {"findings": dataclasses.asdict(dataset.findings)}, arrays


def _from_notes(notes: dict, arrays: dict[str, NDArray]) -> Dataset:
    def with_tuples(table: dict) -> dict:
        return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}

    return Dataset(**with_tuples(notes) | {"findings": Findings(**with_tuples(notes["findings"]))}, **arrays)
