"""The scores that the ledger keeps of each image, in some 16 bytes: what counts from scores are made of.

Three bytes for each class with a score of 1 % or more: class index (uint16, little-endian), then the square root of the score
in 255ths (uint8). What is missing to 1 is shared evenly by the other classes. On PlanktonSet that made counts no worse than all
121 scores in full (docs/counts.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ENTRY = np.dtype([("label", "<u2"), ("root", "u1")])
_LEAST = 26  # 255ths of a root: (26 / 255)^2 is 1.04 %


def pack(scores: NDArray[np.floating]) -> list[bytes]:
    """B packed scores of (B, C) scores from 0 to 1; C at most 65,536."""
    roots = np.rint(255 * np.sqrt(np.clip(scores, 0, 1))).astype(np.uint8)
    images, labels = np.nonzero(roots >= _LEAST)
    entries = np.empty(len(images), _ENTRY)
    entries["label"], entries["root"] = labels, roots[images, labels]
    data = entries.tobytes()
    ends = (np.searchsorted(images, np.arange(len(roots)), side="right") * _ENTRY.itemsize).tolist()
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def unpack(packed: Sequence[bytes], class_count: int) -> NDArray[np.float32]:
    """(B, C) scores of B packed ones, each row summing to 1. Raises ValueError for bytes that are none of these C classes."""
    if any(len(each) % _ENTRY.itemsize for each in packed):
        raise ValueError("kept scores are three bytes a class")
    entries = np.frombuffer(b"".join(packed), _ENTRY)
    if len(entries) and int(entries["label"].max()) >= class_count:
        raise ValueError(f"kept scores name class {int(entries['label'].max())} of {class_count}")
    images = np.repeat(np.arange(len(packed)), [len(each) // _ENTRY.itemsize for each in packed])
    scores = np.zeros((len(packed), class_count), np.float32)
    scores[images, entries["label"]] = (entries["root"].astype(np.float32) / 255) ** 2
    others = scores == 0
    rest = np.maximum(1 - scores.sum(axis=1, keepdims=True), 1e-6)
    scores += np.where(others, rest / np.maximum(others.sum(axis=1, keepdims=True), 1), 0).astype(np.float32)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores
