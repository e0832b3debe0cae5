"""Begins a member with what another has learnt: the way to a classifier from a hundred images instead of ten thousand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import keras

from bundle.errors import BadConfig
from trainer.readback import Arrays, Inputs, read_back


def start_from(
    model: keras.Model, path: Path, plain: Callable[[], keras.Model], inputs: Iterable[Inputs]
) -> tuple[int, int]:
    """Copies into `model` the weights of every layer that has the same name and shapes in the file `path`: a member as it was
    trained (.keras) or as it ships (.tflite).

    plain: makes a network as `model` in Keras' layers and float32, and inputs are batches of its training: for a .tflite
    file. Returns how many layers were taken, and of how many that have weights. The last layer of other classes keeps its
    random start. Raises BadConfig for a file that is missing, neither model, or has nothing in common with `model`.
    """
    if not path.is_file():
        raise BadConfig(f"{path}: start_from names no file; train that member first or take the line out")
    learnt = read_back(path, plain(), inputs) if path.suffix == ".tflite" else _saved(path)
    weighted = [layer for layer in model.layers if layer.get_weights()]
    taken = 0
    for layer in weighted:
        offered = learnt.get(layer.name, [])
        if [weight.shape for weight in offered] == [weight.shape for weight in layer.get_weights()]:
            layer.set_weights(offered)
            taken += 1
    if not taken:
        raise BadConfig(
            f"{path}: start_from has no layer in common with this member; use the same architecture and widths"
        )
    return taken, len(weighted)


def _saved(path: Path) -> dict[str, Arrays]:
    try:
        source = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise BadConfig(f"{path}: start_from is not a Keras model ({error})") from None
    return {layer.name: layer.get_weights() for layer in source.layers}
