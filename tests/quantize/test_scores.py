import numpy as np
import pytest

from bundle.vote import NO_LABEL
from quantize.scores import ClassScores, Scores, confusion, overall, per_class

#       a  a  a  a  b  b  (c has no image)
TRUTH = np.array([0, 0, 0, 0, 1, 1], np.int32)
GIVEN = np.array([0, 0, 1, NO_LABEL, 1, 2], np.int32)


def test_the_confusion_has_a_row_for_each_truth_and_a_last_column_for_unclassified():
    assert confusion(TRUTH, GIVEN, 3).tolist() == [[2, 1, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_overall_scores_leave_out_classes_without_images_and_take_unclassified_as_a_miss():
    assert overall(confusion(TRUTH, GIVEN, 3)) == Scores(
        accuracy=0.5,
        balanced_accuracy=0.5,  # (2/4 + 1/2) / 2
        macro_f1=pytest.approx((2 * 2 / (4 + 2) + 2 * 1 / (2 + 2)) / 2, abs=1e-6),
    )


def test_a_class_says_nothing_of_what_has_no_image_or_no_verdict():
    counts = confusion(TRUTH, GIVEN, 4)
    assert per_class(counts, ("a", "b", "c", "d")) == [
        ClassScores("a", 4, recall=0.5, precision=1.0, f1=0.666667),
        ClassScores("b", 2, recall=0.5, precision=0.5, f1=0.5),
        ClassScores("c", 0, recall=None, precision=0.0, f1=0.0),
        ClassScores("d", 0, recall=None, precision=None, f1=None),
    ]


def test_perfect_verdicts_score_one_everywhere():
    truth = np.array([0, 1, 2], np.int32)
    counts = confusion(truth, truth, 3)
    assert overall(counts) == Scores(1.0, 1.0, 1.0)
    assert all(scores.f1 == 1.0 for scores in per_class(counts, ("a", "b", "c")))
