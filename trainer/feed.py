"""The batches that a model is fitted on: drawn, augmented and weighted by a pure function of seed, epoch and step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.preprocess import InputSpec
from trainer.augment import augment
from trainer.config import MemberRun
from trainer.dataset import Dataset

Batch = tuple[dict[str, Any], NDArray[np.float32], NDArray[np.float32]]


class TrainingFeed:
    """Augmented batches of an epoch's images, shuffled; the last, smaller batch is left out so that all steps cost the same.

    Any batch can be made again from (seed, epoch, step) alone: that is what makes a resumed run repeat the cut one.
    """

    def __init__(self, dataset: Dataset, images: NDArray[np.intp], member: MemberRun, spec: InputSpec) -> None:
        """images: indices into the data set of the training images."""
        self._dataset, self._images, self._member, self._spec = dataset, images, member, spec
        self._weights = class_weights(dataset.classes[images], len(dataset.labels), member.class_weight_power)
        self.batch = min(member.batch, len(images))
        self.steps = len(images) // self.batch  # of an epoch

    def from_epoch(self, epoch: int) -> Iterator[Batch]:
        """Batches without end, beginning with the epoch `epoch`, counted from 0.

        An iterator and not a Keras PyDataset: that one is asked ahead across the border of an epoch, and so could not know
        which epoch a step belongs to.
        """
        while True:
            for step in range(self.steps):
                yield self.at(epoch, step)
            epoch += 1

    def at(self, epoch: int, step: int) -> Batch:
        """({pixels (B, S, S, 1), features (B, F)}, one-hot labels (B, C), weights (B,))."""
        order = np.random.default_rng((self._member.seed, epoch)).permutation(self._images)
        chosen = order[step * self.batch : (step + 1) * self.batch]
        random = np.random.default_rng((self._member.seed, epoch, step))
        pixels = augment(self._dataset.pixels[chosen], self._spec, self._member.augmentation, random)
        classes = self._dataset.classes[chosen]
        inputs = {"pixels": pixels[..., np.newaxis], "features": self._dataset.features[chosen]}
        return inputs, one_hot(classes, len(self._dataset.labels)), self._weights[classes]


def plain_inputs(dataset: Dataset, images: NDArray[np.intp]) -> dict[str, Any]:
    """The model inputs of these images as they are, for validation and test."""
    return {"pixels": dataset.pixels[images][..., np.newaxis], "features": dataset.features[images]}


def one_hot(classes: NDArray[np.int32], class_count: int) -> NDArray[np.float32]:
    """(B, C) float32 from (B,) class indices."""
    return np.eye(class_count, dtype=np.float32)[classes]


def class_weights(classes: NDArray[np.int32], class_count: int, power: float) -> NDArray[np.float32]:
    """(C,) float32: (images of the class) ^ -power, scaled so that the mean over the images is 1.

    classes: (M,) class indices of the training images. A class without any gets the weight 0.
    """
    counts = np.bincount(classes, minlength=class_count).astype(np.float64)
    weights = np.where(counts > 0, np.maximum(counts, 1) ** -power, 0.0)
    return (weights * counts.sum() / (weights * counts).sum()).astype(np.float32)
