"""Scores as the ledger keeps them: what comes back is what went in, to a part in a hundred, of the images that count."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.folder import open_bundle
from bundle.measures import Measures
from bundle.vote import NO_LABEL
from edge.capture.capture import Capture
from edge.counts import read_counts
from edge.daemon.outcome import Counted
from edge.estimates.scored import Scored
from edge.intake.files import Found
from edge.keptscores import pack, unpack
from edge.ledger.ledger import open_ledger, open_ledger_readonly
from edge.scoresample import read_scores, sampler

MEASURES = Measures(8, 9, 100.5, 0.25, 0.125, 0.5, 99.5)
TINY = open_bundle(Path(__file__).parents[1] / "data" / "tiny-3")
HOUR = 3600 * 10**9


def likely(label: int, score: float = 0.9, classes: int = 3) -> list[float]:
    """The other classes share the rest."""
    return [score if each == label else (1 - score) / (classes - 1) for each in range(classes)]


@given(st.integers(1, 200), st.integers(0, 40), st.integers(0, 2**32 - 1), st.floats(0.05, 3))
def test_scores_come_back_to_a_part_in_a_hundred(classes, images, seed, spread):
    scores = np.random.default_rng(seed).dirichlet(np.full(classes, spread), images).astype(np.float32)
    back = unpack(pack(scores), classes)
    assert back.shape == scores.shape
    assert np.allclose(back.sum(axis=1), 1, atol=1e-5)
    assert np.abs(back - scores).max(initial=0) < 0.05  # where all classes but one are below 1 % they share the rest
    told = scores > 0.02
    assert np.abs(np.sqrt(back) - np.sqrt(scores))[told].max(initial=0) < 0.03


def test_one_sure_image_takes_three_bytes_and_an_unsure_one_three_for_each_class_it_may_be():
    sure, unsure = pack(np.array([[0.995, 0.003, 0.002], [0.5, 0.3, 0.2]]))
    assert (len(sure), len(unsure)) == (3, 9)
    assert sure == b"\x00\x00\xfe"
    assert unpack([sure, unsure], 3)[1] == pytest.approx([0.5, 0.3, 0.2], abs=0.003)
    assert unpack([sure], 3)[0] == pytest.approx([0.992, 0.004, 0.004], abs=0.001)


@pytest.mark.parametrize("packed", [b"\x00\x00", b"\x03\x00\xff"])
def test_bytes_that_are_no_scores_of_these_classes_are_refused(packed):
    with pytest.raises(ValueError, match="kept scores"):
        unpack([packed], 3)


def test_an_image_of_which_nothing_is_known_may_be_anything():
    assert unpack([b""], 4)[0] == pytest.approx([0.25] * 4)


@pytest.fixture
def path(tmp_path) -> Path:
    """Ten images an hour for three hours: of class 0, 1, 2, with scores; one set aside, and one without a label."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        ledger.bundle_id(TINY, 1)
        outcomes = []
        for number in range(30):
            label = number // 10
            found, capture = Found(f"{number}.png", 10, number), Capture(label * HOUR + number, "mtime")
            scores = pack(np.array([likely(label)]))[0]
            each = Counted(found, content(number), capture, MEASURES, label, 3, 0.9, scores=scores)
            if number == 5:
                each = replace(each, aside="blurred")
            if number == 29:
                each = replace(each, label=NO_LABEL)
            outcomes.append(each)
        ledger.record(outcomes, 1, 7)
    return path


def content(number: int) -> bytes:
    return number.to_bytes(32, "big")


def read(path: Path, *arguments, **options) -> Scored | None:
    with open_ledger_readonly(path) as connection:
        return read_scores(connection, 1, 3, *arguments, **options)


def test_the_scores_read_are_of_the_images_that_count(path):
    scored = read(path, None, None)
    assert scored is not None
    assert scored.verdicts.tolist() == [0] * 9 + [1] * 10 + [2] * 9 + [3]
    assert scored.scores[0] == pytest.approx(likely(0), abs=0.01)


def test_a_stretch_has_its_own_images_and_a_sample_is_spread_over_all_of_it(path):
    second = read(path, HOUR, 2 * HOUR)
    assert second is not None
    assert second.verdicts.tolist() == [1] * 10
    few = read(path, None, None, 6)
    assert few is not None
    assert sorted(set(few.verdicts.tolist())) == [0, 1, 2, 3]
    some = read(path, 0, 3 * HOUR, 6)
    assert some is not None
    assert len(some.verdicts) in (5, 6)  # one of them may be the image set aside
    assert {0, 1} < set(some.verdicts.tolist())


def test_images_labelled_by_people_are_left_out(path):
    scored = read(path, None, HOUR, without={content(0), content(1)})
    assert scored is not None
    assert len(scored.verdicts) == 7


def test_where_some_images_have_no_scores_there_is_no_sample(path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE verdict SET scores = NULL WHERE image_id = 12")
    assert read(path, None, None) is None
    assert read(path, None, HOUR) is not None


def test_the_sampler_knows_the_bins_of_the_counts_and_wants_one_classifier(path):
    with open_ledger_readonly(path) as connection:
        counts = read_counts(connection, HOUR)
        sample = sampler(connection, counts)
        assert sample is not None
        assert [each.verdicts.tolist() for each in map(sample, range(3)) if each] == [[0] * 9, [1] * 10, [2] * 9 + [3]]
        late = read_counts(connection, HOUR, from_ns=2 * HOUR + 25)
        sample = sampler(connection, late)
        assert sample is not None
        (first,) = (sample(0),)
        assert first is not None
        assert first.verdicts.tolist() == [2] * 4 + [3]
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO bundle VALUES (2, 'other', 'other', '[\"a\", \"b\", \"c\"]', 1)")
        connection.execute("UPDATE verdict SET bundle_id = 2 WHERE image_id = 1")
    with open_ledger_readonly(path) as connection:
        assert sampler(connection, read_counts(connection)) is None
