"""What a .tflite file computes: its operators with the type and shape of each tensor, read from the file itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ai_edge_litert import schema_py_generated as schema

CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
INTEGERS = frozenset({"int8", "int16"})

# The tensor of a convolution is named for all that was folded into it: "net_1/stem_act_1/Relu;net_1/stem_conv_1/convolution".
_LAYER = re.compile(r"([^/;]+)/(?:convolution|depthwise|separable_conv2d|MatMul)\d*(?![^/;])")


@dataclass(frozen=True)
class Tensor:
    """One array of the graph; the first axis is the image."""

    name: str
    dtype: str  # "int8", "uint8", "float32" …
    shape: tuple[int, ...]
    buffer: int  # index of the buffer with its constant values; an empty one for what is computed
    scales: tuple[float, ...]  # of its integers, one or one for each channel; none for a float tensor


@dataclass(frozen=True)
class Operator:
    """One step of the graph; for a convolution the inputs are image, weights and bias."""

    name: str  # as TensorFlow Lite calls it: "CONV_2D", "FULLY_CONNECTED" …
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def operators(model: bytes) -> list[Operator]:
    """The operators of a model with one subgraph, in the order of execution."""
    root = schema.ModelT.InitFromPackedBuf(model)
    (graph,) = root.subgraphs
    tensors = [
        Tensor(
            tensor.name.decode(),
            _DTYPES[tensor.type].lower(),
            tuple(_list(tensor.shape)),
            tensor.buffer,
            _scales(tensor.quantization),
        )
        for tensor in graph.tensors
    ]
    codes = [_OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in root.operatorCodes]
    return [
        Operator(
            codes[operator.opcodeIndex],
            tuple(tensors[index] for index in _list(operator.inputs) if index >= 0),  # -1: an input left out
            tuple(tensors[index] for index in _list(operator.outputs)),
        )
        for operator in graph.operators
    ]


def convolutions(graph: Sequence[Operator]) -> list[Operator]:
    """Those of the graph that are convolutions."""
    return [operator for operator in graph if operator.name in CONVOLUTIONS]


def multiply_adds(graph: Sequence[Operator]) -> int:
    """Of one image, in convolutions and dense layers: nearly all that a network of ours computes."""
    return sum(prod(operator.outputs[0].shape[1:]) * _each(operator) for operator in graph)


def _each(operator: Operator) -> int:
    """Multiplications for one number of the output."""
    if operator.name not in CONVOLUTIONS | {"FULLY_CONNECTED"}:
        return 0
    weights = operator.inputs[
        1
    ].shape  # (out, rows, columns, in), (1, rows, columns, out) where depthwise, or (out, in)
    return prod(weights[1:-1] if operator.name == "DEPTHWISE_CONV_2D" else weights[1:])


def is_integer_convolution(operator: Operator) -> bool:
    """Whether int8 weights go in, and the image goes in and the result comes out as integers."""
    image, weights = operator.inputs[:2]
    return weights.dtype == "int8" and {image.dtype, *(tensor.dtype for tensor in operator.outputs)} <= INTEGERS


def is_per_channel(operator: Operator) -> bool:
    """Whether each output channel of an integer convolution has a scale of its own."""
    weights, channels = operator.inputs[1], operator.outputs[0].shape[-1]
    return len(weights.scales) == channels


def trunk(graph: Sequence[Operator]) -> set[str]:
    """The names of the tensors from the first convolution to the last that still has the axes of an image.

    Not the scaling of the pixels, the feature branch, nor the head from the pooling on.
    """
    inside: set[str] = set()
    for operator in graph:
        if operator.name in CONVOLUTIONS or any(tensor.name in inside for tensor in operator.inputs):
            inside.update(tensor.name for tensor in operator.outputs if len(tensor.shape) > 2)
    return inside


def layer_of(tensor: str) -> str:
    """The Keras layer behind the name of a convolution's or a dense layer's tensor; the name itself where none is known."""
    found = _LAYER.search(tensor)
    return found.group(1).removesuffix("_1") if found else tensor


def _list(values: Sequence[int] | None) -> list[int]:
    return [] if values is None else [int(value) for value in values]


def _scales(quantisation: Any) -> tuple[float, ...]:
    return () if quantisation is None or quantisation.scale is None else tuple(map(float, quantisation.scale))


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if not name.startswith("_")}


_DTYPES, _OPERATORS = _names(schema.TensorType), _names(schema.BuiltinOperator)
