"""Held-out images with their true class and verdict, and tows simulated from them: what benchmarks of counts share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadData
from quantize.images import find_images

KINDS = ("as trained", "Dirichlet 0.05", "Dirichlet 0.3", "Dirichlet 1", "few dominant", "flipped")
SIZES = (200, 1_000, 5_000, 20_000)  # images expected in a tow


@dataclass(frozen=True, eq=False)
class Held:
    """M images that trained no member."""

    classes: int  # C
    truth: NDArray[np.int64]  # (M,) class
    verdict: NDArray[np.int64]  # (M,) class, or C for unclassified
    scores: NDArray[np.float32] | None = None  # (M, C) as the ledger keeps them, where they were made

    def confusion(self) -> NDArray[np.int64]:
        """(C, C+1) images: true class, verdict."""
        counts = np.zeros((self.classes, self.classes + 1), np.int64)
        np.add.at(counts, (self.truth, self.verdict), 1)
        return counts

    def halves(self, random: np.random.Generator) -> tuple[Held, Held]:
        """Each image in one of two, by a fair coin."""
        one = random.random(len(self.truth)) < 0.5
        return self._only(one), self._only(~one)

    def _only(self, chosen: NDArray[np.bool_]) -> Held:
        scores = None if self.scores is None else self.scores[chosen]
        return Held(self.classes, self.truth[chosen], self.verdict[chosen], scores)


@dataclass(frozen=True, eq=False)
class SimulatedTow:
    """`expected` (C,) is the tow's intensity, `present` (C,) the organisms that came, `verdicts` (C+1,) what was said.

    times (M,): how often each of the images came.
    """

    kind: str
    size: int
    expected: NDArray[np.float64]
    present: NDArray[np.int64]
    verdicts: NDArray[np.int64]
    times: NDArray[np.int64]


def read_held(bundle: Path, images: Path, part: str) -> Held:
    """The images of the split `part` (validation or test) with the verdicts recorded; those found in two class folders of
    `images`, or in none, are left out. Raises BadData."""
    record = json.loads((bundle / "validation.json").read_bytes())
    split = json.loads((bundle / "training.json").read_bytes())["split"][part]
    verdicts = record["verdicts"][part]
    if verdicts is None:
        raise BadData(f"{bundle}: it holds no verdicts of a {part} split; take another bundle")
    classes = len(record["labels"])
    found = find_images(images, record["labels"])
    pairs = [(found[key].label, verdict) for key, verdict in zip(split, verdicts, strict=True) if key in found]
    if not pairs:
        raise BadData(f"{images}: none of the {part} images is there; give the folder of PlanktonSet with --images")
    truth, said = np.array(pairs, np.int64).T
    return Held(classes, truth, np.where(said < 0, classes, said))


def inherited_confusion(bundle: Path) -> NDArray[np.int64] | None:
    """(C, C+1) images: true class, verdict, where the bundle has them from another; None where they are of its own verdicts."""
    record = json.loads((bundle / "validation.json").read_bytes())
    return np.array(record["confusion"], np.int64) if "inherited" in record else None


def tows(held: Held, each: int, random: np.random.Generator, sizes: Sequence[int] = SIZES) -> Iterator[SimulatedTow]:
    """`each` tows of every kind and size, their images drawn with replacement from those of `held`, Poisson in number."""
    images = np.bincount(held.truth, minlength=held.classes)
    of_class = [np.flatnonzero(held.truth == label) for label in range(held.classes)]
    for kind in KINDS:
        for size in sizes:
            for _ in range(each):
                expected = size * prevalence(kind, images, random)
                organisms = random.poisson(expected)
                times = np.zeros(len(held.truth), np.int64)
                for label in np.flatnonzero(organisms):
                    here = of_class[label]
                    times[here] = random.multinomial(organisms[label], np.full(len(here), 1 / len(here)))
                verdicts = np.bincount(held.verdict, weights=times, minlength=held.classes + 1).astype(np.int64)
                yield SimulatedTow(kind, size, expected, organisms, verdicts, times)


def prevalence(kind: str, images: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float64]:
    """(C,) shares; classes without an image have none. `images` (C,): how many there are of each class."""
    here = np.flatnonzero(images)
    shares = np.zeros(len(images))
    if kind == "as trained":
        shares[:] = images
    elif kind == "flipped":  # the rarest class has the share of the commonest, and so on
        ranked = here[np.argsort(images[here], kind="stable")]
        shares[ranked] = images[ranked[::-1]]
    elif kind == "few dominant":  # four classes have nine tenths
        shares[here] = 0.1 * random.dirichlet(np.full(len(here), 0.3))
        few = random.choice(here, min(4, len(here)), replace=False)
        shares[few] += 0.9 * random.dirichlet(np.full(len(few), 2.0))
    else:
        shares[here] = random.dirichlet(np.full(len(here), float(kind.split()[1])))
    return shares / shares.sum()
