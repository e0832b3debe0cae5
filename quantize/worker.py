"""One member in a process of its own: conversion grows by gigabytes over many members, and TensorFlow prints as it likes.

    python -m quantize.worker IMAGES FOLDER PIPE

IMAGES holds the images (`write_images`), FOLDER the `job.json`; the worker adds SCHEME.tflite for each scheme,
`keras_scores.npy` and `outcome.json`. PIPE is a file descriptor, on which it says how far it is and why it refuses: one
JSON object a line. The parent process never loads TensorFlow.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from bundle.ensemble import MemberModel
from bundle.errors import BadData, PlanktowError
from bundle.manifest import Scheme
from bundle.pace import Say
from bundle.preprocess import Inputs
from bundle.settings import settings_from
from bundle.whole import json_bytes
from bundle.writing import writing_to
from quantize.config import Settings
from quantize.gates import member_findings
from quantize.images import Labelled
from quantize.score import ballots, keras_scores, tflite_scores, threads

JOB, OUTCOME, SCORES, LOG = "job.json", "outcome.json", "keras_scores.npy", "log.txt"
REPRESENTATIVE, HELD_OUT = "representative", "held_out"  # the two sets of images

FLOAT_IMAGES = 256  # held-out images on which the float32 twin must give the scores of Keras
FLOAT_DIFFERENCE = 1e-3  # in a score; a residual network of 21 convolutions moved by 5e-6


@dataclass(frozen=True)
class Job:
    """What the worker is to do."""

    member: str  # path of the .keras file
    name: str
    side: int  # S, pixels
    labels: tuple[str, ...]
    validation_images: int  # the first of the held-out images
    settings: Settings

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """The one that ships, then those to compare."""
        return tuple(dict.fromkeys((self.settings.scheme_of(self.name), *self.settings.compare)))


@dataclass(frozen=True)
class Converted:
    """What came of it."""

    models: dict[Scheme, bytes]  # the .tflite files; the one that ships first
    keras_scores: NDArray[np.float32]  # (M, C) of the Keras original on the held-out images, in memory or mapped
    in_float: tuple[str, ...]  # convolutions that int8 left in float32, the most harmful first
    refused: dict[Scheme, str]  # schemes to compare that could not be made, and why


def pixels_file(folder: Path, which: str, side: int) -> Path:
    """Where the pixels of a set of images lie, for `quantize.images.load_images`."""
    return folder / f"{which}_pixels_{side}.npy"


def write_images(folder: Path, which: str, images: Labelled) -> None:
    """Lays out the rest of a set of images for all workers; its pixels are in `pixels_file` already."""
    np.save(folder / f"{which}_features.npy", images.inputs.features)
    np.save(folder / f"{which}_classes.npy", images.classes)


def run_worker(images: Path, folder: Path, job: Job, say: Say) -> Converted:
    """Converts one member in a new process, with the empty `folder` for its files.

    Raises BadData for the member's fault, RuntimeError for ours.
    """
    (folder / JOB).write_bytes(json_bytes(dataclasses.asdict(job)))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
    ours, theirs = os.pipe()
    refusal = None
    with (folder / LOG).open("wb") as log, os.fdopen(ours) as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "quantize.worker", str(images), str(folder), str(theirs)],
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(theirs,),
        )
        os.close(theirs)
        try:
            for line in told:  # until the worker is gone
                message = json.loads(line)
                if "say" in message:
                    say(f"  {message['say']}")
                refusal = message.get("refused", refusal)
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
    if refusal is not None:
        raise BadData(refusal)
    if process.returncode != 0:
        tail = (folder / LOG).read_text(errors="replace")[-4000:]
        raise RuntimeError(f"the converter of {job.member} ended with {process.returncode}; its last words:\n{tail}")
    outcome = json.loads((folder / OUTCOME).read_bytes())
    return Converted(
        {
            scheme: _model_file(folder, scheme).read_bytes()
            for scheme in job.schemes
            if scheme not in outcome["refused"]
        },
        np.load(folder / SCORES, mmap_mode="r"),
        tuple(outcome["in_float"]),
        outcome["refused"],
    )


def work(images: Path, folder: Path, say: Say) -> None:
    """The worker's side of `run_worker`."""
    job = settings_from(json.loads((folder / JOB).read_bytes()), Job, JOB)
    from quantize.convert import Converter, load_member

    representative, held_out = (_read_images(images, which, job.side) for which in (REPRESENTATIVE, HELD_OUT))
    model = load_member(Path(job.member), job.side, held_out.inputs.features.shape[1], len(job.labels))
    scores = open_memmap(folder / SCORES, "w+", np.float32, (len(held_out), len(job.labels)))
    keras_scores(model, held_out, scores, say)
    scores.flush()
    shown = representative.inputs.pixels[job.side], representative.inputs.features
    converter = Converter(model, *shown, job.member)
    float32 = converter.convert("float32")
    _require_same_function(float32, scores, held_out, job.member)
    in_float: tuple[str, ...] = ()
    refused = {}
    for scheme in job.schemes:
        chosen = scheme == job.schemes[0]
        if not chosen:
            say(f"{scheme}, for comparison")
        try:
            if scheme == "float32":
                tflite = float32
            elif scheme == "int8" and chosen:
                tflite, in_float = _int8(converter, job, representative, held_out, scores, say)
            else:
                tflite = converter.convert(scheme)
        except BadData as error:
            if chosen:
                raise
            refused[scheme] = str(error)
        else:
            _model_file(folder, scheme).write_bytes(tflite)
    (folder / OUTCOME).write_bytes(json_bytes({"in_float": in_float, "refused": refused}))


