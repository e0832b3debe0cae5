"""A finished run as the commands after training find it: rendered images, real tiny Keras members, training.json."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bundle.preprocess import FEATURES, InputSpec
from bundle.whole import sha256_hex
from trainer.data.dataset import Dataset, load_dataset

SIDES = (16, 24)  # pixels, of the members in turn
SPLIT = {"train": slice(0, 14), "validation": slice(14, 22), "test": slice(22, 30)}  # of each class's sorted hashes


def write_run(folder: Path, data: Path, members: Sequence[tuple[str, float]], name: str = "shapes") -> Path:
    """A run in `folder` with a member for each (name, noise in its weights)."""
    import keras

    datasets = {side: load_dataset(data, InputSpec(), side, folder.parent / "cache", lambda _: None) for side in SIDES}
    dataset = datasets[SIDES[0]]
    split = {
        part: [
            key
            for label in range(len(dataset.labels))
            for key in sorted(dataset.keys[image] for image in np.flatnonzero(dataset.classes == label))[chosen]
        ]
        for part, chosen in SPLIT.items()
    }
    (folder / "members").mkdir(parents=True)
    table = []
    for number, (member, noise) in enumerate(members, start=1):
        file = folder / "members" / f"{number:02d}-{member}.keras"
        side = SIDES[number % 2 - 1]
        fitted(datasets[side], split["train"], noise).save(file)
        score = {"images": 24, "accuracy": 0.5, "balanced_accuracy": 0.5, "macro_f1": 0.5}
        table.append(
            {
                "file": f"members/{file.name}",
                "sha256": sha256_hex(file.read_bytes()),
                "architecture": "tiny",
                "side": side,
                "seed": number,
                "settings": {"name": member, "seed": number, "noise": noise, "network": {"widths": [4, 8]}},
                "data_digest": dataset.digest,
                "started": "2026-05-01T10:00:00Z",
                "finished": "2026-05-01T13:05:00Z",
                "versions": {"python": "3.11.7", "keras": keras.version()},
                "validation": score,
                "test": score,
                "history": [{"epoch": epoch, "accuracy": 0.3, "loss": 2.0 / epoch} for epoch in (1, 2, 3)],
            }
        )
    record = {
        "schema_version": 3,
        "created": "2026-05-01T13:05:00Z",
        "name": name,
        "labels": list(dataset.labels),
        "input": {"fit": "long_side", "pad": "white", "polarity": "dark_on_light"},
        "features": list(FEATURES),
        "data": {
            "digest": dataset.digest,
            "images": len(dataset.hashes),
            "images_per_class": np.bincount(dataset.classes).tolist(),
            "files": 91,
            "duplicates": 0,
            "conflicts": [],
            "unreadable": ["rod/x.png: no image"],
        },
        "members": table,
        "hard_vote_test": {"images": 24, "accuracy": 0.9, "balanced_accuracy": 0.9, "macro_f1": 0.9},
        "split": split,
    }
    (folder / "training.json").write_text(json.dumps(record))
    return folder


def fitted(dataset: Dataset, train: Sequence[str], noise: float) -> Any:
    """A linear classifier of coarse pixels and features, by least squares, its weights then blurred by `noise`.

    Solved, not trained by steps: a Keras model like any other, in milliseconds.
    """
    import keras
    from keras import layers

    side = dataset.pixels.shape[1]
    pixels = keras.Input((side, side, 1), dtype="uint8", name="pixels")
    features = keras.Input((len(FEATURES),), dtype="float32", name="features")
    coarse = layers.Flatten()(layers.AveragePooling2D(side // 4)(layers.Rescaling(-1 / 256, offset=255 / 256)(pixels)))
    joined = layers.Concatenate()([coarse, features])
    head = layers.Dense(len(dataset.labels), activation="softmax")
    model = keras.Model([pixels, features], head(joined))
    place = {key: image for image, key in enumerate(dataset.keys)}
    images = np.array([place[sha256] for sha256 in train])
    inputs = {"pixels": dataset.pixels[images][..., None], "features": dataset.features[images]}
    known = keras.ops.convert_to_numpy(keras.Model([pixels, features], joined)(inputs))
    known = np.hstack([known, np.ones((len(images), 1))])
    wanted = 6.0 * np.eye(len(dataset.labels))[dataset.classes[images]]
    solved = np.linalg.solve(known.T @ known + 0.1 * np.eye(known.shape[1]), known.T @ wanted)
    solved += noise * np.random.default_rng(5).normal(size=solved.shape)
    head.set_weights([solved[:-1], solved[-1]])
    return model
