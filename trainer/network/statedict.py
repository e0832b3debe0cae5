"""The arrays in a PyTorch .pth file of the format before 1.6, read without PyTorch and without running what is in it.

Five pickles, one after another: a magic number, a version, the writer's type sizes, the dictionary of tensors (which name
the storage that holds their values), the keys of the storages; then each storage: its length as int64, and its values.
"""

from __future__ import annotations

import math
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadData

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001

Arrays = dict[str, NDArray[Any]]


def read_state_dict(path: Path) -> Arrays:
    """The arrays in `path` by their names. Raises BadData for a file that is missing, cut short, or anything else."""
    try:
        with path.open("rb") as file:
            return _read(file, path.stat().st_size)
    except BadData:
        raise
    except Exception as error:  # a pickle that is none raises whatever its bytes happen to mean
        reason = str(error) or type(error).__name__
        raise BadData(f"{path}: not a PyTorch file of arrays in the format before 1.6 ({reason})") from None


@dataclass(frozen=True)
class _Storage:
    dtype: np.dtype[Any]
    key: str
    length: int  # values


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int  # values
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # values


class _Unpickler(pickle.Unpickler):
    """Knows five names and calls none but these, so a pickle cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which holds no array")
        return _KNOWN[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, length, view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise pickle.UnpicklingError("a storage of an unknown kind")
        return _Storage(dtype, key, length)


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _Tensor:
    last = offset + sum((count - 1) * stride for count, stride in zip(shape, strides, strict=True))
    inside = min((offset, *strides)) >= 0 and min(shape, default=1) >= 1 and last < storage.length
    if not inside or math.prod(shape) > storage.length:  # a stride of 0 could ask for any amount of memory
        raise pickle.UnpicklingError("a tensor that lies outside its storage")
    return _Tensor(storage, offset, shape, strides)


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "DoubleStorage"): np.dtype("<f8"),
    ("torch", "LongStorage"): np.dtype("<i8"),
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
}


def _read(file: BinaryIO, size: int) -> Arrays:
    if (magic := _Unpickler(file).load()) != MAGIC:
        raise ValueError(f"it begins with {magic!r:.40}")
    if (version := _Unpickler(file).load()) != VERSION:
        raise ValueError(f"version {version!r:.40}")
    _Unpickler(file).load()  # the writer's type sizes; the storages say their own
    tensors: dict[str, Any] = _Unpickler(file).load()
    if not isinstance(tensors, dict) or not all(isinstance(tensor, _Tensor) for tensor in tensors.values()):
        raise ValueError("it holds more than a dictionary of tensors")
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    values = {}
    for key in _Unpickler(file).load():
        storage = storages[key]
        (length,) = struct.unpack("<q", file.read(8))
        if length != storage.length or length * storage.dtype.itemsize > size - file.tell():
            raise ValueError("it is cut short")
        values[key] = np.frombuffer(file.read(length * storage.dtype.itemsize), storage.dtype)
    return {name: _array(tensor, values[tensor.storage.key]) for name, tensor in tensors.items()}


def _array(tensor: _Tensor, values: NDArray[Any]) -> NDArray[Any]:
    strides = [stride * values.itemsize for stride in tensor.strides]  # bytes; a transposed tensor lies as it was
    return np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides).copy()
