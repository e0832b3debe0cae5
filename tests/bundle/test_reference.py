"""reference.json: what validation images looked like, written, read back, and refused where it cannot be true."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from bundle.errors import BadBundle
from bundle.folder import open_bundle
from bundle.reference import (
    BALLOTS,
    MEASURES,
    MOST_BINS,
    REFERENCE,
    VOTED,
    Histogram,
    Reference,
    format_reference,
    histogram,
    parse_reference,
    read_reference,
    write_reference,
)

TINY = Path(__file__).parents[1] / "data" / "tiny-3"
LABELS = ("chain", "sphere", "jelly")


def made_up(images: int = 60, digest: str = "") -> Reference:
    """Of images of three labels in turn, the last two unclassified."""
    random = np.random.default_rng(5)
    verdict = np.arange(images) % 3
    verdict[-2:] = 3

    def one(_name: str) -> Histogram:
        return histogram(random.normal(size=images), verdict, len(LABELS))

    return Reference(
        digest or open_bundle(TINY).digest,
        LABELS,
        (0, 1, 2),
        {name: one(name) for name in MEASURES},
        {ballots: {name: one(name) for name in VOTED} for ballots in BALLOTS},
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    """A bundle folder with a reference."""
    copied = tmp_path / "tiny"
    shutil.copytree(TINY, copied)
    write_reference(copied / REFERENCE, made_up(), "tiny-3")
    return copied


def test_what_is_written_is_read_back(folder):
    written, found = made_up(), read_reference(folder)
    assert (found.digest, found.labels, found.order) == (written.digest, written.labels, written.order)
    assert found.images.tolist() == [20, 19, 19, 2]
    for ballots in BALLOTS:
        ours, its = written.histograms(ballots), found.histograms(ballots)
        assert list(its) == [*VOTED, *MEASURES] == list(ours)
        for name in ours:
            assert its[name].edges.tolist() == ours[name].edges.tolist()
            assert its[name].counts.tolist() == ours[name].counts.tolist()
    assert format_reference(found, "tiny-3") == (folder / REFERENCE).read_bytes()


def test_the_bundle_is_the_same_bundle_with_it(folder):
    assert open_bundle(folder).digest == open_bundle(TINY).digest


def test_a_folder_without_one_has_none():
    assert read_reference(TINY) is None


def test_one_of_another_bundle_is_refused_with_what_to_do(folder):
    write_reference(folder / REFERENCE, made_up(digest="ab" * 32), "other")
    with pytest.raises(
        BadBundle, match=r"reference.json: of the bundle abababababab, and this one is .*; take the file away"
    ):
        read_reference(folder)


def damaged(change) -> bytes:
    table = json.loads(format_reference(made_up(), "tiny-3"))
    change(table)
    return json.dumps(table).encode()


def set_at(*keys, value):
    def change(table):
        *way, last = keys
        for key in way:
            table = table[key]
        table[last] = value

    return change


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"{", "damaged"),
        (b"[]", "schema_version"),
        (damaged(set_at("schema_version", value=2)), "its schema_version is not 1"),
        (damaged(lambda table: table["measures"].pop("sharpness")), "measures has width, height, dark_share"),
        (damaged(lambda table: table["ballots"].pop("all")), "damaged .KeyError: 'all'"),
        (damaged(set_at("measures", "width", "edges", 1, value=-9.0)), "the edges do not rise"),
        (damaged(set_at("measures", "width", "edges", 1, value=float("nan"))), "the edges do not rise"),
        (damaged(set_at("measures", "width", "counts", "chain", 3, value=77)), "is not of the same images as width"),
        (damaged(set_at("measures", "score", value={"edges": [], "counts": {}})), "measures has"),
        (damaged(set_at("ballots", "all", "score", "counts", "kraken", value=[1])), "damaged"),
        (damaged(set_at("ballots", "all", "score", "counts", "chain", 0, value=0.5)), "not whole numbers"),
        (damaged(set_at("ballots", "all", "score", "counts", "chain", value=[1, 2])), "damaged"),
        (damaged(set_at("labels", value=["chain"])), "damaged"),
    ],
)
def test_a_damaged_one_is_refused_in_one_line_that_names_file_and_remedy(data, fault):
    with pytest.raises(BadBundle, match=f"^here: .*{fault}") as refused:
        parse_reference(data, "here")
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith("make it anew with planktow-quantize reference")


def test_one_of_no_images_is_refused():
    nothing = histogram(np.array([1.0]), np.array([0]), 3)
    empty = Histogram(nothing.edges, nothing.counts * 0)
    measures = dict.fromkeys(MEASURES, empty)
    with pytest.raises(BadBundle, match="no images"):
        Reference("ab", LABELS, (0,), measures, {ballots: dict.fromkeys(VOTED, empty) for ballots in BALLOTS})


@pytest.mark.parametrize("name", ["planktonset-121", "planktonset-121-fast", "flowcam-6"])
def test_bundles_that_ship_have_one_of_the_images_that_their_confusion_is_of(name):
    folder = Path(__file__).parents[2] / "bundles" / name
    split = json.loads((folder / "training.json").read_bytes())["split"]
    record = json.loads((folder / "validation.json").read_bytes())
    found = read_reference(folder)
    images = record["inherited"]["images"] if "inherited" in record else len(split["validation"])
    assert found.images.sum() == images
    # Another processor may give a few images another verdict than was recorded.
    counted = np.array(record["confusion"]).sum(axis=0)
    assert np.abs(found.images - counted).sum() <= images / 50


@given(some.lists(some.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=200))
def test_every_value_lies_in_one_bin_and_none_in_the_two_outside(values):
    found = histogram(np.array(values), np.zeros(len(values), np.int64), 1)
    assert found.counts.sum() == len(values)
    assert found.counts[:, [0, -1]].sum() == 0
    assert found.counts.shape[1] <= MOST_BINS + 3


def test_a_number_that_never_changed_has_bins_for_less_and_for_more():
    found = histogram(np.full(9, 0.5), np.zeros(9, np.int64), 1)
    assert found.bins(np.array([0.4, 0.5, 0.6])).tolist() == [0, 1, 2]


def test_few_values_have_a_bin_each():
    found = histogram(np.array([1 / 3, 2 / 3, 1.0, 1.0]), np.array([0, 0, 0, 1]), 2)
    assert found.counts[:, 1:-1].tolist() == [[1, 1, 1], [0, 0, 1], [0, 0, 0]]
