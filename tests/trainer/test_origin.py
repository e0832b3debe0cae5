"""The note in an augmented image says where it comes from and changes nothing else."""

import zlib

import cv2
import numpy as np

from bundle.preprocess import decode
from trainer.data.origin import mark, origin_of

ORIGIN = "0123456789abcdef" * 4


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def test_the_note_is_read_back_and_the_pixels_are_the_same():
    image = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    marked = mark(png(image), ORIGIN, 3)
    assert origin_of(marked) == ORIGIN
    np.testing.assert_array_equal(decode(marked), image)


def test_every_check_sum_of_the_marked_file_is_right():
    marked = mark(png(np.zeros((4, 4), np.uint8)), ORIGIN, 0)
    assert set(check_sums(marked)) == {True}
    assert check_sums(marked.replace(b"0123", b"3210", 1)).count(False) == 1


def check_sums(data: bytes) -> list[bool]:
    """Whether the check sum of each chunk is right (PNG 1.2, 3.2)."""
    right, at = [], 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        body, check = data[at + 4 : at + 8 + length], data[at + 8 + length : at + 12 + length]
        right.append(zlib.crc32(body).to_bytes(4, "big") == check)
        at += length + 12
    return right


def test_two_copies_with_the_same_pixels_are_two_images():
    plain = png(np.zeros((4, 4), np.uint8))
    assert mark(plain, ORIGIN, 0) != mark(plain, ORIGIN, 1)


def test_other_files_have_no_origin():
    image = np.zeros((4, 4), np.uint8)
    assert origin_of(png(image)) == ""
    assert origin_of(cv2.imencode(".jpg", image)[1].tobytes()) == ""
    assert origin_of(b"") == ""
    assert origin_of(mark(png(image), ORIGIN, 0)[:40]) == ""  # cut inside the note: not readable as an image either
