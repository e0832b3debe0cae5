"""What a .tflite file computes: its operators with the type and shape of each tensor, read from the file itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})


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


def is_integer_convolution(operator: Operator) -> bool:
    """Whether image and weights go in, and the result comes out, as int8."""
    return {tensor.dtype for tensor in (*operator.inputs[:2], *operator.outputs)} == {"int8"}


def _list(values: Sequence[int] | None) -> list[int]:
    return [] if values is None else [int(value) for value in values]


def _scales(quantisation: Any) -> tuple[float, ...]:
    return () if quantisation is None or quantisation.scale is None else tuple(map(float, quantisation.scale))


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if not name.startswith("_")}


_DTYPES, _OPERATORS = _names(schema.TensorType), _names(schema.BuiltinOperator)