def _int8(
    converter: Any, job: Job, representative: Labelled, held_out: Labelled, scores: NDArray[np.float32], say: Say
) -> tuple[bytes, tuple[str, ...]]:
    """The model and the layers that it leaves in float32 so that the gates hold on the validation images."""
    from bundle.graph import layer_of
    from quantize.mixed import rank_layers, search

    validation = held_out.part(slice(job.validation_images))
    keras = ballots(scores[: len(validation)])

    def attempt(in_float: Set[str]) -> tuple[bytes, bool]:
        model = converter.int8(in_float)
        tflite = ballots(tflite_scores(MemberModel(model, job.name, threads()), validation))
        findings = member_findings(
            job.name, "validation", validation.classes, keras, tflite, job.labels, job.settings.gates
        )
        failed = max(
            (finding for finding in findings if not finding.passed), key=lambda f: f.found - f.limit, default=None
        )
        left = f"with {len(in_float)} convolutions in float32" if in_float else "throughout"
        say(f"int8 {left}: " + ("the gates hold" if failed is None else f"not good enough. {failed.sentence}"))
        return model, failed is None

    def ranked() -> list[str]:
        say("looking for the convolutions that harm most in integers")
        shown = representative.inputs.pixels[job.side], representative.inputs.features
        return rank_layers(converter.calibrated, converter.uncorrected, *shown)

    found = search(attempt, ranked, job.settings.max_layers_in_float)
    return found.result, tuple(layer_of(name) for name in found.in_float)


def _require_same_function(float32: bytes, scores: NDArray[np.float32], held_out: Labelled, where: str) -> None:
    """Raises BadData unless folding and conversion have kept the function, whatever the scheme then costs."""
    few = held_out.part(slice(FLOAT_IMAGES))
    apart = float(np.abs(tflite_scores(MemberModel(float32, where), few) - scores[: len(few)]).max())
    if not apart <= FLOAT_DIFFERENCE:
        raise BadData(
            f"{where}: the converter's float32 graph differs from Keras by {apart:.2g} in a score, the limit is "
            f"{FLOAT_DIFFERENCE:g}; a layer means something else to TFLite, build the network without it"
        )


def _read_images(folder: Path, which: str, side: int) -> Labelled:
    features, classes = (np.load(folder / f"{which}_{part}.npy", mmap_mode="r") for part in ("features", "classes"))
    pixels = np.load(pixels_file(folder, which, side), mmap_mode="r")
    return Labelled(classes, Inputs({side: pixels}, features))


def _model_file(folder: Path, scheme: Scheme) -> Path:
    return folder / f"{scheme}.tflite"


def _main(images: Path, folder: Path, pipe: int) -> None:
    with os.fdopen(pipe, "w", buffering=1) as to_parent:

        def tell(kind: str, text: str) -> None:
            to_parent.write(json.dumps({kind: text}) + "\n")

        try:
            with writing_to(folder):
                work(images, folder, lambda line: tell("say", line))
        except PlanktowError as error:
            tell("refused", str(error))
            raise SystemExit(2) from None


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
