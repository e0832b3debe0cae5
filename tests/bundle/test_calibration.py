"""Log loss, calibration error and temperature against figures worked out by hand."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.calibration import (
    COLDEST,
    ReliabilityBin,
    at_temperature,
    calibration_error,
    fit_temperature,
    log_loss,
    reliability,
)


def test_log_loss_is_the_mean_surprise_in_nats():
    scores = np.array([[0.5, 0.5], [0.25, 0.75]])
    assert log_loss(np.array([0, 1], np.int32), scores) == pytest.approx((log(2) + log(4 / 3)) / 2)


def test_a_score_of_zero_for_the_truth_costs_as_much_as_the_competition_made_it_cost():
    assert log_loss(np.array([1], np.int32), np.array([[1, 0]], np.float32)) == pytest.approx(34.538776394910684)


def test_the_calibration_error_of_five_verdicts():
    score = np.array([0.95, 0.95, 0.95, 0.95, 0.55])
    right = np.array([True, True, True, False, True])
    bins = reliability(score, right, bins=10)
    assert bins == (
        ReliabilityBin(0.5, 0.6, 1, 0.55, 1.0),
        ReliabilityBin(0.9, 1.0, 4, pytest.approx(0.95), 0.75),
    )
    assert calibration_error(bins) == pytest.approx((1 * 0.45 + 4 * 0.20) / 5)


def test_a_bin_holds_its_upper_end_and_the_first_one_also_zero():
    found = reliability(np.array([0.0, 0.25, 0.26, 1.0]), np.zeros(4, bool), bins=4)
    assert [(each.low, each.images) for each in found] == [(0.0, 2), (0.25, 1), (0.75, 1)]


def test_a_temperature_of_two_takes_the_square_root_of_the_odds():
    np.testing.assert_allclose(at_temperature(np.array([[0.8, 0.2]]), 2.0), [[2 / 3, 1 / 3]])


def test_scores_of_nine_tenths_that_are_right_three_times_in_four_want_a_temperature_of_two():
    # sigmoid(logit(0.9) / T) = 0.75 where T = ln 9 / ln 3
    truth = np.array([0, 0, 0, 1] * 25, np.int32)
    assert fit_temperature(truth, np.tile([0.9, 0.1], (100, 1))) == pytest.approx(2, rel=1e-4)


def test_where_no_verdict_is_wrong_the_temperature_stops_at_the_end_of_its_range():
    assert fit_temperature(np.zeros(9, np.int32), np.tile([0.9, 0.1], (9, 1))) == pytest.approx(COLDEST, rel=1e-4)


@given(st.integers(0, 2**32 - 1), st.floats(-2, 2))
def test_no_temperature_has_less_loss_than_the_fitted_one_and_none_changes_a_verdict(seed: int, other: float):
    random = np.random.default_rng(seed)
    scores = random.dirichlet(np.full(5, 0.3), 60).astype(np.float32)
    truth = np.where(random.random(60) < 0.6, scores.argmax(axis=1), random.integers(0, 5, 60)).astype(np.int32)
    fitted = at_temperature(scores, fit_temperature(truth, scores))
    assert log_loss(truth, fitted) <= log_loss(truth, at_temperature(scores, exp(other))) + 1e-6
    np.testing.assert_allclose(fitted.sum(axis=1), 1)
    best = scores.max(axis=1)
    assert np.isclose(fitted[np.arange(60), scores.argmax(axis=1)], fitted.max(axis=1)).all()
    np.testing.assert_allclose(at_temperature(scores, 1.0).max(axis=1), best, rtol=1e-5)
