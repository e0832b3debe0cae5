"""docs/bundle.md against the code: its example parses, its reader gives our verdicts, its arithmetic is OpenCV's."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bundle.folder import open_bundle
from bundle.manifest import MANIFEST, VoteRule, format_manifest, parse_manifest
from bundle.preprocess import InputSpec
from tests.bundle import wrong
from tests.bundle.rendered import every_format, file_of, organism, pattern

TEXT = (Path(__file__).parents[2] / "docs" / "bundle.md").read_text(encoding="utf-8")


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return found


def test_the_manifest_of_the_document_is_a_manifest_with_every_field():
    text = re.sub(r'"(\w{4})…"', lambda found: f'"{found[1] * 16}"', block("json"))
    assert json.loads(format_manifest(parse_manifest(text.encode(), "docs"))) == json.loads(text)


def test_the_words_of_the_document_name_every_key_of_the_manifest():
    def keys(value):
        for key, inner in value.items():
            first = inner[0] if isinstance(inner, list) else inner
            yield key
            yield from keys(first) if isinstance(first, dict) else []

    words = set(re.findall(r"\w+", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)))
    assert set(keys(json.loads((wrong.TINY / MANIFEST).read_bytes()))) - words == set()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"vote": VoteRule("soft", "mean_score", 1)},
        {"vote": VoteRule("hard", "mean_score", 3)},
        {"input": InputSpec(pad="border", polarity="light_on_dark")},
        {"input": InputSpec(polarity="light_on_dark", background="white")},
    ],
)
def test_the_reader_of_the_document_gives_our_verdicts(tmp_path, changes):
    contents = wrong.tiny_contents()
    path = wrong.write_raw(tmp_path / "b", dataclasses.replace(wrong.tiny_manifest(), **changes), contents)
    files = every_format(pattern(23, 31))
    sizes = [(10, 80), (80, 10), (20, 20), (80, 70), (36, 80), (35, 35), (29, 63), (1, 1), (1, 9), (31, 14), (120, 57)]
    files |= {f"{height}x{width}.png": file_of(".png", organism(height, width)) for height, width in sizes}
    files |= {"deep.png": file_of(".png", pattern(50, 40).astype(np.uint16) * 211)}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "reader.py").write_text(block("python"), encoding="utf-8")
    command = [sys.executable, "-W", "error", tmp_path / "reader.py", path, *(tmp_path / name for name in files)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    bundle = open_bundle(path)
    found = bundle.classify(bundle.load(), [bundle.prepare(data) for data in files.values()], all_ballots=True)
    expected = [
        f"{tmp_path / name}\t{bundle.label_name(label)}\t{votes}\t{score!s}"
        for name, label, votes, score in zip(files, found.label, found.votes, found.score, strict=True)
    ]
    assert ran.stdout.splitlines() == expected
    assert len({line.split("\t")[1] for line in expected}) >= 2


def covered(length, new_length):
    """(new_length, length): the part of each input pixel that each output pixel covers, as a share of the whole."""
    edges = np.arange(new_length + 1) * length / new_length
    low, high = np.maximum.outer(edges[:-1], np.arange(length)), np.minimum.outer(edges[1:], np.arange(1, length + 1))
    return np.maximum(0, high - low) * new_length / length


def interpolated(length, new_length):
    """(new_length, length): the weight of each input pixel in each output pixel, between the two nearest centres."""
    at = np.clip((np.arange(new_length) + 0.5) * length / new_length - 0.5, 0, length - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(length)[None, :]))


@pytest.mark.parametrize(
    ("height", "width"), [(150, 90), (67, 200), (65, 65), (128, 64), (40, 30), (3, 64), (1, 1), (9, 20)]
)
def test_resizing_by_the_words_of_the_document_is_within_one_grey_level_of_opencv(height, width):
    image = pattern(height, width)
    scale = 64 / max(height, width)
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
    weights = covered if scale < 1 else interpolated
    by_words = weights(height, new_height) @ image.astype(float) @ weights(width, new_width).T
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    by_opencv = cv2.resize(image, (new_width, new_height), interpolation=method)
    assert np.abs(np.rint(by_words) - by_opencv).max() <= 1
