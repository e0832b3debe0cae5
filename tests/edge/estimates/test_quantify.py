"""Shares from scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.estimates.quantify import emq


def simulated(shares, images, seed=0):
    """Calibrated posteriors under equal priors: a Gaussian measurement of each of three classes."""
    random = np.random.default_rng(seed)
    truth = random.choice(3, images, p=shares)
    value = random.normal([0.0, 1.5, 3.0], 1.0, (images, 3))[np.arange(images), truth]
    likelihood = np.exp(-0.5 * (value[:, None] - np.array([0.0, 1.5, 3.0])) ** 2)
    return likelihood / likelihood.sum(axis=1, keepdims=True)


def test_shifted_shares_are_found_where_counting_the_best_class_is_biased():
    shares = np.array([0.85, 0.05, 0.1])
    scores = simulated(shares, 20_000)
    counted = np.bincount(scores.argmax(axis=1), minlength=3) / len(scores)
    found = emq(scores, np.full(3, 1 / 3))
    assert np.abs(found - shares).max() < 0.02 < 0.08 < np.abs(counted - shares).max()


@given(st.integers(0, 1000), st.integers(1, 50))
def test_shares_are_on_the_simplex_and_move_with_the_classes(seed, images):
    scores = np.random.default_rng(seed).dirichlet([0.3] * 4, images) + 1e-12
    prior, order = np.array([0.1, 0.2, 0.3, 0.4]), np.array([2, 0, 3, 1])
    found = emq(scores, prior)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    assert emq(scores[:, order], prior[order]) == pytest.approx(found[order], abs=1e-6)


def test_certain_scores_are_counted():
    assert emq(np.eye(3)[[0, 0, 1, 2]], np.full(3, 1 / 3)) == pytest.approx([0.5, 0.25, 0.25])


def test_without_an_image_the_answer_is_the_prior():
    assert emq(np.zeros((0, 2)), np.array([3.0, 1.0])) == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize(
    ("scores", "prior", "fault"),
    [
        ([[0.5, 0.5]], [1.0], "posteriors are"),
        ([[0.5, -0.5]], [1.0, 1.0], "finite numbers from 0"),
        ([[0.5, np.nan]], [1.0, 1.0], "finite numbers from 0"),
        ([[0.0, 1.0]], [1.0, 0.0], "no class with a score"),
        ([[0.0, 1.0]], [0.0, 0.0], "the prior has no class"),
    ],
)
def test_scores_that_cannot_be_meant_are_refused(scores, prior, fault):
    with pytest.raises(ValueError, match=fault):
        emq(np.array(scores), np.array(prior))
