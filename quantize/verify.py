"""Whether a bundle still gives the verdicts that it was shipped with, here: on this machine, with its libraries.

Needs what the camera host has and no more: no TensorFlow, no Keras, and tflite-runtime will do. This is
`planktow-quantize verify`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bundle.ensemble import RUNTIME
from bundle.errors import BadBundle, BadConfig, BadData
from bundle.folder import Bundle, open_bundle
from bundle.machine import usable_cores
from bundle.pace import Say, paced
from bundle.preprocess import Prepared
from bundle.training import TRAINING, Split, read_finished
from quantize.bits import compare_bits
from quantize.images import Found, batched, decoded, find_images, require_images
from quantize.recorded import Recorded, read_recorded
from quantize.verification import Changed, PartCheck, Verification

BATCH = 32  # images
BITS_IMAGES = 1000  # on which the members' scores are compared to the bit
EXAMPLES = 5  # images named of those whose verdict has changed


@dataclass(frozen=True)
class Expected:
    """A held-out image, and the verdict that was recorded for it."""

    image: Found
    verdict: int  # class index or NO_LABEL


def verify(bundle: Path, data: Path, images: int | None, threads: int | None, say: Say) -> Verification:
    """Classifies the held-out images in the data set folder `data` and compares with what the bundle's own record says.

    `images`: at most so many of each part, from all over it; None takes all. `threads`: of each interpreter, None takes
    all cores. Raises BadBundle, BadData or BadConfig where there is nothing to compare, or nothing to compare with.
    """
    for name, count in (("images", images), ("threads", threads)):
        if count is not None and count < 1:
            raise BadConfig(f"{name} must be at least 1, found {count}")
    threads = threads or usable_cores()
    several = max(2, threads)
    opened = open_bundle(bundle)
    split = split_of(opened)
    recorded = read_recorded(opened, split)
    parts = {
        part: _thinned(expected, images)
        for part, expected in _held_out(opened, split, recorded, data, say).items()
        if expected
    }
    checked = tuple(_check_part(opened, part, expected, threads, say) for part, expected in parts.items())
    pool = _thinned([each for expected in parts.values() for each in expected], BITS_IMAGES)
    say(f"comparing the members' scores with 1 and {several} threads, one by one and in batches of {BATCH}")
    members = compare_bits(opened, _batches(opened, pool, say), several)
    return Verification(bundle, opened.manifest.name, opened.digest, RUNTIME, several, checked, members)


def split_of(bundle: Bundle) -> Split:
    """Which images are whose: those of the training run. Raises BadBundle where the bundle does not say."""
    if TRAINING not in bundle.contents:
        raise BadBundle(
            f"{bundle.path}: holds no {TRAINING}, so nobody knows which images its members have not seen; make the bundle "
            "with planktow-quantize"
        )
    facts = read_finished(bundle.path / TRAINING).facts
    if facts.labels != bundle.labels:
        raise BadBundle(
            f"{bundle.path / TRAINING}: its labels are not those of the bundle; make the bundle with planktow-quantize"
        )
    if not facts.split.validation:
        raise BadBundle(f"{bundle.path / TRAINING}: the validation split is empty, so there is nothing to verify with")
    return facts.split


def _held_out(bundle: Bundle, split: Split, recorded: Recorded, folder: Path, say: Say) -> dict[str, list[Expected]]:
    """The images of each part, found by their content, with the recorded verdicts."""
    say(f"'{bundle.manifest.name}' is whole; looking for the images it was validated on in {folder}")
    found = find_images(folder, bundle.labels, say)
    parts = {}
    for part in ("validation", "test"):
        keys = getattr(split, part)
        require_images(found, keys, part, folder)
        verdicts = getattr(recorded.verdicts, part)
        parts[part] = [Expected(found[key], verdict) for key, verdict in zip(keys, verdicts, strict=True)]
    if recorded.inherited is None:
        _require_same_truth(parts["validation"], recorded, bundle.labels, folder)
    return parts


def _require_same_truth(
    validation: Sequence[Expected], recorded: Recorded, labels: Sequence[str], folder: Path
) -> None:
    """Raises BadData where images lie under other labels than when the bundle was made: its figures mean nothing there."""
    here = Counter(each.image.label for each in validation)
    for index, (label, then) in enumerate(zip(labels, recorded.class_images, strict=True)):
        if here[index] != then:
            raise BadData(
                f"{folder / label}: holds {here[index]} of the validation images, but {then} when the bundle was made; give the "
                "data set as it was then"
            )


def _thinned(expected: Sequence[Expected], most: int | None) -> list[Expected]:
    """At most so many, from all over: the split may stand in the order of the labels."""
    if most is None or most >= len(expected):
        return list(expected)
    return [expected[place * len(expected) // most] for place in range(most)]


def _check_part(bundle: Bundle, part: str, expected: Sequence[Expected], threads: int, say: Say) -> PartCheck:
    say(f"classifying {len(expected)} {part} images with {RUNTIME}")
    ensemble = bundle.load(threads)
    verdicts = [
        int(label)
        for prepared in _batches(bundle, expected, say)
        for label in bundle.classify(ensemble, prepared).label  # asked in turn, as aboard; recorded of the whole vote
    ]
    changed = [(each, now) for each, now in zip(expected, verdicts, strict=True) if each.verdict != now]
    return PartCheck(
        part,
        len(expected),
        recorded_accuracy=float(np.mean([each.verdict == each.image.label for each in expected])),
        accuracy=float(np.mean([now == each.image.label for each, now in zip(expected, verdicts, strict=True)])),
        changed=len(changed),
        examples=tuple(
            Changed(each.image.path, bundle.label_name(each.verdict), bundle.label_name(now))
            for each, now in changed[:EXAMPLES]
        ),
    )


def _batches(bundle: Bundle, expected: Sequence[Expected], say: Say) -> Iterator[list[Prepared]]:
    """The images as the members see them, a batch at a time, and no more of them in memory."""
    images = (decoded(bundle, each.image.path) for each in paced(expected, len(expected), "images", say))
    return batched((bundle.prepare_grey(grey) for grey in images), BATCH)
