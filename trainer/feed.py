"""The batches that a model is fitted on: drawn, augmented and weighted by a pure function of seed, epoch and step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from bundle.preprocess import InputSpec
from trainer.augment import augment
from trainer.config import MemberRun
from trainer.dataset import Dataset


class TrainingFeed(keras.utils.PyDataset):
    """An epoch of augmented batches, shuffled; the last, smaller batch is left out so that all steps cost the same.

    Any batch can be made again from (seed, epoch, step) alone: that is what makes a resumed run repeat the cut one.
    """

    def __init__(
        self, dataset: Dataset, images: NDArray[np.intp], member: MemberRun, spec: InputSpec, first_epoch: int
    ) -> None:
        """images: indices into the data set of the training images."""
        super().__init__(workers=1, max_queue_size=8)
        self._dataset, self._images, self._member, self._spec = dataset, images, member, spec
        self._weights = class_weights(dataset.classes[images], len(dataset.labels), member.class_weight_power)
        self._batch = min(member.batch, len(images))
        self._epoch = first_epoch

    def __len__(self) -> int:
        return len(self._images) // self._batch

    def on_epoch_end(self) -> None:
        """Called by Keras between epochs."""
        self._epoch += 1

    def __getitem__(self, step: int) -> tuple[dict[str, Any], NDArray[np.float32], NDArray[np.float32]]:
        """({pixels (B, S, S, 1), features (B, F)}, one-hot labels (B, C), weights (B,))."""
        order = np.random.default_rng((self._member.seed, self._epoch)).permutation(self._images)
        chosen = order[step * self._batch : (step + 1) * self._batch]
        random = np.random.default_rng((self._member.seed, self._epoch, step))
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
