import numpy as np
import pytest

from bundle.errors import BadData
from quantize.worker import Job, run_worker, write_images


def images(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((count, 32, 32), np.uint8), np.zeros((count, 8), np.float32)


def test_a_member_that_cannot_be_loaded_is_refused_in_one_line_and_not_with_the_result_of_the_one_before(tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"of the member before")
    (tmp_path / "refusal.txt").write_text("of the member before")
    write_images(tmp_path, images(1), images(2))
    member = tmp_path / "01-a.keras"
    member.write_bytes(b"not a model")
    with pytest.raises(BadData) as refused:
        run_worker(tmp_path, Job(str(member), "int8", class_count=3))
    assert str(refused.value).startswith(f"{member}: Keras cannot load this model (")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "model.tflite").exists()


def test_a_fault_of_our_own_is_not_a_refusal_and_shows_what_the_worker_said(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)the converter of 01-a\.keras ended with 1; .*images\.npz"):
        run_worker(tmp_path, Job("01-a.keras", "int8", class_count=3))
