"""Classifies files at once, without a ledger: the work of `planktow-edge classify`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bundle.errors import BadData, BadImage
from bundle.folder import Bundle
from bundle.imagefile import IMAGE_SUFFIXES
from bundle.preprocess import Prepared
from bundle.vote import Votes

BATCH = 64  # images in memory at once


@dataclass(frozen=True)
class Target:
    """A file to classify, and its class where the folder tells."""

    path: Path
    truth: str | None = None


@dataclass(frozen=True)
class Judged:
    """What became of one file: a verdict (`label`), or a reject (`reason`)."""

    path: Path
    truth: str | None
    label: str | None = None
    votes: int = 0  # members that voted for the label
    score: float = 0.0  # mean score of the label over all members, 0..1
    reason: str | None = None
    detail: str | None = None

    @property
    def name(self) -> str:
        r"""The path as text for any output: bytes that are not UTF-8 (a name from a Latin-1 system) become \xNN."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")


def find_targets(paths: Sequence[Path], truth: bool) -> list[Target]:
    """The files named, and all images in the folders named and below, in order of name; each once.

    With `truth`, an image's class is the name of the sub-folder of PATH that it lies in. A file that is named itself is
    taken whatever its suffix, in folders the suffix decides. Raises BadData for a path that does not exist, a folder
    without images, and, with `truth`, an image that lies in no sub-folder.
    """
    found: dict[Path, Target] = {}
    for path in paths:
        if path.is_dir():
            here = list(_images_below(path))
            if not here:
                suffixes = " ".join(sorted(IMAGE_SUFFIXES))
                raise BadData(f"{path}: no images in this folder or below (files that end in {suffixes})")
        elif path.exists():
            here = [path]
        else:
            raise BadData(f"{path}: no such file or folder; check the path")
        for file in here:
            found.setdefault(file, Target(file, _class_of(file, path) if truth else None))
    return list(found.values())


def check_truth(targets: Iterable[Target], labels: Sequence[str]) -> None:
    """Raises BadData when a sub-folder is not a label of the bundle."""
    for target in targets:
        if target.truth is not None and target.truth not in labels:
            near = difflib.get_close_matches(target.truth, labels, n=1, cutoff=0.5)
            known = ", ".join(labels[:5]) + (" …" if len(labels) > 5 else "")
            remedy = f"did you mean '{near[0]}'?" if near else f"its labels are: {known}."
            raise BadData(
                f"{target.path.parent}: the sub-folder '{target.truth}' is not a label of the bundle; {remedy} "
                "Rename the folder, or leave --truth out"
            )


def classify(bundle: Bundle, targets: Iterable[Target], threads: int | None = None) -> Iterator[Judged]:
    """Yields one outcome for each target, in their order, holding no more than BATCH images at a time."""
    ensemble = bundle.load(threads or len(os.sched_getaffinity(0)))
    queue = iter(targets)
    while chunk := list(islice(queue, BATCH)):
        tried = [(target, _prepare(bundle, target)) for target in chunk]
        batch = [ready for _, ready in tried if isinstance(ready, Prepared)]
        votes = iter(_votes(bundle, bundle.classify(ensemble, batch, all_ballots=True)) if batch else ())
        for target, ready in tried:
            if isinstance(ready, BadImage):
                yield Judged(target.path, target.truth, reason=ready.reason, detail=ready.detail)
            else:
                yield Judged(target.path, target.truth, *next(votes))


def _images_below(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder, onerror=_refuse_folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
                yield Path(where, name)


def _refuse_folder(error: OSError) -> None:
    raise BadData(f"{error.filename}: cannot be read ({error.strerror}); check its permissions")


def _class_of(file: Path, folder: Path) -> str:
    inside = file.relative_to(folder).parts if file != folder else ()
    if len(inside) < 2:
        raise BadData(
            f"{file}: lies in no class sub-folder; with --truth folder give the folder above the classes, PATH/CLASS/image"
        )
    return inside[0]


def _prepare(bundle: Bundle, target: Target) -> Prepared | BadImage:
    try:
        return bundle.prepare(target.path.read_bytes())
    except BadImage as error:
        return error
    except OSError as error:
        return BadImage("unreadable", f"the file cannot be read: {error.strerror}")


def _votes(bundle: Bundle, votes: Votes) -> Iterator[tuple[str, int, float]]:
    for label, count, score in zip(votes.label, votes.votes, votes.score, strict=True):
        yield bundle.label_name(int(label)), int(count), float(score)
