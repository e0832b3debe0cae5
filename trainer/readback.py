"""A member's weights read back from the .tflite file that ships, so that training goes on where only the bundle is left.

A shipped convolution has its batch norm folded in, and training needs the norm: it is made anew around the same function. In
int8 the weights are those that ship, rounded: a member so read back answers as its int8 file does, to within rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from bundle.errors import BadConfig
from bundle.graph import CONVOLUTIONS, Operator, Tensor, layer_of, operators
from trainer.network.native import without_gradients

Arrays = list[NDArray[np.float32]]
Inputs = dict[str, NDArray[Any]]  # pixels (B, S, S, 1) uint8 and features (B, F)

_DTYPES = {"int8": "<i1", "int32": "<i4", "int64": "<i8", "float16": "<f2", "float32": "<f4"}


class _Folded(NamedTuple):
    """A convolution with its norm in it."""

    kernel: NDArray[np.float32]  # as Keras has it
    bias: NDArray[np.float32]  # (channels,)


class _Pair(NamedTuple):
    """A convolution of the network that is to learn, and its norm."""

    convolution: keras.layers.Layer
    norm: keras.layers.BatchNormalization


def read_back(path: Path, like: keras.Model, inputs: Iterable[Inputs]) -> dict[str, Arrays]:
    """The weights of the layers of `like` by name, as the .tflite file `path` has them; a layer it does not have is left out.

    like: a network in Keras' own layers and float32, whose convolutions are written to. inputs: batches on which the norms
    are estimated. The convolutions are taken all or none. Raises BadConfig for a file that is no TFLite model.
    """
    try:
        graph = operators(model := path.read_bytes())
    except Exception as error:  # the generated reader walks whatever offsets the bytes spell
        raise BadConfig(f"{path}: start_from is not a TFLite model ({type(error).__name__}: {error})") from None
    read = _Constants(model, graph)
    learnt = {layer_of(each.inputs[1].name): _dense(each, read) for each in graph if each.name == "FULLY_CONNECTED"}
    folded = {
        layer_of(operator.outputs[0].name): _folded(operator, read)
        for operator in graph
        if operator.name in CONVOLUTIONS and len(operator.inputs) == 3
    }
    body = _body(like)
    if pairs := _pairs(body, folded):
        _unfold(like, body, pairs, folded, inputs)
        taken = [body] if body is not like else [layer for pair in pairs for layer in pair]
        learnt |= {layer.name: layer.get_weights() for layer in taken}
    return learnt


class _Constants:
    """The numbers that stand in a model file."""

    def __init__(self, model: bytes, graph: Sequence[Operator]) -> None:
        self._root = schema.Model.GetRootAs(model, 0)
        # Weights kept in 16 bits: what the operator reads is computed from them.
        self._kept = {each.outputs[0].name: each.inputs[0] for each in graph if each.name == "DEQUANTIZE"}

    def __call__(self, tensor: Tensor) -> NDArray[np.float32]:
        """The real numbers, the scale of the last axis or of the first taken in."""
        kept = self._kept.get(tensor.name, tensor)
        values = self._root.Buffers(kept.buffer).DataAsNumpy().view(_DTYPES[kept.dtype]).reshape(kept.shape)
        if not kept.scales:
            return values.astype(np.float32)
        scales = np.array(kept.scales)
        if values.ndim > 1 and len(scales) == values.shape[0]:
            scales = scales.reshape(-1, *[1] * (values.ndim - 1))
        return (values * scales).astype(np.float32)


def _dense(operator: Operator, read: _Constants) -> Arrays:
    kernel = read(operator.inputs[1]).T
    # The converter leaves a bias out where all of it is zero.
    return [kernel, read(operator.inputs[2]) if len(operator.inputs) > 2 else np.zeros(kernel.shape[1], np.float32)]


def _folded(operator: Operator, read: _Constants) -> _Folded:
    kernel, bias = read(operator.inputs[1]), read(operator.inputs[2])
    # From (out, rows, columns, in), or (1, rows, columns, channels) where depthwise.
    return _Folded(kernel.transpose(1, 2, 3, 0), bias)


def _body(like: keras.Model) -> keras.Model:
    """Where the convolutions are: in the backbone, or in the network itself."""
    return next((layer for layer in like.layers if isinstance(layer, keras.Model)), like)


def _pairs(body: keras.Model, folded: dict[str, _Folded]) -> list[_Pair]:
    """Each convolution with its norm; none at all unless the file has every one in its shape."""
    layers = {layer.name: layer for layer in body.layers}
    pairs = []
    for layer in body.layers:
        if not isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            continue
        offered, norm = folded.get(layer.name), layers.get(layer.name.removesuffix("_conv") + "_norm")
        if offered is None or norm is None or [offered.kernel.shape] != [each.shape for each in layer.get_weights()]:
            return []
        pairs.append(_Pair(layer, norm))
    return pairs


def _unfold(
    like: keras.Model, body: keras.Model, pairs: list[_Pair], folded: dict[str, _Folded], inputs: Iterable[Inputs]
) -> None:
    """Gives each convolution its kernel and each norm the statistics of what comes out of it, so that the two together
    compute what the folded one did: looked at alone, and in training, where a norm has only its batch.

    A kernel takes the length that a fresh one has: under a norm the length means nothing but how fast it learns.
    """
    lengths = []
    for convolution, norm in pairs:
        kernel, bias = folded[convolution.name]
        fresh = _lengths(convolution, convolution.get_weights()[0]).mean()
        have = _lengths(convolution, kernel)
        longer = np.where(have > 0, fresh / np.maximum(have, 1e-12), 1).astype(np.float32)
        convolution.set_weights([_scaled(convolution, kernel, longer)])
        still = np.zeros_like(bias), np.full_like(bias, 1 - norm.epsilon)
        norm.set_weights([1 / longer, bias, *still])
        lengths.append(longer)
    for (convolution, norm), longer, (mean, variance) in zip(
        pairs, lengths, _moments(like, body, pairs, inputs), strict=True
    ):
        bias = folded[convolution.name].bias
        norm.set_weights([np.sqrt(variance + norm.epsilon) / longer, bias + mean / longer, mean, variance])


def _lengths(convolution: keras.layers.Layer, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """(channels,) the Euclidean length of each output channel's kernel."""
    rows = kernel[..., 0] if isinstance(convolution, keras.layers.DepthwiseConv2D) else kernel
    return np.sqrt((rows.reshape(-1, rows.shape[-1]) ** 2).sum(axis=0))


