"""The scores of many images: by Keras and by the very code that the camera host runs.

Axes: M images, C classes. Memory does not grow with M where the arrays are mapped files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.ensemble import MemberModel
from bundle.manifest import VoteRule
from bundle.pace import Say, paced, silent
from bundle.vote import RULES, Votes
from quantize.images import Labelled

BATCH = 32  # images
VOTE_BATCH = 4096  # images


def threads() -> int:
    """For one interpreter: more than four did not help models of this size."""
    return min(4, len(os.sched_getaffinity(0)))


def tflite_scores(
    model: MemberModel, images: Labelled, out: NDArray[np.float32] | None = None, say: Say = silent
) -> NDArray[np.float32]:
    """(M, C) of a TFLite member; `out`, where given, is filled and returned. M >= 1."""

    pixels, features = images.inputs.pixels[model.side], images.inputs.features

    def scores(batch: slice) -> NDArray[np.float32]:
        return model.scores(pixels[batch], features[batch])

    return _by_batch(scores, len(images), model.class_count, out, say)


def keras_side(model: Any) -> int:
    """S, pixels, of a Keras member."""
    (side,) = {tensor.shape[1] for tensor in model.inputs if tensor.name == "pixels"}
    return int(side)


def keras_scores(model: Any, images: Labelled, out: NDArray[np.float32], say: Say = silent) -> NDArray[np.float32]:
    """(M, C) of a Keras member, written to `out`."""

    pixels, features = images.inputs.pixels[keras_side(model)], images.inputs.features

    def scores(batch: slice) -> NDArray[np.float32]:
        grey = np.asarray(pixels[batch])[..., np.newaxis]
        predicted: NDArray[np.float32] = model.predict_on_batch({"pixels": grey, "features": features[batch]})
        return predicted

    return _by_batch(scores, len(images), out.shape[1], out, say)


def vote(scores: Sequence[NDArray[np.float32]], rule: VoteRule) -> Votes:
    """The verdicts of N members with scores (M, C) each."""
    batches = [
        RULES[rule.rule](np.stack([member[batch] for member in scores]), rule.min_votes)
        for batch in _slices(len(scores[0]), VOTE_BATCH)
    ] or [RULES[rule.rule](np.stack(scores), rule.min_votes)]
    return Votes(
        *(
            np.concatenate([getattr(batch, field) for batch in batches])
            for field in ("label", "votes", "score", "asked", "mean")
        )
    )


def ballots(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """(M,) class indices of one member with scores (M, C)."""
    return vote([scores], VoteRule()).label


def share(hits: NDArray[np.bool_]) -> float:
    """Of M images, as records have it."""
    return round(float(hits.mean()), 6)


def _by_batch(
    scores: Callable[[slice], NDArray[np.float32]],
    images: int,
    class_count: int,
    out: NDArray[np.float32] | None,
    say: Say,
) -> NDArray[np.float32]:
    filled = np.empty((images, class_count), np.float32) if out is None else out
    batches = _slices(images, BATCH)
    for batch in paced(batches, len(batches), f"batches of {BATCH} images", say):
        filled[batch] = scores(batch)
    return filled


def _slices(images: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, images, size)]
