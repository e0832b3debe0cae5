"""Held-out images as a bundle sees them, and the same images after something went wrong with the camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadData
from bundle.folder import Bundle
from bundle.preprocess import Pixels
from bundle.reference import BALLOTS, VOTED
from edge.drift.tally import Seen
from quantize.images import find_images, require_images
from quantize.reference import look
from quantize.verify import split_of

Alteration = Callable[[Pixels, np.random.Generator], NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Looked:
    """M images: what they are, what the bundle says, and what is seen of them."""

    truth: NDArray[np.int64]  # (M,) class
    verdict: NDArray[np.int64]  # (M,) class, or C for unclassified
    seen: NDArray[np.float64]  # (M, F) as quantize.reference.look gives it

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.truth == self.verdict))

    def only(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Looked:
        """Some of them; by number also one several times."""
        return Looked(self.truth[chosen], self.verdict[chosen], self.seen[chosen])

    def with_others(self, others: Looked) -> Looked:
        """These and those."""
        pairs = ((getattr(self, name), getattr(others, name)) for name in ("truth", "verdict", "seen"))
        return Looked(*(np.concatenate(pair) for pair in pairs))

    def as_seen(self, labels: int) -> Seen:
        """As the ledger would tell of them, the members asked until decided."""
        votes, score = (self.seen[:, BALLOTS.index("enough") * len(VOTED) + place] for place in range(len(VOTED)))
        none = np.zeros(len(self.truth), np.int64)  # fewer members asked than there are
        label = np.where(self.verdict == labels, -1, self.verdict)
        return Seen(none, label, none, votes, score, self.seen[:, len(BALLOTS) * len(VOTED) :])


def decoded(bundle: Bundle, images: Path, part: str) -> tuple[list[Pixels], NDArray[np.int64]]:
    """The images of the split `part`, and their classes. Raises BadBundle, BadData."""
    hashes = getattr(split_of(bundle), part)
    if not hashes:
        raise BadData(f"{bundle.path}: has no {part} split; take another bundle")
    found = find_images(images, bundle.labels)
    require_images(found, hashes, part, images)
    greys = [bundle.decode(found[sha256].path.read_bytes()) for sha256 in hashes]
    return greys, np.array([found[sha256].label for sha256 in hashes], np.int64)


def looked(
    bundle: Bundle, greys: Sequence[Pixels], truth: NDArray[np.int64], alter: Alteration | None = None, seed: int = 1
) -> Looked:
    """What the bundle makes of them, each altered first."""
    random = np.random.default_rng(seed)

    def altered() -> Iterator[Pixels]:
        for grey in greys:
            yield grey if alter is None else np.clip(np.rint(alter(grey, random)), 0, 255).astype(np.uint8)

    return Looked(truth, *look(bundle, altered()))


def _blur(sigma: float) -> Alteration:
    return lambda grey, _random: cv2.GaussianBlur(grey, (0, 0), sigma)


def _lamp(factor: float) -> Alteration:
    return lambda grey, _random: grey * factor


def _noise(spread: float) -> Alteration:
    return lambda grey, random: grey + random.normal(0, spread, grey.shape)


def _scale(factor: float) -> Alteration:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR

    def scaled(grey: Pixels, _random: np.random.Generator) -> NDArray[np.generic]:
        height, width = (max(1, round(length * factor)) for length in grey.shape)
        return np.asarray(cv2.resize(grey, (width, height), interpolation=method))

    return scaled


def _jpeg(quality: int) -> Alteration:
    def packed(grey: Pixels, _random: np.random.Generator) -> NDArray[np.generic]:
        _, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))

    return packed


def _contrast(factor: float) -> Alteration:
    return lambda grey, _random: 255 - (255.0 - grey) * factor


def _specks(grey: Pixels, random: np.random.Generator) -> NDArray[np.generic]:
    """Three grey specks, each a tenth of the image's long side across."""
    spotted = grey.copy()
    height, width = grey.shape
    for _ in range(3):
        place = int(random.integers(width)), int(random.integers(height))
        cv2.circle(spotted, place, max(1, round(0.05 * max(height, width))), 110, -1)
    return cv2.GaussianBlur(spotted, (0, 0), 0.7)


ALTERATIONS: dict[str, Alteration] = {
    **{f"blur, sigma {sigma:g} px": _blur(sigma) for sigma in (0.5, 1, 2)},
    **{f"lamp at {factor:.0%}": _lamp(factor) for factor in (0.99, 0.98, 0.95, 0.8)},
    **{f"noise, sd {spread} of 255": _noise(spread) for spread in (1, 2, 5)},
    **{f"scale {factor}": _scale(factor) for factor in (0.9, 0.8, 1.25)},
    **{f"JPEG quality {quality}": _jpeg(quality) for quality in (50, 20)},
    "contrast 0.7": _contrast(0.7),
    "specks on the window": _specks,
}
