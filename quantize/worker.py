"""One member in a process of its own: conversion grows by gigabytes over many members, and TensorFlow prints as it likes.

    python -m quantize.worker FOLDER

FOLDER holds `job.json` and `images.npz`; the worker adds `model.tflite` and `keras_scores.npy`, or `refusal.txt` with the
one line that the person should read. The parent process never loads TensorFlow.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadData, PlanktowError
from bundle.whole import json_bytes
from quantize.config import Scheme

JOB, IMAGES, MODEL, SCORES = "job.json", "images.npz", "model.tflite", "keras_scores.npy"
REFUSAL, LOG = "refusal.txt", "log.txt"
PREDICT_BATCH = 64  # images


@dataclass(frozen=True)
class Job:
    """What the worker is to do."""

    member: str  # path of the .keras file
    scheme: Scheme
    class_count: int


@dataclass(frozen=True)
class Converted:
    """What came of it."""

    model: bytes  # the .tflite file
    keras_scores: NDArray[np.float32]  # (M, C) of the Keras original on the held-out images


def write_images(
    folder: Path,
    representative: tuple[NDArray[np.uint8], NDArray[np.float32]],
    held_out: tuple[NDArray[np.uint8], NDArray[np.float32]],
) -> None:
    """Lays out the images for all workers; each pair is pixels (M, S, S) and features (M, F)."""
    np.savez(
        folder / IMAGES,
        representative_pixels=representative[0],
        representative_features=representative[1],
        held_out_pixels=held_out[0],
        held_out_features=held_out[1],
    )


def run_worker(folder: Path, job: Job) -> Converted:
    """Converts one member in a new process. Raises BadData for the member's fault, RuntimeError for ours."""
    for stale in (MODEL, SCORES, REFUSAL):
        (folder / stale).unlink(missing_ok=True)
    (folder / JOB).write_bytes(json_bytes(dataclasses.asdict(job)))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
    with (folder / LOG).open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-m", "quantize.worker", str(folder)],
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if (folder / REFUSAL).exists():
        raise BadData((folder / REFUSAL).read_text())
    if done.returncode != 0:
        tail = (folder / LOG).read_text(errors="replace")[-4000:]
        raise RuntimeError(f"the converter of {job.member} ended with {done.returncode}; its last words:\n{tail}")
    return Converted((folder / MODEL).read_bytes(), np.load(folder / SCORES))


def work(folder: Path) -> None:
    """The worker's side of `run_worker`."""
    job = Job(**json.loads((folder / JOB).read_bytes()))
    from quantize.convert import convert, load_member

    with np.load(folder / IMAGES) as images:
        _, side, _ = images["representative_pixels"].shape
        _, feature_count = images["representative_features"].shape
        model = load_member(Path(job.member), side, feature_count, job.class_count)
        held_out = {"pixels": images["held_out_pixels"][..., np.newaxis], "features": images["held_out_features"]}
        scores = model.predict(held_out, batch_size=PREDICT_BATCH, verbose=0)
        np.save(folder / SCORES, np.asarray(scores, np.float32))
        representative = images["representative_pixels"], images["representative_features"]
        (folder / MODEL).write_bytes(convert(model, job.scheme, *representative, where=job.member))


if __name__ == "__main__":
    exchange = Path(sys.argv[1])
    try:
        work(exchange)
    except PlanktowError as error:
        (exchange / REFUSAL).write_text(str(error))
        raise SystemExit(2) from None
