from pathlib import Path

import numpy as np
import pytest

from bundle.ensemble import MemberModel
from bundle.manifest import VoteRule
from bundle.preprocess import Inputs
from bundle.vote import RULES
from quantize.images import Labelled
from quantize.score import BATCH, VOTE_BATCH, ballots, tflite_scores, vote

TINY = Path(__file__).parents[1] / "data" / "tiny-3" / "members" / "01-tiny.tflite"


def images(count: int, side: int) -> Labelled:
    random = np.random.default_rng(3)
    pixels = random.integers(0, 256, (count, side, side), np.uint8)
    return Labelled(np.zeros(count, np.int32), Inputs({side: pixels}, random.random((count, 8), np.float32)))


def test_the_scores_of_many_images_are_those_of_each_and_go_where_they_are_asked_to(tmp_path):
    model = MemberModel(TINY.read_bytes(), "tiny")
    several = images(BATCH + 3, model.side)
    out = np.lib.format.open_memmap(tmp_path / "scores.npy", "w+", np.float32, (BATCH + 3, model.class_count))
    assert tflite_scores(model, several, out) is out
    pixels, features = several.inputs.pixels[model.side], several.inputs.features
    each = [model.scores(pixels[i : i + 1], features[i : i + 1])[0] for i in range(BATCH + 3)]
    np.testing.assert_array_equal(out, each)


@pytest.mark.parametrize("rule", [VoteRule("hard", min_votes=2), VoteRule("soft")])
@pytest.mark.parametrize("count", [1, VOTE_BATCH, VOTE_BATCH + 1])
def test_the_vote_in_parts_is_the_vote_of_all_at_once(rule, count):
    scores = np.random.default_rng(count).random((3, count, 4), np.float32)
    at_once, in_parts = RULES[rule.rule](scores, rule.min_votes), vote(list(scores), rule)
    for field in ("label", "votes", "score"):
        np.testing.assert_array_equal(getattr(in_parts, field), getattr(at_once, field))


def test_no_images_have_no_verdicts_and_a_ballot_is_the_highest_score():
    assert len(vote([np.empty((0, 3), np.float32)] * 2, VoteRule()).label) == 0
    assert ballots(np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0]], np.float32)).tolist() == [1, 0]
