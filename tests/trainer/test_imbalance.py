"""Weights and chances of rare classes, against the formulas worked by hand."""

import numpy as np

from trainer.config import Imbalance
from trainer.imbalance import class_shares, class_weights, draw_weights

CLASSES = np.repeat([0, 1, 3], [80, 15, 5]).astype(np.int32)  # class 2 has no image


def test_inverse_weights_balance_the_classes_and_average_to_one():
    weights = class_weights(CLASSES, 4, Imbalance("inverse"))
    np.testing.assert_allclose(weights * [80, 15, 0, 5], [100 / 3, 100 / 3, 0, 100 / 3], rtol=1e-6)
    half = class_weights(CLASSES, 4, Imbalance("inverse", power=0.5))
    np.testing.assert_allclose(half[[1, 3]] / half[0], [(80 / 15) ** 0.5, 4.0], rtol=1e-6)
    assert abs(half[CLASSES].mean() - 1) < 1e-6
    assert half[2] == 0


def test_no_weights_are_ones():
    assert class_weights(CLASSES, 4, Imbalance()).tolist() == [1, 1, 0, 1]


def test_effective_number_weights_follow_cui_et_al():
    weights = class_weights(CLASSES, 4, Imbalance("effective", beta=0.9))
    np.testing.assert_allclose(weights[3] / weights[0], (1 - 0.9**80) / (1 - 0.9**5), rtol=1e-6)
    assert abs(weights[CLASSES].mean() - 1) < 1e-6


def test_balanced_drawing_gives_each_class_its_chance():
    chance = draw_weights(CLASSES, 4, 1.0)
    assert chance is not None
    np.testing.assert_allclose([chance[label == CLASSES].sum() for label in (0, 1, 3)], 1 / 3)
    half = draw_weights(CLASSES, 4, 0.5)
    assert half is not None
    np.testing.assert_allclose(half[CLASSES == 3].sum() / half[CLASSES == 0].sum(), (5 / 80) ** 0.5)
    assert draw_weights(CLASSES, 4, 0.0) is None


def test_shares_sum_to_one():
    assert class_shares(CLASSES, 4).tolist() == [0.8, 0.15, 0.0, 0.05]
