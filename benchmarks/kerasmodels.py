"""The ensemble before it was quantised, as a training script would run it: keras.Model.predict, in a process of its own."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadConfig
from bundle.manifest import Manifest
from bundle.preprocess import Inputs, Prepared
from quantize.score import keras_side

BATCH = 32  # images


def keras_files(folder: Path, manifest: Manifest) -> list[Path]:
    """The bundle's members as Keras files, in `folder` or its folder `members`. Raises BadConfig where one is missing."""
    if importlib.util.find_spec("tensorflow") is None:
        raise BadConfig("TensorFlow is not installed; run: pip install 'planktow[quantize]', or leave --keras out")
    files = []
    for member in manifest.members:
        name = f"{PurePosixPath(member.file).stem}.keras"
        file = next((file for file in (folder / name, folder / "members" / name) if file.is_file()), None)
        if file is None:
            raise BadConfig(f"{folder}: no {name}; give the folder that the bundle was made from, or leave --keras out")
        files.append(file)
    return files


class KerasModels:
    """A context manager around the process that holds the models. TensorFlow takes all cores as it likes."""

    def __init__(self, files: Sequence[Path], images: Sequence[Prepared]) -> None:
        self._files, self._images = list(files), images
        self._process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))

    def __enter__(self) -> KerasModels:
        self._process.submit(_load, self._files, Inputs.of(self._images)).result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.shutdown()

    def rate(self) -> float:
        """Images a second, one `predict` a model over all images, in batches of BATCH."""
        return len(self._images) / self._process.submit(_predict).result()


_models: list[tuple[Any, dict[str, NDArray[Any]]]] = []  # each with its inputs


def _load(files: Sequence[Path], inputs: Inputs) -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # read when it is imported
    import keras

    for file in files:
        model = keras.saving.load_model(file, compile=False, safe_mode=True)
        pixels = inputs.pixels[keras_side(model)][..., np.newaxis]
        _models.append((model, {"pixels": pixels, "features": inputs.features}))
    _predict()  # traces the graphs


def _predict() -> float:
    began = time.perf_counter()
    for model, inputs in _models:
        model.predict(inputs, batch_size=BATCH, verbose=0)
    return time.perf_counter() - began
