"""Keeps the float32 weights of a model's dense layers in 16 bits, so that three members and more fit where two would.

The model expands them itself, so the head computes in float32 as before. A kernel's numbers lie within a few powers of ten
and 16 bits hold eleven binary digits of each: the scores move by less than 0.001.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

ALIGNMENT = 16  # bytes, of each buffer in a model file: what the runtimes map, they read without a copy
LEAST = 1024  # weights, below which a layer is left: nothing would be gained


def halve_dense(model: bytes) -> bytes:
    """The same graph, the constant float32 weights of its dense layers stored as float16; a model without any as it was."""
    root = schema.ModelT.InitFromPackedBuf(model)
    (graph,) = root.subgraphs
    dense = {index for index, code in enumerate(root.operatorCodes) if code.builtinCode == _FULLY_CONNECTED}
    halved = [each for each in graph.operators if each.opcodeIndex in dense and _halve(root, graph, each.inputs[1])]
    if not halved:
        return model
    code = _code_of_dequantize(root)
    for operator in halved:
        full = operator.inputs[1]
        expand = schema.OperatorT()
        expand.opcodeIndex, expand.inputs, expand.outputs = code, [len(graph.tensors)], [full]
        graph.tensors.append(_half_of(graph.tensors[full]))
        graph.tensors[full].buffer = 0  # computed from now on
        graph.operators.insert(graph.operators.index(operator), expand)
    return _packed(root)


def _halve(root: Any, graph: Any, index: int) -> bool:
    """Whether tensor `index` had float32 weights; its buffer then has them in 16 bits."""
    tensor = graph.tensors[index]
    buffer = root.buffers[tensor.buffer]
    if tensor.type != schema.TensorType.FLOAT32 or buffer.data is None or len(buffer.data) < 4 * LEAST:
        return False
    weights = np.frombuffer(bytes(buffer.data), "<f4")
    buffer.data = np.frombuffer(weights.astype("<f2").tobytes(), np.uint8)
    return True


def _half_of(tensor: Any) -> Any:
    half = schema.TensorT()
    half.name, half.shape, half.buffer = tensor.name + b"_half", tensor.shape, tensor.buffer
    half.type, half.hasRank = schema.TensorType.FLOAT16, tensor.hasRank
    return half


def _code_of_dequantize(root: Any) -> int:
    """The index of the operator's code, in a version that knows float16."""
    for index, code in enumerate(root.operatorCodes):
        if code.builtinCode == _DEQUANTIZE:
            code.version = max(code.version, _VERSION_OF_FLOAT16)
            return index
    added = schema.OperatorCodeT()
    added.deprecatedBuiltinCode = added.builtinCode = _DEQUANTIZE
    added.version = _VERSION_OF_FLOAT16
    root.operatorCodes.append(added)
    return len(root.operatorCodes) - 1


def _packed(root: Any) -> bytes:
    root.buffers = [_Aligned(buffer.data) for buffer in root.buffers]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Aligned(schema.BufferT):  # type: ignore[misc]
    """A buffer that stands at a multiple of ALIGNMENT: the generated packing knows no alignment."""

    def __init__(self, data: Any) -> None:
        super().__init__()
        self.data = data

    def Pack(self, builder: Any) -> int:  # noqa: N802 (the name is the generated code's)
        where = None
        if self.data is not None and len(self.data):
            raw = np.asarray(self.data, np.uint8).tobytes()
            builder.StartVector(1, len(raw), ALIGNMENT)
            builder.head -= len(raw)
            builder.Bytes[builder.head : builder.head + len(raw)] = raw
            where = builder.EndVector()
        schema.BufferStart(builder)
        if where is not None:
            schema.BufferAddData(builder, where)
        return int(schema.BufferEnd(builder))


_FULLY_CONNECTED = schema.BuiltinOperator.FULLY_CONNECTED
_DEQUANTIZE = schema.BuiltinOperator.DEQUANTIZE
_VERSION_OF_FLOAT16 = 3
