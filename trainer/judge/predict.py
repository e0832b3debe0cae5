"""What finished members say of the images of a part: the images are found by the keys of the record, never split anew."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadData
from bundle.pace import Say
from bundle.training import FinishedRun, TrainedMember
from trainer.data.dataset import Dataset, load_dataset
from trainer.feed import plain_inputs

PartName = Literal["validation", "test"]


@dataclass(frozen=True)
class Part:
    """M images of a part of the split, in the order of the record."""

    name: PartName
    images: NDArray[np.intp]  # (M,) indices into the data set
    truth: NDArray[np.int32]  # (M,) indices into the record's labels


def load_images(run: FinishedRun, data: Path, sides: Collection[int], say: Say) -> dict[int, Dataset]:
    """The data set that the run was trained on, at each of `sides`, as it stands in `data` now; says so when it has changed.

    Raises BadData.
    """
    datasets = {side: load_dataset(data, run.facts.input, side, run.folder / "cache", say) for side in sides}
    dataset = next(iter(datasets.values()))
    if dataset.digest != run.facts.data.digest:
        say(
            f"{data} has changed since {run.path} was written ({run.facts.data.images} images then, {len(dataset.hashes)} "
            "now): only the images that the record names are used, each in the part it had"
        )
    return datasets


def find_part(run: FinishedRun, dataset: Dataset, data: Path, name: PartName) -> Part:
    """The images of a part of the recorded split. Raises BadData where one is missing or of a class the run has not."""
    keys: Sequence[str] = getattr(run.facts.split, name)
    if not keys:
        raise BadData(f"{run.path}: the {name} split holds no images; train on more images, or with another split")
    place = {key: image for image, key in enumerate(dataset.keys)}
    missing = [key for key in keys if key not in place]
    if missing:
        raise BadData(
            f"{data}: {len(missing)} of the {len(keys)} {name} images of {run.path} cannot be used (gone, unreadable, or "
            f"also in another class), for example the one whose sha-256 begins with {missing[0]}; give the data set of the run"
        )
    images = np.array([place[key] for key in keys])
    index = {label: position for position, label in enumerate(run.facts.labels)}
    theirs = [dataset.labels[label] for label in dataset.classes[images].tolist()]
    strange = sorted({label for label in theirs if label not in index})
    if strange:
        raise BadData(
            f"{data / strange[0]}: holds {name} images of {run.path}, which has no class '{strange[0]}'; give the folder the "
            "name it had"
        )
    return Part(name, images, np.array([index[label] for label in theirs], np.int32))


def predict(
    run: FinishedRun, member: TrainedMember, dataset: Dataset, parts: Sequence[Part]
) -> list[NDArray[np.float32]]:
    """The member's scores, (M, C) float32 for each part; `dataset` is at its side.

    Raises BadData for a file that is not a member of this run.
    """
    import keras  # here, so that what is refused before any member is asked is refused at once

    file = run.folder / member.file
    try:
        model = keras.saving.load_model(file, compile=False, safe_mode=True)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise BadData(f"{file}: not a Keras model that can be loaded ({error}); train it anew") from None
    wanted = {tensor.name for tensor in model.inputs}
    found = []
    for part in parts:
        inputs = {name: values for name, values in plain_inputs(dataset, part.images).items() if name in wanted}
        scores: NDArray[np.float32] = model.predict(inputs, batch_size=256, verbose=0)
        if scores.shape != (len(part.images), len(run.facts.labels)):
            raise BadData(f"{file}: gives scores of shape {scores.shape}, not one for each label; train it anew")
        if not np.isfinite(scores).all():
            raise BadData(f"{file}: gives scores that are no numbers; train it anew with a lower learning_rate")
        found.append(scores)
    return found


def predict_all(
    run: FinishedRun, datasets: Mapping[int, Dataset], parts: Sequence[Part], say: Say
) -> list[NDArray[np.float32]]:
    """The scores of all members, (N, M, C) float32 for each part. datasets: at each member's side."""
    members = []
    for member in run.facts.members:
        say(f"{member.stem} classifies {sum(len(part.images) for part in parts)} images")
        members.append(predict(run, member, datasets[member.side], parts))
    return [np.stack(scores) for scores in zip(*members, strict=True)]
