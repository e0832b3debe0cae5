"""The scores that a bundle gives its held-out images, which validation.json does not keep: minutes on a CPU."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadData
from bundle.folder import open_bundle

BATCH = 64


def mean_scores(bundle: Path, images: Path, part: str) -> NDArray[np.float64]:
    """(M, C) mean scores of the members for the images of the split `part`, in the order of training.json, made nearer to
    probabilities by the bundle's own temperature. Raises BadBundle, BadData where an image is missing."""
    opened = open_bundle(bundle)
    names = json.loads((bundle / "training.json").read_bytes())["split"][part]
    files = {hashlib.sha256(file.read_bytes()).hexdigest(): file for file in images.glob("*/*.jpg")}
    if missing := [name for name in names if name not in files]:
        raise BadData(
            f"{images}: {len(missing)} of the {len(names)} {part} images are missing; give the whole data set"
        )
    ensemble = opened.load(threads=2)
    found = []
    for first in range(0, len(names), BATCH):
        batch = [opened.prepare(files[name].read_bytes()) for name in names[first : first + BATCH]]
        pixels, features = (np.stack([getattr(each, name) for each in batch]) for name in ("pixels", "features"))
        found.append(np.asarray(ensemble.scores(pixels, features), np.float64).mean(axis=0))
    scores = np.concatenate(found)
    temperature = json.loads((bundle / "validation.json").read_bytes())["calibration"]["ensemble"]["temperature"]
    sharpened = np.maximum(scores, 1e-12) ** (1 / temperature)
    calibrated: NDArray[np.float64] = sharpened / sharpened.sum(axis=1, keepdims=True)
    return calibrated
