"""Bundles and models that are wrong in one chosen way, with every hash right: altered from tests/data/tiny-3."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from bundle.manifest import MANIFEST, Manifest, format_manifest, parse_manifest
from bundle.whole import sha256_hex

TINY = Path(__file__).parents[1] / "data" / "tiny-3"
MEMBER = "members/01-tiny.tflite"

# The tensors of a tiny member, by index: 0 pixels, 1 features, 5 the scale of the pixels, 7 the scaled pixels, 8 their
# mean, 9 mean and features joined (the input of the dense layer), 10 logits, 11 scores.


def tiny_manifest() -> Manifest:
    return parse_manifest((TINY / MANIFEST).read_bytes(), MANIFEST)


def tiny_contents() -> dict[str, bytes]:
    return {entry.file: (TINY / entry.file).read_bytes() for entry in tiny_manifest().hashed_files()}


def altered_model(change: Callable[[Any, Any], None]) -> bytes:
    """The first tiny member after `change(model, graph)`."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs((TINY / MEMBER).read_bytes()))
    model.signatureDefs = []
    change(model, model.subgraphs[0])
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def with_contents(manifest: Manifest, contents: Mapping[str, bytes]) -> Manifest:
    """The manifest with the hashes of these contents."""

    def hashed(entry: Any) -> Any:
        return dataclasses.replace(entry, sha256=sha256_hex(contents[entry.file]))

    return dataclasses.replace(
        manifest,
        labels=hashed(manifest.labels),
        members=tuple(map(hashed, manifest.members)),
        records=tuple(map(hashed, manifest.records)),
    )


def write_raw(path: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> Path:
    """Writes a bundle folder file by file, whatever is in it."""
    for name, data in {**contents, MANIFEST: format_manifest(manifest)}.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return path


def copy_of_tiny(folder: Path) -> Path:
    return Path(shutil.copytree(TINY, folder / "tiny-3"))


def inputs_swapped(_model: Any, graph: Any) -> None:
    graph.inputs = graph.inputs[::-1]


def two_outputs(_model: Any, graph: Any) -> None:
    graph.outputs = [11, 10]


def output_of_pictures(_model: Any, graph: Any) -> None:
    graph.outputs = [7]


def float_pixels(_model: Any, graph: Any) -> None:
    graph.operators = graph.operators[1:]  # without the cast
    graph.inputs = [6, 1]


def oblong_pixels(_model: Any, graph: Any) -> None:
    for index in (0, 6, 7):
        graph.tensors[index].shape = [1, 16, 15, 1]
        graph.tensors[index].shapeSignature = [-1, 16, 15, 1]


def seven_features(_model: Any, graph: Any) -> None:
    graph.tensors[1].shape, graph.tensors[1].shapeSignature = [1, 7], [-1, 7]
    graph.operators[3].inputs = [8, 8, 1]


def one_image_only(model: Any, graph: Any) -> None:
    """A reshape to (1, 9) before the dense layer, as some exporters leave behind."""
    code = schema.OperatorCodeT()
    code.deprecatedBuiltinCode = code.builtinCode = schema.BuiltinOperator.RESHAPE
    model.operatorCodes.append(code)
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.name = [1, 9], schema.TensorType.FLOAT32, b"reshaped"
    graph.tensors.append(tensor)
    reshape = schema.OperatorT()
    reshape.opcodeIndex, reshape.inputs, reshape.outputs = len(model.operatorCodes) - 1, [9], [len(graph.tensors) - 1]
    reshape.builtinOptionsType, reshape.builtinOptions = schema.BuiltinOptions.ReshapeOptions, schema.ReshapeOptionsT()
    reshape.builtinOptions.newShape = [1, 9]
    graph.operators.insert(4, reshape)
    graph.operators[5].inputs = [len(graph.tensors) - 1, 3, 2]


def no_numbers(model: Any, graph: Any) -> None:
    model.buffers[graph.tensors[5].buffer].data = list(b"\x00\x00\xc0\x7f")  # the scale is NaN
