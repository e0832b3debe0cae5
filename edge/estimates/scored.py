"""Counts from the scores of the images themselves, blended with those from the confusion table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.estimates.correction import Floats
from edge.estimates.quantify import calibrated, emq, scores_weight
from edge.estimates.validated import Validated

_ITERATIONS, _TOLERANCE = 100, 1e-6  # as they were judged; more move nothing that the error could show


@dataclass(frozen=True, eq=False)
class Scored:
    """B images of a stretch, by whatever chance they were chosen from all of it.

    Raises ValueError for shapes that do not fit.
    """

    scores: NDArray[np.float32]  # (B, C) mean over the members that were asked
    verdicts: NDArray[np.int64]  # (B,) class index, or C for unclassified

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or self.verdicts.shape != self.scores.shape[:1]:
            raise ValueError(f"scores are (B, C) and verdicts (B,), not {self.scores.shape} and {self.verdicts.shape}")


# Of a bin, by its number, or of all that is counted (None); None: no scores were kept of it.
Sampler = Callable[[int | None], Scored | None]


def blended(
    verdicts: Floats, centre: Floats, scored: Scored | None, validated: Validated, base: Floats | None
) -> Floats:
    """(C,) counts of one set of images, summing to all of them: `centre` moved towards what the scores say.

    verdicts (C+1,): all images by verdict, of which `scored` has some; centre (C,): the same images corrected by the
    confusion table; base (C,): shares towards which a small set is drawn, equal ones where None, as
    `edge.estimates.correction.corrected` has it. Each image with scores stands for all of its verdict; verdicts without one are
    taken at their word.
    """
    images = float(verdicts.sum())
    if scored is None or validated.temperature is None or not len(scored.verdicts) or not images:
        return centre
    classes = len(centre)
    said = np.bincount(scored.verdicts, minlength=classes + 1)
    weights = (verdicts / np.maximum(said, 1))[scored.verdicts]
    left = np.where(said > 0, 0.0, verdicts)
    shares = np.full(classes, 1 / classes) if base is None else base
    towards = min(12.0, images * (0.05 if base is None else 0.5)) * (shares + 1e-9)
    in_validation = validated.confusion.sum(axis=1) + 0.5
    likely = calibrated(scored.scores, validated.temperature)
    found = emq(likely, in_validation, _ITERATIONS, _TOLERANCE, weights, towards)
    counted = found * weights.sum() + left[:classes] + found * left[classes]
    weight = scores_weight(counted / images, float(validated.confusion.sum()), len(scored.verdicts))
    mixed: Floats = weight * counted + (1 - weight) * centre
    return mixed
