"""Damaged images by the thousand say nothing on standard error, and our own words still come."""

import subprocess
import sys

import pytest

from .images import image_bytes

DECODE = """
import sys
import cv2, numpy as np
from edge.daemon.quiet import hush_libraries
hush = sys.argv[1] == "hushed"
if hush:
    hush_libraries()
data = bytearray(open(sys.argv[2], "rb").read())
data[len(data) // 2] ^= 0xFF
for _ in range(50):
    cv2.imdecode(np.frombuffer(bytes(data), np.uint8), cv2.IMREAD_GRAYSCALE)
print("decoded", file=sys.stderr)
"""


def said(program, *arguments):
    done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr.splitlines()


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(image_bytes("sphere"))
    return file


def test_libpng_says_nothing_of_damaged_images_where_it_was_hushed(picture):
    code, lines = said(DECODE, "as it is", picture)
    assert (code, lines[-1]) == (0, "decoded")
    assert len([line for line in lines if line.startswith("libpng ")]) >= 50, "nothing to hush: the test shows nothing"
    assert said(DECODE, "hushed", picture) == (0, ["decoded"])


def test_an_error_of_ours_is_told_all_the_same():
    code, lines = said("from edge.daemon.quiet import hush_libraries; hush_libraries(); raise ValueError('torn')")
    assert (code, lines[0], lines[-1]) == (1, "Traceback (most recent call last):", "ValueError: torn")


def test_the_stack_of_a_crash_is_told_all_the_same():
    code, lines = said("import os; from edge.daemon.quiet import hush_libraries; hush_libraries(); os.abort()")
    assert (code, lines[0]) == (-6, "Fatal Python error: Aborted")
    assert any("<module>" in line for line in lines)
