"""Whether a quantised member is still the model that was trained: agreement and accuracy on the validation images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadData
from bundle.manifest import Checks
from quantize.config import Settings

ROUNDING = 2e-6  # the figures are rounded to a millionth, and a limit that is met exactly is met


def compare(truth: NDArray[np.int32], keras_scores: NDArray[np.float32], tflite_scores: NDArray[np.float32]) -> Checks:
    """The two models side by side: truth (M,) class indices, scores (M, C) each, M >= 1."""
    original, quantised = keras_scores.argmax(axis=1), tflite_scores.argmax(axis=1)
    return Checks(
        images=len(truth),
        keras_accuracy=_share(original == truth),
        tflite_accuracy=_share(quantised == truth),
        agreement=_share(original == quantised),
    )


def require_faithful(member: str, checks: Checks, settings: Settings) -> None:
    """Raises BadData, naming member, figure, limit and remedy, if quantising has changed the member beyond the limits.

    One image is always allowed: on fewer images than 1 / limit it would weigh more than the limit itself.
    """
    drop, apart = checks.keras_accuracy - checks.tflite_accuracy, 1 - checks.agreement
    remedy = f"give more representative_images (now {settings.representative_images}), leave the member out, or "
    if drop > max(settings.max_accuracy_drop, 1 / checks.images) + ROUNDING:
        raise BadData(
            f"{member}: {settings.scheme} has an accuracy of {checks.tflite_accuracy:.4f} on {checks.images} validation "
            f"images, {drop:.4f} below Keras ({checks.keras_accuracy:.4f}); the limit is {settings.max_accuracy_drop:g}; "
            f"{remedy}raise max_accuracy_drop"
        )
    if apart > max(1 - settings.min_agreement, 1 / checks.images) + ROUNDING:
        raise BadData(
            f"{member}: {settings.scheme} and Keras name the same class for {checks.agreement:.4f} of {checks.images} "
            f"validation images; the limit is {settings.min_agreement:g}; {remedy}lower min_agreement"
        )


def _share(hits: NDArray[np.bool_]) -> float:
    return round(float(hits.mean()), 6)
