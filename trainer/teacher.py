"""What an ensemble of finished members says of the training images: the soft labels that a small member learns from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadBundle, BadConfig, BadData
from bundle.folder import Bundle, open_bundle
from bundle.machine import usable_cores
from bundle.preprocess import InputSpec, Pixels
from bundle.training import FinishedRun, image_key, read_finished
from bundle.whole import sha256_hex, write_whole_with
from trainer.config import Augmentation, Teacher
from trainer.data.augment import augment
from trainer.data.dataset import Dataset

Load = Callable[[InputSpec, int], Dataset]  # the run's data set as an input has it at a side
Predict = Callable[[Pixels, NDArray[np.float32]], NDArray[np.float32]]  # (M, S, S) and (M, F) -> (M, C) scores

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
    members = [each for name in teacher.members for each in _members(Path(name), set(map(image_key, hashes)), load)]
    key = hashlib.sha256(
        json.dumps([teacher.views, dataclasses.asdict(how), hashes, [member.sha256 for member in members]]).encode()
    ).hexdigest()
    kept = cache / f"teacher-{key[:16]}.npy"
    if kept.exists():
        known: NDArray[np.float32] = np.load(kept)
        return known
    total: NDArray[np.float64] | None = None
    for member in members:
        say(f"teacher: {member.path} looks at {len(hashes)} images, {teacher.views} views of each")
        scores = _mean_scores(member, load(member.spec, member.side), hashes, teacher.views, how)
        total = scores if total is None else total + scores
    assert total is not None
    mean = (total / len(members)).astype(np.float32)
    cache.mkdir(parents=True, exist_ok=True)
    write_whole_with(kept, lambda file: np.save(file, mean))
    return mean


@dataclass(frozen=True)
class _Member:
    """One model of the teacher."""

    path: Path
    spec: InputSpec  # how it sees an image,
    side: int  # and how large
    sha256: str  # of the model
    load: Callable[[], Predict]


def _members(path: Path, ours: set[str], load: Load) -> list[_Member]:
    """The model in the .keras file `path`, or those of the bundle in the folder `path`.

    ours: keys of the run's training images.
    """
    where = path if path.is_dir() else path.parent.parent
    if not path.exists():
        raise BadConfig(f"{path}: the teacher names a member that is not there; train it first")
    try:
        run = read_finished(where)
        bundle = open_bundle(path) if path.is_dir() else None
    except (BadData, BadBundle) as error:
        raise BadConfig(f"{path}: a teacher must be a bundle or lie in the folder of a finished run: {error}") from None
    members = _of_bundle(path, bundle) if bundle else [_of_run(path, run)]
    if run.facts.labels != load(members[0].spec, members[0].side).labels:
        raise BadConfig(f"{path}: this teacher knows other classes than the data set; use one trained on the same data")
    foreign = set(run.facts.split.train) - ours
    if foreign:
        raise BadConfig(
            f"{path}: this teacher was trained on {len(foreign)} images that this run does not train on, and would tell of "
            "validation or test images; use one trained on the same data and split"
        )
    return members


def _of_run(path: Path, run: FinishedRun) -> _Member:
    sides = [member.side for member in run.facts.members if Path(member.file).name == path.name]
    if not sides:
        raise BadConfig(f"{path}: {run.path} does not name this member; let its training finish first")
    return _Member(path, run.facts.input, sides[0], sha256_hex(path.read_bytes()), partial(_keras, path))


def _of_bundle(path: Path, bundle: Bundle) -> list[_Member]:
    manifest = bundle.manifest
    return [
        _Member(path / member.file, manifest.input, member.side, member.sha256, partial(_tflite, bundle, number))
        for number, member in enumerate(manifest.members)
    ]


def _keras(path: Path) -> Predict:
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    return lambda pixels, features: model.predict(
        {"pixels": pixels[..., np.newaxis], "features": features}, batch_size=BATCH, verbose=0
    )


def _tflite(bundle: Bundle, number: int) -> Predict:
    model = bundle.load(threads=usable_cores()).members[number]

    def predict(pixels: Pixels, features: NDArray[np.float32]) -> NDArray[np.float32]:
        starts = range(0, len(pixels), BATCH)
        parts = (slice(start, start + BATCH) for start in starts)
        return np.concatenate([model.scores(pixels[part], features[part]) for part in parts])

    return predict


def _mean_scores(
    member: _Member, dataset: Dataset, hashes: list[str], views: int, how: Augmentation
) -> NDArray[np.float64]:
    predict = member.load()
    place = {sha256: index for index, sha256 in enumerate(dataset.hashes)}
    images = np.array([place[sha256] for sha256 in hashes])
    pixels, features = dataset.pixels[images], dataset.features[images]
    total = np.zeros((len(images), len(dataset.labels)))
    for view in range(views):
        seen = pixels if view == 0 else augment(pixels, member.spec, how, np.random.default_rng((VIEW_SEED, view)))
        total += predict(seen, features)
    return total / views
