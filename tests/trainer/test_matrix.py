"""The order of a confusion matrix."""

import numpy as np

from trainer.judge.matrix import order_by_confusion


def test_confused_classes_stand_side_by_side_and_those_never_confused_come_last():
    counts = np.diag([9, 9, 9, 9, 9])
    counts[1, 3], counts[3, 1] = 4, 5
    counts[2, 4] = 1
    assert order_by_confusion(counts) == [1, 3, 2, 4, 0]


def test_a_chain_of_confusion_is_laid_out_from_end_to_end():
    counts = np.diag([20] * 5)
    for one, other in ((0, 3), (3, 1), (1, 4), (4, 2)):
        counts[one, other] = 10
    assert order_by_confusion(counts) in ([0, 3, 1, 4, 2], [2, 4, 1, 3, 0])


def test_every_class_stands_once_also_those_without_images():
    random = np.random.default_rng(0)
    counts = random.poisson(0.3, (40, 40))
    counts[7] = 0
    assert sorted(order_by_confusion(counts)) == list(range(40))
