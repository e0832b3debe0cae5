"""From a Keras model to the bytes of a .tflite file, in each of the schemes.

`docs/decisions/0004-int8-with-a-float-head.md` says why the head of int8 stays in float and why in this way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from bundle.errors import BadData
from bundle.graph import convolutions, is_integer_convolution, is_per_channel, layer_of, operators, trunk
from bundle.manifest import Scheme
from quantize.correct import correct_biases
from quantize.halve import halve_dense

T = TypeVar("T")

# Where the converter met an operation that TFLite has no operator for: its layer and its name.
_LACKING = re.compile(r"\"([^\"@]+)@__inference[^\"]*\"\][^\n]*?'tf\.(\w+)' op is neither a custom op nor a flex op")


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


class Converter:
    """Makes the .tflite bytes of one Keras model. Raises BadData for what TFLite lacks or cannot make integer."""

    def __init__(
        self, model: keras.Model, pixels: NDArray[np.uint8], features: NDArray[np.float32], where: str
    ) -> None:
        """pixels (M, S, S) and features (M, F) are the representative images; `where` begins each error message."""
        self._model, self._pixels, self._features, self._where = model, pixels, features, where

    def convert(self, scheme: Scheme) -> bytes:
        """The model in `scheme`."""
        if scheme == "int8":
            return self.int8()
        tflite = self._use(lambda converter: bytes(_with(converter, scheme, self._samples).convert()))
        if scheme == "int16x8":
            _require_integers(tflite, frozenset(), self._where)
        return tflite

    def int8(self, in_float: Set[str] = frozenset()) -> bytes:
        """Integers from the first convolution to the last tensor with the axes of an image; the rest computes in float32.

        in_float: tensors of the trunk (names as in `calibrated`) that stay in float32 too.
        """
        quantised = self.uncorrected(in_float)
        return halve_dense(correct_biases(quantised, self.calibrated, self._pixels, self._features))

    def uncorrected(self, in_float: Set[str]) -> bytes:
        """As `int8`, before the biases are corrected.

        The scaling of the pixels must be exact. In integers it gave white a value of 1/255 instead of 0; on images that are
        mostly background that moved every activation after it: a residual network agreed with its original in 25 % of
        images, and in 87 % with an exact scaling.
        """
        graph = operators(self.calibrated)
        left = {tensor.name for operator in graph for tensor in operator.outputs} - (trunk(graph) - in_float)
        self._debugger.options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=sorted(left))
        quantised = bytes(self._debugger.get_nondebug_quantized_model())
        _require_integers(quantised, in_float, self._where)
        return quantised

    @property
    def calibrated(self) -> bytes:
        """The graph in float32, batch normalisation folded, with the range of each activation."""
        return bytes(self._debugger.calibrated_model)

    @cached_property
    def _debugger(self) -> Any:
        """TensorFlow's public door to quantising a graph in part: it calibrates once, and takes the tensors to leave alone."""
        return self._use(
            lambda converter: tf.lite.experimental.QuantizationDebugger(
                converter=_with(converter, "int8", self._samples)
            )
        )

    def _use(self, how: Callable[[Any], T]) -> T:
        try:
            return how(tf.lite.TFLiteConverter.from_keras_model(self._model))
        except Exception as error:  # the converter's own class cannot be imported by a public name
            lacking = dict.fromkeys(_LACKING.findall(str(error)))
            if not lacking:
                raise
            told = ", ".join(f"{operation} (in {_layer(path)})" for path, operation in lacking)
            raise BadData(
                f"{self._where}: TFLite has no operator for {told}; build the network without it, train the member anew"
            ) from None

    def _samples(self) -> Iterator[dict[str, NDArray[Any]]]:
        """One image at a time: the calibrator resizes one input after the other and trips over the first odd batch.

        By name: the order of the inputs is the trainer's choice, and conversion may change it.
        """
        for image in range(len(self._pixels)):
            yield {
                "pixels": self._pixels[image : image + 1, ..., np.newaxis],
                "features": self._features[image : image + 1],
            }


def _with(converter: Any, scheme: Scheme, samples: Callable[[], Iterator[dict[str, NDArray[Any]]]]) -> Any:
    """The converter, set to make `scheme`."""
    if scheme != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if scheme == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if scheme in ("int8", "int16x8"):
        converter.representative_dataset = samples
    if scheme == "int16x8":  # TFLITE_BUILTINS: the cast of the pixels to float has no 16-bit form
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
            tf.lite.OpsSet.TFLITE_BUILTINS,
        ]
    return converter


def _require_integers(model: bytes, in_float: Set[str], where: str) -> None:
    for operator in convolutions(operators(model)):
        name = operator.outputs[0].name
        if name in in_float:
            continue
        if not is_integer_convolution(operator):
            raise BadData(
                f"{where}: the convolution '{layer_of(name)}' could not be made integer; use plain convolutions, or "
                "scheme = 'float32'"
            )
        if not is_per_channel(operator):
            raise BadData(f"{where}: the convolution '{layer_of(name)}' has one scale for all channels; use float32")


def _layer(path: str) -> str:
    """The layer in a path such as net_1/odd_1/Erf, or the operation itself where it is a layer of its own."""
    parts = path.split("/")
    return parts[-2].removesuffix("_1") if len(parts) > 2 else parts[-1]


def _spelled(inputs: dict[str, tuple[str, tuple[int | None, ...]]]) -> str:
    return ", ".join(f"{name} {dtype} {shape}" for name, (dtype, shape) in sorted(inputs.items()))
