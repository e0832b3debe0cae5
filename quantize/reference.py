"""What the validation images look like to a bundle: reference.json, for `planktow-edge drift`. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadBundle
from bundle.folder import Bundle, open_bundle
from bundle.machine import usable_cores
from bundle.measures import measure
from bundle.pace import Say, paced
from bundle.preprocess import Pixels
from bundle.reference import BALLOTS, MEASURES, VOTED, Reference, histogram
from bundle.vote import NO_LABEL
from quantize.images import batched, decoded, find_images, require_images
from quantize.recorded import FILE, read_recorded
from quantize.verify import split_of

BATCH = 32  # images
_SEEN = len(VOTED) * len(BALLOTS) + len(MEASURES)  # numbers of an image


def make_reference(bundle: Path, data: Path, say: Say) -> Reference:
    """Classifies and measures the validation images in the data set folder `data`, as the daemon does those at sea.

    Raises BadBundle and BadData where the bundle does not say which images those are, where its members have learnt them, or
    where one of them is missing.
    """
    opened = open_bundle(bundle)
    split = split_of(opened)
    if FILE in opened.contents and read_recorded(opened, split).inherited is not None:
        raise BadBundle(
            f"{bundle}: its members have learnt validation images, which say nothing of new ones any more; planktow-quantize "
            "inherit takes over the reference of the bundle before"
        )
    keys = split.validation
    say(f"looking for the {len(keys)} validation images of '{opened.manifest.name}' in {data}")
    found = find_images(data, opened.labels, say)
    require_images(found, keys, "validation", data)
    paths = [found[key].path for key in keys]
    verdicts, seen = look(opened, (decoded(opened, path) for path in paced(paths, len(paths), "images", say)))
    return reference_of(opened, verdicts, seen)


def look(bundle: Bundle, images: Iterator[Pixels]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of M decoded images, (H, W) uint8: the verdicts (M,), class index or C for unclassified, and what was seen (M, F).

    The columns of what was seen: votes and score for each of BALLOTS, then MEASURES; votes are shares of the members asked.
    """
    ensemble = bundle.load(usable_cores())
    verdicts: list[NDArray[np.int64]] = []
    seen: list[NDArray[np.float64]] = []
    for batch in batched(images, BATCH):
        prepared = [bundle.prepare_grey(grey) for grey in batch]
        voted = [bundle.classify(ensemble, prepared, all_ballots=ballots == "all") for ballots in BALLOTS]
        verdicts.append(np.where(voted[0].label == NO_LABEL, len(bundle.labels), voted[0].label))
        measured = np.array([astuple(measure(grey)) for grey in batch], np.float64)
        told = [column for each in voted for column in (each.votes / each.asked, each.score)]
        seen.append(np.column_stack([*told, measured]))
    return (
        np.concatenate(verdicts).astype(np.int64) if verdicts else np.zeros(0, np.int64),
        np.concatenate(seen) if seen else np.zeros((0, _SEEN)),
    )


def reference_of(bundle: Bundle, verdicts: NDArray[np.int64], seen: NDArray[np.float64]) -> Reference:
    """The reference of images looked at; arrays as `look` gives them."""
    labels = len(bundle.labels)
    columns = [histogram(column, verdicts, labels) for column in seen.T]
    voted = len(VOTED)
    return Reference(
        bundle.digest,
        bundle.labels,
        bundle.manifest.order,
        dict(zip(MEASURES, columns[voted * len(BALLOTS) :], strict=True)),
        {
            ballots: dict(zip(VOTED, columns[place * voted : (place + 1) * voted], strict=True))
            for place, ballots in enumerate(BALLOTS)
        },
    )
