"""The loss against its formula."""

import keras
import numpy as np

from trainer.loss import AdjustedCrossentropy

SHARES = np.array([0.9, 0.1, 0.0])
SCORES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], np.float32)
LABELS = np.array([[0.0, 1.0, 0.0], [0.1, 0.9, 0.0]], np.float32)


def losses(tau: float) -> np.ndarray:
    return keras.ops.convert_to_numpy(AdjustedCrossentropy(SHARES, tau).call(LABELS, SCORES))


def test_without_adjustment_it_is_the_cross_entropy_of_soft_labels():
    np.testing.assert_allclose(losses(0.0), -(LABELS * np.log(SCORES)).sum(axis=1), rtol=1e-5)


def test_the_adjusted_loss_is_the_cross_entropy_of_scores_times_shares_to_the_tau():
    raised = SCORES * np.array([0.9, 0.1, 0.05]) ** 0.5  # a class without images: half of the rarest one's share
    raised /= raised.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(losses(0.5), -(LABELS * np.log(raised)).sum(axis=1), rtol=1e-5)


def test_a_rare_class_must_win_by_a_margin():
    rare, plain = losses(1.0)[0], losses(0.0)[0]
    assert rare > plain


def test_a_score_of_nothing_is_a_large_loss_and_not_an_infinite_one():
    loss = AdjustedCrossentropy(SHARES, 0.0).call(np.array([[1.0, 0, 0]]), np.array([[0.0, 1.0, 0.0]]))
    assert 10 < float(loss[0]) < 20
