"""A folder of class sub-folders as arrays: read once, hashed, preprocessed by the bundle's own code, cached."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import bundle.imagefile
import bundle.preprocess
from bundle.errors import BadData, BadImage
from bundle.imagefile import IMAGE_SUFFIXES
from bundle.labels import check_labels
from bundle.preprocess import FEATURES, InputSpec, prepare
from bundle.whole import json_bytes, sha256_hex, write_whole_with


@dataclass(frozen=True)
class Findings:
    """What a person should know about the files before trusting a model made from them."""

    files: int
    duplicates: int  # further files with the content of one already taken, in the same class
    conflicts: tuple[str, ...]  # files left out because the same content stands under two classes
    unreadable: tuple[str, ...]  # files left out, each with the reason


@dataclass(frozen=True)
class Dataset:
    """M distinct images in C classes, in the order of their hashes."""

    labels: tuple[str, ...]  # C class names, sorted
    hashes: tuple[str, ...]  # M sha-256 in hexadecimal
    classes: NDArray[np.int32]  # (M,) class index
    pixels: NDArray[np.uint8]  # (M, S, S)
    features: NDArray[np.float32]  # (M, F)
    digest: str  # sha-256 over every hash and label
    findings: Findings


def load_dataset(folder: Path, spec: InputSpec, cache: Path, say: Callable[[str], None]) -> Dataset:
    """The data set in `folder` (FOLDER/CLASS/image), preprocessed for `spec`; the arrays are kept in `cache`.

    The cache is used again only if files, sizes, times, input and the preprocessing code are what they were. `say` takes
    a line for the person. Raises BadData.
    """
    files = _class_files(folder)
    key = _cache_key(folder, files, spec)
    cached = cache / f"dataset-{key[:16]}.npz"
    if cached.exists():
        return _from_cache(cached)
    say(f"reading {sum(map(len, files.values()))} files in {len(files)} classes from {folder}")
    dataset = _read(folder, files, spec)
    cache.mkdir(parents=True, exist_ok=True)
    _to_cache(cached, dataset)
    return dataset


def _class_files(folder: Path) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise BadData(f"{folder}: not a folder; give a folder that has one sub-folder of images for each class")
    files = {
        sub.name: sorted(path for path in sub.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
        for sub in sorted(folder.iterdir())
        if sub.is_dir() and not sub.name.startswith(".")
    }
    empty = [name for name, paths in files.items() if not paths]
    if empty:
        raise BadData(f"{folder / empty[0]}: no images in this class; fill the folder or take it away")
    if len(files) < 2:
        raise BadData(f"{folder}: {len(files)} class sub-folder(s), but a classifier needs at least two")
    check_labels(tuple(files), str(folder))
    return files


def _read(folder: Path, files: dict[str, list[Path]], spec: InputSpec) -> Dataset:
    labels = tuple(files)
    found: dict[str, tuple[int, Path, NDArray[np.uint8], NDArray[np.float32]]] = {}
    duplicates, conflicting, unreadable = 0, set(), []
    conflicts = []
    for index, label in enumerate(labels):
        for path in files[label]:
            try:
                data = path.read_bytes()
                sha256 = sha256_hex(data)
                if sha256 in found:
                    if found[sha256][0] == index:
                        duplicates += 1
                    else:
                        conflicting.add(sha256)
                        conflicts.append(f"{path.relative_to(folder)} has the content of {found[sha256][1]}")
                    continue
                image = prepare(data, spec)
            except (OSError, BadImage) as error:
                unreadable.append(f"{path.relative_to(folder)}: {error}")
                continue
            found[sha256] = (index, path.relative_to(folder), image.pixels, image.features)
    for sha256 in conflicting:
        del found[sha256]
    counts = Counter(index for index, *_ in found.values())
    for index, label in enumerate(labels):
        if not counts[index]:
            raise BadData(f"{folder / label}: none of its images can be used (unreadable, or also in another class)")
    hashes = tuple(sorted(found))
    classes = np.array([found[sha256][0] for sha256 in hashes], np.int32)
    digest = hashlib.sha256(
        "".join(f"{sha256} {labels[index]}\n" for sha256, index in zip(hashes, classes, strict=True)).encode()
    ).hexdigest()
    return Dataset(
        labels,
        hashes,
        classes,
        np.stack([found[sha256][2] for sha256 in hashes]),
        np.stack([found[sha256][3] for sha256 in hashes]),
        digest,
        Findings(sum(map(len, files.values())), duplicates, tuple(conflicts), tuple(unreadable)),
    )


def _cache_key(folder: Path, files: dict[str, list[Path]], spec: InputSpec) -> str:
    key = hashlib.sha256(json.dumps([dataclasses.asdict(spec), FEATURES]).encode())
    for module in (bundle.preprocess, bundle.imagefile):
        key.update(Path(str(module.__file__)).read_bytes())
    for label, paths in files.items():
        for path in paths:
            status = path.stat()
            key.update(f"{label}/{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return key.hexdigest()


def _to_cache(path: Path, dataset: Dataset) -> None:
    notes = json_bytes([dataset.labels, dataset.hashes, dataset.digest, dataclasses.astuple(dataset.findings)])
    write_whole_with(
        path,
        lambda file: np.savez(
            file,
            notes=np.frombuffer(notes, np.uint8),
            classes=dataset.classes,
            pixels=dataset.pixels,
            features=dataset.features,
        ),
    )


def _from_cache(path: Path) -> Dataset:
    with np.load(path) as arrays:
        labels, hashes, digest, (files, duplicates, conflicts, unreadable) = json.loads(arrays["notes"].tobytes())
        findings = Findings(files, duplicates, tuple(conflicts), tuple(unreadable))
        return Dataset(
            tuple(labels), tuple(hashes), arrays["classes"], arrays["pixels"], arrays["features"], digest, findings
        )