def _scaled(
    convolution: keras.layers.Layer, kernel: NDArray[np.float32], by: NDArray[np.float32]
) -> NDArray[np.float32]:
    return kernel * (by[:, np.newaxis] if isinstance(convolution, keras.layers.DepthwiseConv2D) else by)


def _moments(
    like: keras.Model, body: keras.Model, pairs: list[_Pair], inputs: Iterable[Inputs]
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Mean and variance, (channels,), of what each norm is given, over images and positions."""
    given = [norm.input for _, norm in pairs]
    (pixels,) = [tensor for tensor in like.inputs if tensor.name == "pixels"]
    seen, of = (like.get_layer("ink"), body.inputs) if body is not like else (lambda grey: grey, [pixels])
    probe = keras.Model(of, given)
    totals = [np.zeros((3, tensor.shape[-1])) for tensor in given]  # how many, their sum, their squares' sum
    for batch in inputs:
        with without_gradients():
            came = probe([seen(batch["pixels"])], training=False)
        for total, values in zip(totals, came, strict=True):
            numbers = keras.ops.convert_to_numpy(values).reshape(-1, total.shape[1])
            total += [
                np.full(total.shape[1], len(numbers)),
                numbers.sum(axis=0),
                np.einsum("nc,nc->c", numbers, numbers),
            ]
    return [
        ((total / count).astype(np.float32), np.maximum(squares / count - (total / count) ** 2, 0).astype(np.float32))
        for count, total, squares in totals
    ]
