"""A tiny training run as planktow-trainer leaves it: rendered images, two real Keras members, training.json."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from bundle.preprocess import FEATURES, Inputs, InputSpec, prepare
from bundle.scores import score_indices
from bundle.training import image_key
from bundle.whole import sha256_hex

LABELS = ("disc", "ring", "rod")
SIDES = {"residual": 32, "simple": 40}  # pixels
PER_CLASS = 60


@dataclass(frozen=True)
class TinyRun:
    """A training run and its data set on disk."""

    folder: Path  # training.json and members/
    data: Path  # LABEL/*.png
    record: dict[str, Any]  # the contents of training.json


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """Trained once for all tests; a test that changes it takes a copy (`copy_of_run`)."""
    root = tmp_path_factory.mktemp("tiny-run")
    data, folder = root / "data", root / "run"
    found = render_data(data)
    split: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for index in range(len(LABELS)):
        hashes = sorted(sha256 for sha256, (_, label) in found.items() if label == index)
        split["train"] += hashes[:36]
        split["validation"] += hashes[36:48]
        split["test"] += hashes[48:]
    inputs = inputs_of(found, split["train"])
    features = inputs.features
    classes = np.array([found[key][1] for key in split["train"]])
    (folder / "members").mkdir(parents=True)
    members = []
    for number, (name, build) in enumerate((("residual", residual), ("simple", simple)), start=1):
        keras.utils.set_random_seed(number)
        model = build(features)
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
        # Batches of 27 on 8 channels crash the oneDNN of TensorFlow 2.21 on some processors (segmentation fault).
        pixels = inputs.pixels[SIDES[name]][..., np.newaxis]
        model.fit({"pixels": pixels, "features": features}, classes, batch_size=32, epochs=18, verbose=0)
        file = folder / "members" / f"{number:02d}-{name}.keras"
        model.save(file)
        more = {
            "seed": number,
            "history": [{"loss": 0.1}],
            "validation": on_validation(model, SIDES[name], found, split["validation"]),
        }
        members.append(member_entry(file, f"{name}_cnn", SIDES[name]) | more)
    record = {
        "schema_version": 3,
        "created": "2026-11-23T12:00:00Z",
        "name": "tiny",
        "labels": list(LABELS),
        "input": dataclasses.asdict(InputSpec()),
        "features": list(FEATURES),
        "data": {"folder": "data", "digest": "0" * 64, "images": len(found)},
        "split": split,
        "members": members,
        "a note of the trainer's": "free",
    }
    (folder / "training.json").write_text(json.dumps(record))
    return TinyRun(folder, data, record)


@pytest.fixture
def copy_of_run(tiny_run: TinyRun, tmp_path: Path) -> Callable[..., TinyRun]:
    """A copy of the run with some keys of its record replaced; the data set is shared."""

    def copy(**changes: Any) -> TinyRun:
        folder = tmp_path / "run"
        shutil.copytree(tiny_run.folder, folder)
        record = tiny_run.record | changes
        (folder / "training.json").write_text(json.dumps(record))
        return TinyRun(folder, tiny_run.data, record)

    return copy


def inputs_of(found: dict[str, tuple[bytes, int]], keys: list[str]) -> Inputs:
    """These images as the members see them."""
    return Inputs.of([prepare(found[key][0], InputSpec(), SIDES.values()) for key in keys])


def on_validation(
    model: keras.Model, side: int, found: dict[str, tuple[bytes, int]], keys: list[str]
) -> dict[str, Any]:
    """What the trainer records of a member."""
    inputs = inputs_of(found, keys)
    batch = {"pixels": inputs.pixels[side][..., np.newaxis], "features": inputs.features}
    verdicts = model.predict_on_batch(batch).argmax(axis=1).astype(np.int32)
    truth = np.array([found[key][1] for key in keys], np.int32)
    return dataclasses.asdict(score_indices(truth, verdicts, LABELS).summary)


def member_entry(file: Path, architecture: str, side: int) -> dict[str, Any]:
    """A member as training.json names it."""
    return {
        "file": f"members/{file.name}",
        "sha256": sha256_hex(file.read_bytes()),
        "architecture": architecture,
        "side": side,
    }


def render_data(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Writes PER_CLASS images of each label; returns the bytes and class index of each by its key."""
    random = np.random.default_rng(7)
    found = {}
    for index, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        for number in range(PER_CLASS):
            data = cv2.imencode(".png", draw(label, random))[1].tobytes()
            (folder / label / f"{number:03d}.png").write_bytes(data)
            found[image_key(sha256_hex(data))] = (data, index)
    return found


