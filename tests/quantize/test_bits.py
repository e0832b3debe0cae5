"""Real members: as they are, and one whose weights were set to nothing, so that all its scores are equal."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bundle.folder import Bundle, open_bundle, write_bundle
from bundle.whole import sha256_hex
from quantize.bits import Bits, compare_bits
from tests.bundle.rendered import file_of, organism

TINY = Path(__file__).parents[1] / "data" / "tiny-3"
BLANK = "members/02-tiny.tflite"


@pytest.fixture
def with_a_blank_member(tmp_path) -> Bundle:
    """tiny-3, its second member without the weights and biases that make_tiny_bundle.py gave it."""
    tiny = open_bundle(TINY)
    data = tiny.contents[BLANK]
    middle = np.log(40.0)
    for value in (-400.0, -20.0, 20.0, 400.0 * 0.4, 20.0 * middle, -20.0 * middle):
        assert np.float32(value).tobytes() in data
        data = data.replace(np.float32(value).tobytes(), bytes(4))
    members = tuple(
        dataclasses.replace(member, sha256=sha256_hex(data)) if member.file == BLANK else member
        for member in tiny.manifest.members
    )
    manifest = dataclasses.replace(tiny.manifest, members=members)
    return write_bundle(tmp_path / "bundle", manifest, {**tiny.contents, BLANK: data})


def test_members_have_the_same_bits_in_every_way_and_ties_are_counted_for_each(with_a_blank_member):
    bundle = with_a_blank_member
    images = [bundle.prepare(file_of(".png", organism(38 + size, 41 + size))) for size in range(7)]
    assert compare_bits(bundle, iter([images[:4], images[4:]]), threads=2) == (
        Bits("members/01-tiny.tflite", 7, 0, 0.0, 0),
        Bits(BLANK, 7, 0, 0.0, 7),
        Bits("members/03-tiny.tflite", 7, 0, 0.0, 0),
    )
