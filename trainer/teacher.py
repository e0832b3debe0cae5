"""What an ensemble of finished members says of the training images: the soft labels that a small member learns from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadConfig, BadData
from bundle.preprocess import InputSpec
from bundle.training import read_finished
from bundle.whole import sha256_hex, write_whole_with
from trainer.config import Augmentation, Teacher
from trainer.data.augment import augment
from trainer.data.dataset import Dataset

Load = Callable[[InputSpec], Dataset]  # the run's data set as another input sees it

VIEW_SEED = 20  # of the augmented views; one for all members, so that their soft labels can be shared
BATCH = 256


def soft_labels(
    teacher: Teacher, load: Load, hashes: list[str], how: Augmentation, cache: Path, say: Callable[[str], None]
) -> NDArray[np.float32]:
    """(M, C) mean scores of the teacher's members over `views` views of each image, rows in the order of `hashes`.

    hashes: of the M training images. how: the augmentation of the views after the first, which is the plain image. The
    result is kept in `cache`. Raises BadConfig for a member that is missing, knows other classes, or was trained on an
    image that this run does not train on: through such a teacher the test images would leak.
    """
    members = [_member(Path(file), set(hashes), load) for file in teacher.members]
    key = hashlib.sha256(
        json.dumps([teacher.views, dataclasses.asdict(how), hashes, [sha256 for _, _, sha256 in members]]).encode()
    ).hexdigest()
    kept = cache / f"teacher-{key[:16]}.npy"
    if kept.exists():
        known: NDArray[np.float32] = np.load(kept)
        return known
    total: NDArray[np.float64] | None = None
    for path, spec, _ in members:
        say(f"teacher: {path} looks at {len(hashes)} images, {teacher.views} views of each")
        scores = _mean_scores(path, spec, load(spec), hashes, teacher.views, how)
        total = scores if total is None else total + scores
    assert total is not None
    mean = (total / len(members)).astype(np.float32)
    cache.mkdir(parents=True, exist_ok=True)
    write_whole_with(kept, lambda file: np.save(file, mean))
    return mean


def _member(path: Path, ours: set[str], load: Load) -> tuple[Path, InputSpec, str]:
    """The file, the input it was trained for and its hash; `ours` are the hashes of the run's training images."""
    if not path.is_file():
        raise BadConfig(f"{path}: the teacher names a member that is not there; train it first")
    try:
        run = read_finished(path.parent.parent)
    except BadData as error:
        raise BadConfig(f"{path}: a teacher must lie in the folder of a finished run: {error}") from None
    if run.facts.labels != load(run.facts.input).labels:
        raise BadConfig(f"{path}: this teacher knows other classes than the data set; use one trained on the same data")
    foreign = set(run.facts.split.train) - ours
    if foreign:
        raise BadConfig(
            f"{path}: this teacher was trained on {len(foreign)} images that this run does not train on, and would tell of "
            "validation or test images; use one trained on the same data and split"
        )
    return path, run.facts.input, sha256_hex(path.read_bytes())


def _mean_scores(
    path: Path, spec: InputSpec, dataset: Dataset, hashes: list[str], views: int, how: Augmentation
) -> NDArray[np.float64]:
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    place = {sha256: index for index, sha256 in enumerate(dataset.hashes)}
    images = np.array([place[sha256] for sha256 in hashes])
    pixels, features = dataset.pixels[images], dataset.features[images]
    total = np.zeros((len(images), len(dataset.labels)))
    for view in range(views):
        seen = pixels if view == 0 else augment(pixels, spec, how, np.random.default_rng((VIEW_SEED, view)))
        total += model.predict({"pixels": seen[..., np.newaxis], "features": features}, batch_size=BATCH, verbose=0)
    return total / views
