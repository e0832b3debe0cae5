"""From a Keras model to the bytes of a .tflite file: integer convolutions and a float head, or all in float32.

`docs/decisions/0004-int8-with-a-float-head.md` says why the head stays in float and why in this way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from bundle.errors import BadData
from quantize.config import Scheme
from quantize.correct import correct_biases
from quantize.graph import CONVOLUTIONS, Operator, is_integer_convolution, operators


def load_member(file: Path, side: int, feature_count: int, class_count: int) -> keras.Model:
    """The Keras model in `file`, if it takes and gives what the training record says. Raises BadData.

    inputs: `pixels` uint8 (B, S, S, 1) and `features` float32 (B, F); output: scores (B, C).
    """
    try:
        model = keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever the part that met the fault raises: zip, HDF5, JSON, its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadData(f"{file}: Keras cannot load this model ({reason}); train the member anew") from None
    found = {tensor.name: (tensor.dtype, tuple(tensor.shape)) for tensor in model.inputs}
    wanted = {"pixels": ("uint8", (None, side, side, 1)), "features": ("float32", (None, feature_count))}
    if found != wanted:
        raise BadData(f"{file}: the inputs are {_spelled(found)}; expected {_spelled(wanted)}; train the member anew")
    shapes = [tuple(tensor.shape) for tensor in model.outputs]
    if shapes != [(None, class_count)]:
        raise BadData(
            f"{file}: the output is {', '.join(map(str, shapes))}, but training.json has {class_count} labels; train the "
            "member anew"
        )
    inexact = sorted({layer.compute_dtype for layer in model.layers if layer.weights} - {"float32"})
    if inexact:
        raise BadData(f"{file}: computes in {', '.join(inexact)}; save the member with the dtype policy float32")
    return model


def convert(
    model: keras.Model, scheme: Scheme, pixels: NDArray[np.uint8], features: NDArray[np.float32], where: str
) -> bytes:
    """The .tflite bytes of `model`; pixels (M, S, S) and features (M, F) are the representative images.

    Raises BadData, beginning with `where`, if a convolution could not be made integer.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if scheme == "float32":
        return bytes(converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _samples(pixels, features)
    calibrated, quantised = _int8_with_float_head(converter, where)
    return correct_biases(quantised, calibrated, pixels, features)


def _int8_with_float_head(converter: Any, where: str) -> tuple[bytes, bytes]:
    """The float graph, and the same in integers from the first convolution to the last tensor with the axes of an image.

    The debugger is TensorFlow's public door to quantising a graph in part: it calibrates once, shows the calibrated
    graph, and takes the names of the tensors to leave alone.
    """
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter)
    debugger.options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_nodes=_left_in_float(operators(debugger.calibrated_model))
    )
    model = bytes(debugger.get_nondebug_quantized_model())
    for operator in operators(model):
        if operator.name in CONVOLUTIONS and not is_integer_convolution(operator):
            raise BadData(
                f"{where}: the convolution '{operator.outputs[0].name}' could not be made integer; use plain convolutions, "
                "or scheme = 'float32'"
            )
    return bytes(debugger.calibrated_model), model


def _left_in_float(graph: Sequence[Operator]) -> list[str]:
    """The names of the tensors outside the trunk: the scaling of the pixels, the feature branch, and the head.

    The scaling of the pixels must be exact. In integers it gave white a value of 1/255 instead of 0; on images that are
    mostly background that moved every activation after it: a residual network agreed with its original in 25 % of images,
    and in 87 % with an exact scaling.
    """
    trunk: set[str] = set()
    outside = []
    for operator in graph:
        within = operator.name in CONVOLUTIONS or any(tensor.name in trunk for tensor in operator.inputs)
        for tensor in operator.outputs:
            if within and len(tensor.shape) > 2:
                trunk.add(tensor.name)
            else:
                outside.append(tensor.name)
    return outside


def _samples(pixels: NDArray[np.uint8], features: NDArray[np.float32]) -> Iterator[dict[str, NDArray[Any]]]:
    """One image at a time: the calibrator resizes one input after the other and trips over the first odd batch.

    By name: the order of the inputs is the trainer's choice, and conversion may change it.
    """
    for image in range(len(pixels)):
        yield {"pixels": pixels[image : image + 1, ..., np.newaxis], "features": features[image : image + 1]}


def _spelled(inputs: dict[str, tuple[str, tuple[int | None, ...]]]) -> str:
    return ", ".join(f"{name} {dtype} {shape}" for name, (dtype, shape) in sorted(inputs.items()))
