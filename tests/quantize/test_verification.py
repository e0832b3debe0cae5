from pathlib import Path

import pytest

from quantize.bits import Bits
from quantize.verification import PartCheck, Verification


def part(images: int, changed: int, recorded: float = 0.8, here: float = 0.8) -> PartCheck:
    return PartCheck("test", images, recorded, here, changed, ())


def of(*parts: PartCheck, bits: Bits) -> Verification:
    return Verification(Path("tiny"), "tiny", "0" * 64, "ai-edge-litert", 4, parts, (bits,))


@pytest.mark.parametrize(("images", "changed"), [(1000, 10), (2449, 24), (100, 1), (20, 1), (1, 1)])
def test_one_verdict_in_a_hundred_may_differ_and_one_of_however_few(images, changed):
    assert list(part(images, changed).faults()) == []
    assert list(part(images, changed + 1).faults()) == [
        f"test: {changed + 1} of {images} verdicts are not those recorded; at least 99% must be, found "
        f"{1 - (changed + 1) / images:.2%}"
    ]


@pytest.mark.parametrize("here", [0.79, 0.8, 0.81])
def test_the_accuracy_may_move_by_a_point_either_way(here):
    assert list(part(1000, 0, 0.8, here).faults()) == []


@pytest.mark.parametrize("here", [0.789, 0.811])
def test_an_accuracy_further_away_is_a_fault_even_if_it_is_better(here):
    assert list(part(1000, 0, 0.8, here).faults()) == [
        f"test: the accuracy is {here:.2%}, recorded are 80.00%; they may differ by 1 points"
    ]


def test_a_single_image_with_other_bits_is_a_fault():
    assert of(part(10, 0), bits=Bits("members/01-a.tflite", 1000, 1, 3.0e-8, 0)).faults == (
        "members/01-a.tflite: the scores of 1 of 1000 images are not the same to the bit with 1 and 4 threads, one by one and "
        "in batches; the largest difference is 3e-08",
    )


def test_ties_are_a_fault_beyond_half_a_percent():
    assert of(part(10, 0), bits=Bits("members/01-a.tflite", 1000, 0, 0.0, 5)).passed
    failed = of(part(10, 0), bits=Bits("members/01-a.tflite", 1000, 0, 0.0, 6))
    assert not failed.passed
    assert failed.faults == (
        "members/01-a.tflite: on 6 of 1000 images the highest score belongs to more than one class; at most 0.5 % may",
    )
