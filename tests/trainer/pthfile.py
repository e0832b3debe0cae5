"""Writes .pth files of the format before 1.6 opcode by opcode, as PyTorch wrote them, without PyTorch."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C


@dataclass(frozen=True)
class Global:
    """A name to import."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    """What a function gives for these arguments."""

    function: Global
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Storage:
    """The values of a tensor, kept outside the pickle."""

    kind: Global
    key: str
    length: int


def write_pth(path: Path, arrays: Mapping[str, Any], version: int = 1001) -> Path:
    """arrays: float32 or int64; anything else is pickled as it is."""
    stored = {f"{1000 + n}": a for n, a in enumerate(arrays.values()) if isinstance(a, np.ndarray)}
    keys = {id(array): key for key, array in stored.items()}
    tensors = {name: _tensor(v, keys[id(v)]) if isinstance(v, np.ndarray) else v for name, v in arrays.items()}
    with path.open("wb") as file:
        for value in (MAGIC, version, {"little_endian": True}, tensors, list(stored)):
            file.write(b"\x80\x02" + _opcodes(value) + b".")
        for array in stored.values():
            file.write(struct.pack("<q", array.size) + array.ravel("K").tobytes())  # a transposed array lies as it was
    return path


def _tensor(array: np.ndarray, key: str) -> Call:
    kind = Global("torch", "LongStorage" if array.dtype == np.int64 else "FloatStorage")
    strides = tuple(step // array.itemsize for step in array.strides)
    hooks = Call(Global("collections", "OrderedDict"), ())
    return Call(
        Global("torch._utils", "_rebuild_tensor_v2"),
        (Storage(kind, key, array.size), 0, array.shape, strides, False, hooks),
    )


def _opcodes(value: Any) -> bytes:
    match value:
        case None | bool():
            return {None: b"N", False: b"\x89", True: b"\x88"}[value]
        case int() if value.bit_length() < 32:
            return b"J" + struct.pack("<i", value)
        case int():
            return b"\x8a\x0a" + value.to_bytes(10, "little", signed=True)
        case str():
            return b"X" + struct.pack("<I", len(value)) + value.encode()
        case tuple():
            return b"(" + b"".join(map(_opcodes, value)) + b"t"
        case list():
            return b"](" + b"".join(map(_opcodes, value)) + b"e"
        case dict():
            return b"}(" + b"".join(_opcodes(part) for item in value.items() for part in item) + b"u"
        case Global():
            return f"c{value.module}\n{value.name}\n".encode()
        case Call():
            return _opcodes(value.function) + _opcodes(value.arguments) + b"R"
        case Storage():
            return _opcodes(("storage", value.kind, value.key, "cpu", value.length, None)) + b"Q"
    raise TypeError(type(value))