def draw(label: str, random: np.random.Generator) -> NDArray[np.uint8]:
    """A dark shape on a light, noisy ground, 24 to 60 pixels wide."""
    size = int(random.integers(24, 61))
    image = np.full((size, size), 235, np.uint8)
    middle, reach = (size // 2, size // 2), int(size * random.uniform(0.25, 0.45))
    ink = int(random.integers(20, 120))
    if label == "rod":
        turn = random.uniform(0, np.pi)
        x, y = int(reach * np.cos(turn)), int(reach * np.sin(turn))
        ends = (middle[0] - x, middle[1] - y), (middle[0] + x, middle[1] + y)
        cv2.line(image, *ends, color=ink, thickness=3)
    else:
        cv2.circle(image, middle, reach, ink, thickness=-1 if label == "disc" else 3)
    return np.clip(image + random.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def residual(features: NDArray[np.float32]) -> keras.Model:
    """Strided stem, one residual block with a separable convolution; softmax inside the last dense layer."""
    pixels, raw, size = _inputs(SIDES["residual"], features)
    x = layers.Rescaling(1 / 255)(pixels)
    x = _convolution(x, 16, 3, 2, "stem")
    y = _convolution(x, 16, 3, 2, "a")
    y = layers.SeparableConv2D(16, 3, padding="same", use_bias=False, name="b")(y)
    y = layers.BatchNormalization(momentum=0.8)(y)
    skip = layers.Conv2D(16, 1, strides=2, use_bias=False, name="skip")(x)
    skip = layers.BatchNormalization(momentum=0.8)(skip)
    x = layers.ReLU()(layers.Add()([y, skip]))
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), size])
    scores = layers.Dense(len(LABELS), activation="softmax", name="scores")(x)
    return keras.Model([raw, pixels], scores, name="residual")  # the features first: the order is the trainer's choice


def simple(features: NDArray[np.float32]) -> keras.Model:
    """Convolutions and poolings on inverted pixels; logits, then a softmax of its own."""
    pixels, raw, size = _inputs(SIDES["simple"], features)
    x = layers.Rescaling(-1 / 255, offset=1.0)(pixels)
    for stage, width in enumerate((16, 16, 24)):
        x = layers.MaxPooling2D()(_convolution(x, width, 3, 1, f"stage{stage}"))
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), size])
    x = layers.Dropout(0.1)(x)
    scores = layers.Activation("softmax", name="scores")(layers.Dense(len(LABELS), name="logits")(x))
    return keras.Model([pixels, raw], scores, name="simple")


def _inputs(side: int, features: NDArray[np.float32]) -> tuple[Any, Any, Any]:
    pixels = keras.Input((side, side, 1), dtype="uint8", name="pixels")
    raw = keras.Input((len(FEATURES),), dtype="float32", name="features")
    scaled = layers.Normalization(mean=features.mean(axis=0), variance=features.var(axis=0) + 1e-6)(raw)
    return pixels, raw, layers.Dense(4, activation="relu", name="size")(scaled)


def _convolution(x: Any, width: int, size: int, stride: int, name: str) -> Any:
    x = layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False, name=name)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.8, name=f"{name}_norm")(x))
