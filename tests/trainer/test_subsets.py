"""Ensembles of each size, and the greedy choice among many: decided on validation alone."""

from itertools import combinations

import numpy as np
import pytest

from bundle.greedy import Scored, disagreement, select_greedily
from bundle.vote import hard_vote
from trainer.judge.subsets import MOST_SUBSETS, by_size, subsets

LABELS = ("a", "b", "c")


def scored(*members: str, truth: str = "aaaabbbbcc", sure: float = 0.8) -> Scored:
    """Members that name these classes, each `sure` of it."""
    classes = np.array([[LABELS.index(named) for named in member] for member in members])
    scores = np.full((*classes.shape, 3), (1 - sure) / 2, np.float32)
    np.put_along_axis(scores, classes[..., None], sure, axis=2)
    return Scored(np.array([LABELS.index(true) for true in truth], np.int32), scores)


GOOD, ALIKE, OTHER, THIRD = "aaaabbbbaa", "aaaabbbbaa", "aaaccbbbcc", "caaabbcbcc"  # 8, 8, 8 and 8 of 10 right


def test_each_size_tells_of_the_subset_that_was_best_on_validation():
    validation, part = scored(GOOD, OTHER, THIRD), scored(OTHER, "bbbbaaaaaa", GOOD)
    one, two, three = by_size(validation, part, LABELS)
    assert (one.best, one.best_validation, one.best_hard) == ((0,), pytest.approx(0.8), pytest.approx(0.8))
    assert one.mean_hard == pytest.approx((0.8 + 0.0 + 0.8) / 3)
    assert (two.tried, two.of) == (3, 3)
    assert three.best == (0, 1, 2)
    assert three.best_validation == pytest.approx(1.0)  # no two of them err on the same image
    assert three.best_hard == three.mean_hard


def test_ten_members_are_tried_in_every_way_and_more_by_a_draw_that_repeats():
    assert subsets(4, 2) == list(combinations(range(4), 2))
    assert len(subsets(10, 5)) == MOST_SUBSETS
    drawn = subsets(12, 6)
    assert len(set(drawn)) == MOST_SUBSETS
    assert all(len(set(each)) == 6 and max(each) < 12 for each in drawn)
    assert drawn == subsets(12, 6)


def test_the_greedy_choice_takes_who_errs_elsewhere_and_not_the_best_members_twin():
    steps = select_greedily(scored(GOOD, ALIKE, OTHER, THIRD), 3)
    assert [step.member for step in steps] == [0, 2, 3]
    assert steps[-1].accuracy == pytest.approx(1.0)
    assert steps[0].gain is None
    assert steps[2].gain == pytest.approx(steps[2].accuracy - steps[1].accuracy)


def test_equal_accuracies_are_told_apart_by_log_loss():
    unsure, sure = scored(GOOD, sure=0.5), scored(GOOD, sure=0.7)
    pool = Scored(sure.truth, np.concatenate([unsure.scores, sure.scores]))
    assert select_greedily(pool, 1)[0].member == 1


def test_every_step_is_the_best_that_one_member_more_can_do():
    random = np.random.default_rng(1)
    scores = random.dirichlet(np.ones(4), (7, 200)).astype(np.float32)
    truth = scores.sum(axis=0).argmax(axis=1).astype(np.int32)
    steps = select_greedily(Scored(truth, scores), 7)
    chosen = [step.member for step in steps]
    assert sorted(chosen) == list(range(7))
    for number, step in enumerate(steps):
        before = chosen[:number]
        reachable = [
            (hard_vote(scores[[*before, other]]).label == truth).mean() for other in range(7) if other not in before
        ]
        assert step.accuracy == pytest.approx(max(reachable))


def test_disagreement_is_the_share_of_images_named_differently():
    np.testing.assert_allclose(
        disagreement(scored("aab", "abc", "aab").scores), [[0, 2 / 3, 0], [2 / 3, 0, 2 / 3], [0, 2 / 3, 0]]
    )
