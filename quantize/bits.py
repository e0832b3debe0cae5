"""Whether a member's scores depend on how it is run: with one thread or several, image by image or in batches.

They must not: a verdict in the ledger could otherwise not be reproduced on another day. And whether its scores are fine
enough to tell its first class from its second: a tie goes to the lower index, which is no opinion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bundle.ensemble import Ensemble
from bundle.folder import Bundle
from bundle.preprocess import Inputs, Prepared


@dataclass(frozen=True)
class Bits:
    """One member in four ways: one thread and several, batches as they came and image by image."""

    member: str  # its file in the bundle
    images: int
    differing: int  # images whose scores are not the same to the bit in all four
    largest: float  # difference of any score, 0..1
    ties: int  # images where the member's highest score belongs to more than one class


def compare_bits(bundle: Bundle, batches: Iterable[Sequence[Prepared]], threads: int) -> tuple[Bits, ...]:
    """Every member on the same images; `batches` holds at least one image, `threads` is two or more."""
    one, several = bundle.load(1), bundle.load(threads)
    images = 0
    differing, ties = np.zeros(len(one.members), int), np.zeros(len(one.members), int)
    largest = np.zeros(len(one.members))
    for batch in batches:
        images += len(batch)
        wanted = one.scores(Inputs.of(batch))
        ties += ((wanted == wanted.max(axis=2, keepdims=True)).sum(axis=2) > 1).sum(axis=1)
        apart = np.zeros(wanted.shape[:2], bool)
        for found in (_one_by_one(one, batch), several.scores(Inputs.of(batch)), _one_by_one(several, batch)):
            apart |= (found.view(np.uint32) != wanted.view(np.uint32)).any(axis=2)
            largest = np.maximum(largest, np.abs(found - wanted).max(axis=(1, 2)))
        differing += apart.sum(axis=1)
    return tuple(
        Bits(member.file, images, int(differing[index]), float(largest[index]), int(ties[index]))
        for index, member in enumerate(bundle.manifest.members)
    )


def _one_by_one(ensemble: Ensemble, batch: Sequence[Prepared]) -> NDArray[np.float32]:
    """(N, B, C)."""
    return np.concatenate([ensemble.scores(Inputs.of([image])) for image in batch], axis=1)
