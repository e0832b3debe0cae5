"""A PyTorch file is read without PyTorch, and nothing in it is run."""

from pathlib import Path

import numpy as np
import pytest

from bundle.errors import BadData
from trainer.network.statedict import read_state_dict

from .pthfile import MAGIC, Call, Global, Storage, write_pth

FLOATS = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
REBUILD = Global("torch._utils", "_rebuild_tensor_v2")


def float_storage(length: int) -> Storage:
    return Storage(Global("torch", "FloatStorage"), "1000", length)


def test_arrays_come_back_by_name_with_type_shape_and_values(tmp_path: Path):
    arrays = {"a.weight": FLOATS, "a.counted": np.array(7, np.int64), "b": FLOATS[0, 0].copy()}
    found = read_state_dict(write_pth(tmp_path / "m.pth", arrays))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_a_tensor_that_was_saved_transposed_is_read_transposed(tmp_path: Path):
    turned = FLOATS.transpose(2, 0, 1)
    np.testing.assert_array_equal(read_state_dict(write_pth(tmp_path / "m.pth", {"a": turned}))["a"], turned)


def test_a_file_that_asks_for_code_is_refused_and_the_code_not_run(tmp_path: Path):
    trace = tmp_path / "trace"
    path = write_pth(tmp_path / "m.pth", {"a": Call(Global("os", "mkdir"), (str(trace),))})
    with pytest.raises(BadData, match=r"m\.pth: .*it asks for os\.mkdir, which holds no array"):
        read_state_dict(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((2, 3), (3, 1), 1),  # one past the end
        ((7,), (1,), 0),
        ((2,), (-1,), 1),
        ((2,), (1,), -1),
        ((-2, 3), (3, 1), 0),
        ((10**12,), (0,), 0),  # one value repeated, four terabytes of it
        ((2, 3), (1,), 0),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(tmp_path: Path, shape, strides, offset):
    values = FLOATS.ravel()[:6].copy()
    tensor = Call(REBUILD, (float_storage(6), offset, shape, strides, False, None))
    with pytest.raises(BadData, match=r"m\.pth: not a PyTorch file of arrays"):
        read_state_dict(write_pth(tmp_path / "m.pth", {"whole": values, "part": tensor}))


def test_a_file_that_is_cut_short_is_refused_wherever_the_cut_is(tmp_path: Path):
    path = write_pth(tmp_path / "m.pth", {"a": FLOATS})
    whole = path.read_bytes()
    for kept in range(len(whole)):
        path.write_bytes(whole[:kept])
        with pytest.raises(BadData, match=r"m\.pth: not a PyTorch file of arrays in the format before 1\.6 \("):
            read_state_dict(path)


def test_any_other_file_is_refused(tmp_path: Path):
    path = tmp_path / "m.pth"
    for content in (
        b"PK\x03\x04 a newer PyTorch writes zip files",
        b"text\n",
        MAGIC.to_bytes(10, "little"),
        b"\x80\x02K\x07.",
    ):
        path.write_bytes(content)
        with pytest.raises(BadData, match=r"m\.pth: not a PyTorch file of arrays"):
            read_state_dict(path)
    with pytest.raises(BadData, match=r"version 1002"):
        read_state_dict(write_pth(path, {}, version=1002))
    with pytest.raises(BadData, match="more than a dictionary of tensors"):
        read_state_dict(write_pth(path, {"epoch": 3}))
    with pytest.raises(BadData, match=r"none\.pth: .*No such file"):
        read_state_dict(tmp_path / "none.pth")
