"""The whole way from a training run to a bundle: read, convert, check, pack. Effects are wired here, decided elsewhere."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle.ensemble import MemberModel
from bundle.errors import BadBundle, BadConfig
from bundle.folder import Bundle, write_bundle
from bundle.training import Record
from quantize.check import compare, require_faithful
from quantize.config import Settings
from quantize.graph import CONVOLUTIONS, is_integer_convolution, operators
from quantize.images import Labelled, draw_representative, find_images, load_images, require_images
from quantize.pack import Made, pack
from quantize.record import read_record
from quantize.validation import HeldOut, record_bytes, validation_record
from quantize.worker import Converted, Job, run_worker, write_images

Say = Callable[[str], None]  # takes one line for the person who waits

CHECK_BATCH = 32  # images


@dataclass(frozen=True)
class Result:
    """A bundle that is on disk, and what it was measured by."""

    bundle: Bundle
    members: tuple[Made, ...]
    validation: HeldOut
    test: HeldOut


def quantize(members: Path, data: Path, out: Path, settings: Settings, name: str | None, say: Say) -> Result:
    """Makes the bundle folder `out` of the trainer's output folder `members` and the data set folder `data`.

    Raises BadData, BadConfig or BadBundle and writes nothing where the members, the images or the figures will not do.
    """
    if out.exists():
        raise BadBundle(f"{out}: exists already; a bundle is never changed in place, give another folder")
    record, training = read_record(members)
    if settings.vote.min_votes > len(record.members):
        raise BadConfig(
            f"vote.min_votes is {settings.vote.min_votes}, but the run has {len(record.members)} members; set it from 1 to that"
        )
    representative, validation, test = _images(record, data, settings, say)
    made, held_out = [], []
    with tempfile.TemporaryDirectory(prefix="planktow-quantize-") as scratch:
        pixels = np.concatenate((validation.pixels, test.pixels))
        features = np.concatenate((validation.features, test.features))
        write_images(Path(scratch), (representative.pixels, representative.features), (pixels, features))
        for number, member in enumerate(record.members, start=1):
            began = time.monotonic()
            say(f"member {number} of {len(record.members)}: {member.stem} to {settings.scheme}")
            job = Job(str(members / member.file), settings.scheme, len(record.labels))
            converted = run_worker(Path(scratch), job)
            tflite = _tflite_scores(converted.model, member.file, pixels, features)
            checks = compare(validation.classes, converted.keras_scores[: len(validation)], tflite[: len(validation)])
            say(f"  {_summary(converted, checks.keras_accuracy, checks.tflite_accuracy)}, {_seconds(began)}")
            require_faithful(member.file, checks, settings)
            made.append(Made(member, converted.model, checks))
            held_out.append((converted.keras_scores, tflite))
    keras, tflite = (np.stack(scores) for scores in zip(*held_out, strict=True))
    border = len(validation)
    on_validation = HeldOut(validation.classes, keras[:, :border], tflite[:, :border])
    on_test = HeldOut(test.classes, keras[:, border:], tflite[:, border:])
    name = name or record.name
    files = [member.file for member in made]
    report = record_bytes(validation_record(record, settings, len(representative), name, files, on_validation, on_test))
    bundle = write_bundle(out, *pack(record, settings, name, made, training, report))
    return Result(bundle, tuple(made), on_validation, on_test)


def _images(record: Record, folder: Path, settings: Settings, say: Say) -> tuple[Labelled, Labelled, Labelled]:
    """The representative, validation and test images."""
    say(f"looking for the images of '{record.name}' in {folder}")
    found = find_images(folder, record.labels)
    for part in ("train", "validation", "test"):
        require_images(found, getattr(record.split, part), part, folder)
    drawn = draw_representative(found, record.split.train, settings.representative_images, settings.seed)
    sets = tuple(
        load_images(found, hashes, record.input) for hashes in (drawn, record.split.validation, record.split.test)
    )
    representative, validation, test = sets
    say(
        f"{len(representative)} training images of {len(np.unique(representative.classes))} of {len(record.labels)} classes "
        f"set the ranges; {len(validation)} validation images decide, {len(test)} test images are reported"
    )
    return representative, validation, test


def _tflite_scores(
    model: bytes, name: str, pixels: NDArray[np.uint8], features: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(M, C) by the very code that the camera host runs."""
    member = MemberModel(model, name, threads=min(4, len(os.sched_getaffinity(0))))
    batches = [slice(start, start + CHECK_BATCH) for start in range(0, len(pixels), CHECK_BATCH)]
    return np.concatenate([member.scores(pixels[batch], features[batch]) for batch in batches])


def _summary(converted: Converted, keras_accuracy: float, tflite_accuracy: float) -> str:
    convolutions = [operator for operator in operators(converted.model) if operator.name in CONVOLUTIONS]
    integer = sum(is_integer_convolution(operator) for operator in convolutions)
    return (
        f"{len(converted.model) / 1000:.0f} kB, {integer} of {len(convolutions)} convolutions in integers, validation "
        f"accuracy {keras_accuracy:.4f} -> {tflite_accuracy:.4f}"
    )


def _seconds(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"
