"""Accuracy, balanced accuracy and macro-F1, against figures worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.errors import BadData
from bundle.scores import ClassScore, Summary, bray_curtis, class_counts, confusion, score, score_indices
from bundle.vote import NO_LABEL

# Truth -> verdicts: 4 chains (1 right, 3 called jelly), 19 jellies (17 right, 2 called chain). scikit-learn 1.7 gives
# accuracy 0.782608…, balanced accuracy 0.572368…, macro F1 0.578754… for them.
PAIRS = [("chain", "chain")] + [("chain", "jelly")] * 3 + [("jelly", "jelly")] * 17 + [("jelly", "chain")] * 2


def test_the_figures_are_those_of_scikit_learn():
    scores = score(PAIRS)
    assert (scores.images, scores.right, scores.unclassified) == (23, 18, 0)
    assert scores.classes == {"chain": ClassScore(4, 3, 1), "jelly": ClassScore(19, 20, 17)}
    assert scores.accuracy == pytest.approx(0.782608695652174)
    assert scores.balanced_accuracy == pytest.approx(0.5723684210526316)
    assert scores.macro_f1 == pytest.approx(0.5787545787545787)


def test_unclassified_counts_as_wrong_and_is_no_class():
    scores = score([("chain", "chain"), ("chain", "unclassified"), ("jelly", "jelly")])
    assert scores.unclassified == 1
    assert scores.accuracy == pytest.approx(2 / 3)
    assert scores.balanced_accuracy == pytest.approx((1 / 2 + 1) / 2)
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1) / 2)
    assert list(scores.classes) == ["chain", "jelly"]


def test_a_class_that_only_verdicts_name_lowers_macro_f1_but_has_no_recall():
    scores = score([("chain", "chain"), ("chain", "worm")])
    assert scores.classes["worm"] == ClassScore(0, 1, 0)
    assert scores.classes["worm"].recall is None
    assert scores.classes["worm"].precision == 0
    assert scores.balanced_accuracy == pytest.approx(1 / 2)
    assert scores.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_a_class_that_no_verdict_names_has_no_precision():
    assert score([("chain", "worm")]).classes["chain"].precision is None


def test_the_interval_is_wilson_s():
    # 81 of 263: Newcombe 1998, Statistics in Medicine 17, table I, method 3.
    low, high = score([("a", "a")] * 81 + [("a", "b")] * 182).accuracy_interval
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", "unclassified"])), min_size=1))
def test_every_figure_is_a_share_and_the_interval_holds_the_accuracy(pairs):
    scores = score(pairs)
    low, high = scores.accuracy_interval
    assert 0 <= low <= scores.accuracy + 1e-12
    assert scores.accuracy - 1e-12 <= high <= 1
    assert 0 <= scores.balanced_accuracy <= 1
    assert 0 <= scores.macro_f1 <= 1
    assert sum(each.images for each in scores.classes.values()) == len(pairs)


def test_class_indices_score_as_their_labels_do():
    truth = np.array([0, 0, 1, 1], np.int32)
    verdicts = np.array([0, NO_LABEL, 1, 2], np.int32)
    by_labels = score([("a", "a"), ("a", "unclassified"), ("b", "b"), ("b", "c")])
    assert score_indices(truth, verdicts, ("a", "b", "c")) == by_labels
    assert by_labels.summary == Summary(4, 0.5, 0.5, 0.444444)  # F1: 2/3, 2/3, 0


def test_nothing_to_score_is_refused():
    with pytest.raises(BadData, match="no image has both a known class and a verdict"):
        score([])


def test_the_confusion_has_a_row_for_each_truth_and_a_last_column_for_unclassified():
    truth = np.array([0, 0, 0, 0, 1, 1], np.int32)  # the last of three classes has no image
    verdicts = np.array([0, 0, 1, NO_LABEL, 1, 2], np.int32)
    assert confusion(truth, verdicts, 3).tolist() == [[2, 1, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_class_counts_leave_out_what_is_unclassified():
    assert class_counts(np.array([2, 0, -1, 2], np.int32), 4).tolist() == [1, 0, 2, 0]


@pytest.mark.parametrize(
    ("counts", "others", "dissimilarity"),
    [
        ([6, 7, 4], [10, 0, 6], 13 / 33),  # |6-10| + |7-0| + |4-6| of 33 individuals
        ([3, 0], [0, 5], 1.0),
        ([3, 5], [3, 5], 0.0),
        ([0, 0], [0, 0], 0.0),
    ],
)
def test_bray_curtis_is_the_share_of_individuals_that_the_communities_do_not_have_in_common(
    counts, others, dissimilarity
):
    assert bray_curtis(np.array(counts), np.array(others)) == pytest.approx(dissimilarity)
    assert bray_curtis(np.array(others), np.array(counts)) == pytest.approx(dissimilarity)
