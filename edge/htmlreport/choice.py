"""The best few images of each label, of however many are added."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Choice:
    """Keeps the `each` images of every label with the lowest keys; of equal keys the first that came.

    Memory: `each` images a label and what one call adds.
    """

    def __init__(self, each: int) -> None:
        self._each = each
        self._label = np.empty(0, np.int64)
        self._key = np.empty(0, np.float64)
        self._image = np.empty(0, np.int64)

    def add(self, label: NDArray[np.int64], key: NDArray[np.float64], image: NDArray[np.int64]) -> None:
        """(M,) labels, keys and images."""
        label, key = np.append(self._label, label), np.append(self._key, key)
        image = np.append(self._image, image)
        order = np.lexsort((key, label))  # stable: by label, then by key, then as they came
        label, key, image = label[order], key[order], image[order]
        begins = np.flatnonzero(np.append(True, label[1:] != label[:-1])) if len(label) else np.empty(0, np.int64)
        rank = np.arange(len(label)) - np.repeat(begins, np.diff(np.append(begins, len(label))))
        kept = rank < self._each
        self._label, self._key, self._image = label[kept], key[kept], image[kept]

    def chosen(self) -> dict[int, tuple[int, ...]]:
        """label -> images, the lowest key first."""
        return {
            int(label): tuple(int(image) for image in self._image[self._label == label])
            for label in np.unique(self._label)
        }
