from pathlib import Path

import numpy as np
import pytest

from bundle.errors import BadData
from bundle.preprocess import Inputs
from quantize.config import Settings
from quantize.images import Labelled
from quantize.worker import HELD_OUT, REPRESENTATIVE, Job, pixels_file, run_worker, write_images


def lay_out(folder: Path, which: str, count: int) -> None:
    pixels = np.zeros((count, 32, 32), np.uint8)
    np.save(pixels_file(folder, which, 32), pixels)
    inputs = Inputs({32: pixels}, np.zeros((count, 8), np.float32))
    write_images(folder, which, Labelled(np.zeros(count, np.int32), inputs))


def job(member: Path) -> Job:
    return Job(str(member), "01-a", 32, ("a", "b", "c"), 1, Settings())


def test_the_scheme_that_ships_comes_before_those_to_compare_and_each_stands_once():
    settings = Settings(scheme="float16", compare=("int8", "float16", "float32"))
    assert Job("x", "01-a", 32, ("a", "b"), 1, settings).schemes == ("float16", "int8", "float32")


def test_a_member_that_cannot_be_loaded_is_refused_in_one_line(tmp_path):
    lay_out(tmp_path, REPRESENTATIVE, 1)
    lay_out(tmp_path, HELD_OUT, 2)
    member = tmp_path / "01-a.keras"
    member.write_bytes(b"not a model")
    (tmp_path / "01-a").mkdir()
    with pytest.raises(BadData) as refused:
        run_worker(tmp_path, tmp_path / "01-a", job(member), print)
    assert str(refused.value).startswith(f"{member}: Keras cannot load this model (")
    assert "\n" not in str(refused.value)


def test_a_fault_of_our_own_is_not_a_refusal_and_shows_what_the_worker_said(tmp_path):
    (tmp_path / "01-a").mkdir()
    lay_out(tmp_path, REPRESENTATIVE, 1)
    np.save(pixels_file(tmp_path, REPRESENTATIVE, 32), np.array([{}], object))  # not what we lay out
    with pytest.raises(RuntimeError, match=r"(?s)the converter of 01-a\.keras ended with 1; .*memory-mapped"):
        run_worker(tmp_path, tmp_path / "01-a", job(Path("01-a.keras")), print)
