"""The benchmark of drift runs, on drawn images and without PlanktonSet."""

import numpy as np
import pytest

from benchmarks import drift
from benchmarks.altered import ALTERATIONS, decoded, looked
from bundle.folder import open_bundle
from quantize.reference import reference_of
from tests.quantize.splitbundle import make


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"), validation=40, test=40)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_it_prints_its_tables(made, part, capsys):
    given = ["--bundle", made.bundle, "--images", made.data, "--foreign", made.data / "chain", "--tows", "1"]
    drift.main([*map(str, given), "--part", part])
    told = capsys.readouterr().out
    assert "Nothing is wrong" in told
    for row in KINDS_AND_MORE if part == "validation" else (*KINDS_AND_MORE, *ALTERATIONS, "30% of "):
        assert row in told


KINDS_AND_MORE = ("as trained", "flipped", "1,000 images asked for")


def test_a_tow_has_each_image_once_and_is_composed_as_asked(made):
    bundle = open_bundle(made.bundle)
    pool = looked(bundle, *decoded(bundle, made.data, "test"))
    tow = drift.draw(pool, 3, "as trained", 100, np.random.default_rng(1))
    assert 80 <= len(tow.truth) <= 100
    again = drift.draw(pool, 3, "as trained", drift.AGAIN, np.random.default_rng(1))
    assert len(again.truth) == drift.AGAIN
    few = drift.draw(pool, 3, "few dominant", 1_000, np.random.default_rng(1))
    assert np.bincount(few.truth, minlength=3).max() <= 40


def test_altered_images_are_looked_at_as_they_are_now(made):
    """A drawn image's ground is 250; at four fifths of the light it is 200."""
    bundle = open_bundle(made.bundle)
    greys, truth = decoded(bundle, made.data, "validation")
    reference = reference_of(bundle, *looks(looked(bundle, greys, truth)))
    darker = drift.judged(reference, looked(bundle, greys, truth, ALTERATIONS["lamp at 80%"]))
    assert darker.state == "other looks"
    assert ("mean_grey", True) in [(each.name, each.lower) for each in darker.beyond]
    assert drift.judged(reference, looked(bundle, greys, truth)).state == "as validated"


def looks(found):
    return found.verdict, found.seen
