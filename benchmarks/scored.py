"""The scores that a bundle gives its held-out images, which validation.json does not keep: half a minute on a CPU."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle.folder import open_bundle
from edge.keptscores import pack, unpack
from quantize.images import find_images, require_images

BATCH = 64


def kept_scores(bundle: Path, images: Path, part: str) -> NDArray[np.float32]:
    """(M, C) scores of the images of the split `part`, in the order of training.json, as a ledger keeps them: of the
    members that the vote asked, packed and unpacked. Raises BadBundle, BadData where an image is missing."""
    opened = open_bundle(bundle)
    keys = json.loads((bundle / "training.json").read_bytes())["split"][part]
    found = find_images(images, opened.labels)
    require_images(found, keys, part, images)
    ensemble = opened.load(threads=2)
    packed: list[bytes] = []
    for first in range(0, len(keys), BATCH):
        batch = [opened.prepare(found[key].path.read_bytes()) for key in keys[first : first + BATCH]]
        packed += pack(opened.classify(ensemble, batch).mean)
    return unpack(packed, len(opened.labels))
