"""EfficientNet-Lite with ImageNet weights: converted once from the PyTorch file that carries them, then kept as a .npz."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadConfig, BadData
from bundle.whole import json_bytes, sha256_hex, write_whole_with
from bundle.writing import writing_to
from trainer.network.efficientnet_lite import SCALES, blocks, efficientnet_lite
from trainer.network.grey import add_constant, fold_grey
from trainer.network.statedict import read_state_dict

# These networks were trained on (x - 127) / 128 of each channel, x from 0 to 255. With x = 255 - 256 ink that is 1 - 2 ink.
WHITE, SLOPE = np.full(3, 1.0), np.full(3, -2.0)

Weights = dict[str, NDArray[np.float32]]  # "layer/variable" as Keras names them


def convert_weights(source: Path, architecture: str, out: Path) -> int:
    """Writes the weights in the .pth file `source` to the .npz file `out`; returns how many numbers they are.

    Without the last layer, whose classes are ImageNet's. Raises BadConfig for an architecture that is none of ours, BadData
    for a file that is not of this one and for a disk that is full.
    """
    if architecture not in SCALES:
        raise BadConfig(f"architecture '{architecture}' has no weights to convert; known: {', '.join(SCALES)}")
    arrays = read_state_dict(source)
    weights = {}
    for name, offered, shape in _layout(architecture):
        values = arrays.get(offered)
        if values is None:
            raise BadData(f"{source}: has no '{offered}', so it is not {architecture}")
        values = _as_keras_has_it(name, values)
        if values.shape != shape or values.dtype != np.float32 or not np.isfinite(values).all():
            raise BadData(
                f"{source}: '{offered}' is {values.dtype} {values.shape}; {architecture} needs finite float32 {shape}"
            )
        weights[name] = values
    notes = {"architecture": architecture, "source": source.name, "sha256": sha256_hex(source.read_bytes())}
    described = np.frombuffer(json_bytes(notes), np.uint8)
    with writing_to(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole_with(out, lambda file: np.savez(file, allow_pickle=False, notes=described, **weights))
    return sum(values.size for values in weights.values())


def read_weights(path: Path, architecture: str) -> Weights:
    """The converted weights in `path`. Raises BadConfig for a file that is missing, damaged or of another architecture."""
    remedy = "make it with planktow-trainer convert-weights (docs/training.md), or take the line out"
    if not path.is_file():
        raise BadConfig(f"{path}: weights names no file; {remedy}")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            found = json.loads(saved["notes"].tobytes())["architecture"]
            weights = {name: saved[name] for name in saved.files if name != "notes"}
    except (ValueError, OSError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise BadConfig(f"{path}: not a file of converted weights ({error}); {remedy}") from None
    if found != architecture:
        raise BadConfig(f"{path}: these are the weights of {found}, and the architecture is {architecture}")
    return weights


def lite_backbone(architecture: str, side: int, weights: Path | None) -> keras.Model:
    """The network from ink (B, S, S, 1) to the last feature map (B, S / 32, S / 32, 1280).

    weights: the converted file, folded for grey; None: random. Raises what `read_weights` raises.
    """
    ink = keras.Input((side, side, 1), name="ink")
    model = keras.Model(ink, efficientnet_lite(ink, architecture), name="backbone")
    if weights is None:
        return model
    colour = read_weights(weights, architecture)
    kernel, constant = fold_grey(colour["stem_conv/kernel"], WHITE, SLOPE)
    for layer in model.layers:
        layer.set_weights([kernel if v.path == "stem_conv/kernel" else colour[v.path] for v in layer.weights])
    add_constant(model, model.get_layer("stem_conv"), constant)
    return model


def _layout(architecture: str) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """For each variable its name in Keras, its name in the PyTorch file, and its shape in Keras, for colour images."""
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, efficientnet_lite(image, architecture))
    theirs = dict(_names(architecture))
    for layer in model.layers:
        for variable in layer.weights:
            yield variable.path, f"{theirs[layer.name]}.{_VARIABLES[variable.name]}", tuple(variable.shape)


_VARIABLES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _names(architecture: str) -> Iterator[tuple[str, str]]:
    """The names of our layers with weights, and those of the same layers in the PyTorch file."""
    yield from (("stem_conv", "_conv_stem"), ("stem_norm", "_bn0"), ("top_conv", "_conv_head"), ("top_norm", "_bn1"))
    for index, block in enumerate(blocks(architecture)):
        for part, norm in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
            yield f"{block.name}_{part}_conv", f"_blocks.{index}._{part}_conv"
            yield f"{block.name}_{part}_norm", f"_blocks.{index}.{norm}"


def _as_keras_has_it(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """A kernel in Keras' order of axes: (k, k, in, out), and (k, k, channels, 1) for a depthwise one."""
    if values.ndim != 4:
        return values
    return values.transpose((2, 3, 0, 1) if name.endswith("_depthwise_conv/kernel") else (2, 3, 1, 0))
