import copy
import dataclasses
import json

import pytest

from bundle.errors import BadBundle
from bundle.manifest import (
    Checks,
    HashedFile,
    Labels,
    Manifest,
    Member,
    Quantisation,
    VoteRule,
    format_manifest,
    parse_manifest,
)
from bundle.preprocess import FEATURES, InputSpec

PIXELS, OUTPUT = Quantisation("uint8", 0.00392156862745098, 0), Quantisation("float32", 0.0, 0)
MANIFEST = Manifest(
    schema_version=3,
    name="näme",
    created="2026-11-23T00:00:00Z",
    input=InputSpec(pad="border", polarity="light_on_dark", max_image_pixels=10_000),
    features=FEATURES,
    labels=Labels("labels.txt", "0" * 64, 2),
    members=tuple(
        Member(
            f"members/{n}.tflite",
            str(n) * 64,
            "simple",
            "int8",
            32 * n,
            PIXELS,
            OUTPUT,
            1000,
            Checks(10, 0.5, 0.4, 0.9),
        )
        for n in (1, 2)
    ),
    order=(1, 0),
    vote=VoteRule("soft", "mean_score", 2),
    records=(HashedFile("training.json", "a" * 64),),
)
TABLE = json.loads(format_manifest(MANIFEST))


def refusal(data):
    with pytest.raises(BadBundle) as caught:
        parse_manifest(data, "manifest.json")
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("manifest.json: ")
    return text.removeprefix("manifest.json: ")


def refusal_of_change(*path, value):
    """The refusal of the manifest in which the value at `path` is another; a value of KeyError takes the key away."""
    table = copy.deepcopy(TABLE)
    inner = table
    for step in path[:-1]:
        inner = inner[step]
    if value is KeyError:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return refusal(json.dumps(table).encode())


def test_a_manifest_comes_back_as_it_was_written():
    assert parse_manifest(format_manifest(MANIFEST), "manifest.json") == MANIFEST


def test_the_manifest_is_plain_json_with_the_fields_in_order():
    assert list(TABLE) == [field.name for field in dataclasses.fields(Manifest)]
    assert TABLE["members"][0]["pixels"] == {"dtype": "uint8", "scale": 0.00392156862745098, "zero_point": 0}
    assert "näme".encode() in format_manifest(MANIFEST)


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (["schema_version"], 1, "schema_version is 1, this version of Planktow reads 3"),
        (["schema_version"], True, "schema_version is True, this version of Planktow reads 3"),
        (["schema_version"], KeyError, "schema_version is None, this version of Planktow reads 3"),
        (["name"], "", "the name is ''; it must be printable and not empty"),
        (["name"], "a\nb", "the name is 'a\\nb'; it must be printable and not empty"),
        (["created"], "yesterday", "created is 'yesterday'; it must be a time in UTC such as 2026-11-23T00:00:00Z"),
        (["created"], "2026-11-23T00:00:00", "created is '2026-11-23T00:00:00'; it must be a time in UTC such as 2026-11-23T00:00:00Z"),  # noqa: E501
        (["nmae"], "x", "unknown key 'nmae'; did you mean 'name'?"),
        (["a\nb"], "x", "unknown key 'a\\nb'; known keys: schema_version, name, created, input, features, labels, members, order, vote, records"),  # noqa: E501
        (["labels"], KeyError, "missing key 'labels' (a table); add it"),
        (["members"], [], "the manifest names no members"),
        (["order"], [0], "order is [0]; it must name each of the 2 members once, from 0"),
        (["order"], [1, 1], "order is [1, 1]; it must name each of the 2 members once, from 0"),
        (["order"], [1, 2], "order is [1, 2]; it must name each of the 2 members once, from 0"),
        (["members", 0, "scheme"], "int4", "members[0]: scheme: expected one of 'int8', 'int16x8', 'dynamic', 'float16', 'float32', found 'int4'"),  # noqa: E501
        (["members", 0, "checks", "agreement"], "high", "members[0]: checks: agreement: expected a number, found 'high'"),
        (["members", 1, "side"], 4, "members[1]: side must be from 8 to 1024 pixels, found 4"),
        (["members", 1, "side"], 64.0, "members[1]: side: expected a whole number, found 64.0"),
        (["input", "fit"], "crop", "input: fit: expected one of 'long_side', found 'crop'"),
        (["vote", "rule"], "median", "vote: rule: expected one of 'hard', 'soft', found 'median'"),
        (["vote", "min_votes"], 0, "vote.min_votes is 0, but there are 2 members; set it from 1 to that"),
        (["vote", "min_votes"], 3, "vote.min_votes is 3, but there are 2 members; set it from 1 to that"),
        (["features"], ["log_width"], f"the features are log_width, this version computes {', '.join(FEATURES)}; make the bundle anew"),  # noqa: E501
        (["features"], [], f"the features are none, this version computes {', '.join(FEATURES)}; make the bundle anew"),
        (["members", 1, "file"], "labels.txt", "the manifest names one file twice"),
        (["labels", "sha256"], "A" * 64, "labels: the sha256 of 'labels.txt' is not 64 lower-case hexadecimal digits"),
        (["labels", "sha256"], "0" * 63, "labels: the sha256 of 'labels.txt' is not 64 lower-case hexadecimal digits"),
        (["labels", "sha256"], "0" * 64 + "\n", "labels: the sha256 of 'labels.txt' is not 64 lower-case hexadecimal digits"),
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_meant_is_refused_with_the_place(path, value, text):
    assert refusal_of_change(*path, value=value) == text


def test_a_number_too_large_for_a_float_is_refused():
    text = refusal_of_change("members", 0, "pixels", "scale", value=10**400)
    assert text == f"members[0]: pixels: scale: expected a number, found {10**400}"


@pytest.mark.parametrize(
    "file",
    ["../secret", "members/../../secret", "/etc/passwd", "a\\b", "", ".", "./labels.txt", "members//1", "members/", "a\0b",
     "a\nb", "\ud800", "manifest.json"],
)  # fmt: skip
@pytest.mark.parametrize("place", [("labels",), ("members", 0), ("records", 0)])
def test_a_path_that_leaves_the_bundle_or_can_be_spelled_otherwise_is_refused(place, file):
    where = "".join(f"[{step}]" if isinstance(step, int) else step for step in place)
    assert refusal_of_change(*place, "file", value=file) == f"{where}: {file!r} is not a path inside the bundle"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "not valid JSON (Expecting value: line 1 column 1 (char 0)); copy the bundle anew"),
        (b"[]", "not a JSON object; copy the bundle anew"),
        (b'{"schema_version": NaN}', "not valid JSON (NaN is no JSON number); copy the bundle anew"),
        (b'{"schema_version": 2', "not valid JSON (Expecting ',' delimiter: line 1 column 21 (char 20)); copy the bundle anew"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_json_object_is_refused(data, text):
    assert refusal(data) == text


@pytest.mark.parametrize("data", [b"\xff\xfe{", b"[" * 200_000, b'{"schema_version": ' + b"1" * 5000 + b"}"])
def test_json_that_breaks_the_reader_is_refused_and_nothing_worse(data):
    assert refusal(data).startswith("not valid JSON (")


@pytest.mark.parametrize("length", range(0, len(format_manifest(MANIFEST)) - 1, 37))
def test_a_cut_manifest_is_refused(length):
    assert refusal(format_manifest(MANIFEST)[:length]).startswith("not valid JSON (")


def test_every_file_is_vouched_for_once():
    assert [entry.file for entry in MANIFEST.hashed_files()] == [
        "labels.txt",
        "members/1.tflite",
        "members/2.tflite",
        "training.json",
    ]
