"""The batches that a model is fitted on: drawn, augmented and weighted by a pure function of seed, epoch and step."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.preprocess import InputSpec
from trainer.config import MemberRun
from trainer.data.augment import augment
from trainer.data.dataset import Dataset
from trainer.imbalance import class_weights, draw_weights

# OpenCV works without the interpreter's lock, so a few threads keep a fast GPU fed; beside a model on the CPU one is enough.
WORKERS = max(1, min(8, (os.cpu_count() or 1) // 2))
AHEAD = 2 * WORKERS  # batches made before they are asked for

Batch = tuple[dict[str, Any], NDArray[np.float32], NDArray[np.float32]]


class TrainingFeed:
    """Augmented batches of an epoch's images, shuffled; the last, smaller batch is left out so that all steps cost the same.

    Any batch can be made again from (seed, epoch, step) alone: that is what makes a resumed run repeat the cut one.
    """

    def __init__(
        self,
        dataset: Dataset,
        images: NDArray[np.intp],
        member: MemberRun,
        spec: InputSpec,
        taught: NDArray[np.floating[Any]] | None = None,
    ) -> None:
        """images: (M,) indices into the data set of the training images. taught: (M, C) what a teacher says of them."""
        self._dataset, self._images, self._member, self._spec = dataset, images, member, spec
        classes, class_count = dataset.classes[images], len(dataset.labels)
        self._weights = class_weights(classes, class_count, member.imbalance)
        self._draw = draw_weights(classes, class_count, member.imbalance.balanced_sampling)
        self._labels = np.eye(class_count) * (1 - member.label_smoothing) + member.label_smoothing / class_count
        self._taught = taught
        self.batch = min(member.batch, len(images))
        self.steps = len(images) // self.batch  # of an epoch

    def from_epoch(self, epoch: int) -> Iterator[Batch]:
        """Batches without end, beginning with the epoch `epoch`, counted from 0; threads make the next ones meanwhile.

        An iterator and not a Keras PyDataset: that one is asked ahead across the border of an epoch, and so could not know
        which epoch a step belongs to.
        """
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="feed")
        places = self._places(epoch)
        try:
            ahead = deque(pool.submit(self._batch, *place) for place in islice(places, AHEAD))
            for place in places:
                batch = ahead.popleft().result()
                ahead.append(pool.submit(self._batch, *place))
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)

    def _places(self, epoch: int) -> Iterator[tuple[NDArray[np.intp], int, int]]:
        while True:
            order = self._order(epoch)
            yield from ((order, epoch, step) for step in range(self.steps))
            epoch += 1

    def at(self, epoch: int, step: int) -> Batch:
        """({pixels (B, S, S, 1), features (B, F)}, soft labels (B, C), weights (B,))."""
        return self._batch(self._order(epoch), epoch, step)

    def _order(self, epoch: int) -> NDArray[np.intp]:
        """Positions among the training images in the order of this epoch."""
        random = np.random.default_rng((self._member.seed, epoch))
        if self._draw is None:
            return random.permutation(len(self._images))
        return random.choice(len(self._images), self.steps * self.batch, p=self._draw)

    def _batch(self, order: NDArray[np.intp], epoch: int, step: int) -> Batch:
        places = order[step * self.batch : (step + 1) * self.batch]
        images = self._images[places]
        random = np.random.default_rng((self._member.seed, epoch, step))
        pixels = augment(self._dataset.pixels[images], self._spec, self._member.augmentation, random)
        classes = self._dataset.classes[images]
        labels = self._labels[classes]
        if self._taught is not None and self._member.teacher is not None:
            share = self._member.teacher.share
            labels = (1 - share) * labels + share * self._taught[places]
        inputs = {"pixels": pixels[..., np.newaxis], "features": self._dataset.features[images]}
        return inputs, labels.astype(np.float32), self._weights[classes]


def plain_inputs(dataset: Dataset, images: NDArray[np.intp]) -> dict[str, Any]:
    """The model inputs of these images as they are, for validation and test."""
    return {"pixels": dataset.pixels[images][..., np.newaxis], "features": dataset.features[images]}


def one_hot(classes: NDArray[np.int32], class_count: int) -> NDArray[np.float32]:
    """(B, C) float32 from (B,) class indices."""
    return np.eye(class_count, dtype=np.float32)[classes]
