"""The exact interval of a count, against a published table and SciPy where it is installed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.estimates.poisson import gamma_quantile, garwood, weighted


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(0, 0, 3.6889), (1, 0.0253, 5.5716), (2, 0.2422, 7.2247), (5, 1.6235, 11.6683), (10, 4.7954, 18.3904)],
)  # Garwood 1936, as tabled in Pearson & Hartley, Biometrika Tables for Statisticians I, table 40
def test_the_interval_of_a_small_count_is_the_tabled_one(count, low, high):
    assert garwood(count) == pytest.approx((low, high), abs=6e-5)


def test_the_interval_is_scipys_within_a_thousandth_of_a_percent():
    gamma = pytest.importorskip("scipy.stats").gamma
    for count in (0.3, 1, 2, 2.5, 3, 7, 9, 30, 150, 999, 1998, 2000, 5000, 10**6):
        wanted = (gamma.ppf(0.025, count), gamma.ppf(0.975, count + 1))
        assert garwood(count) == pytest.approx(wanted, rel=1e-5), count


@given(st.floats(0.05, 5000), st.sampled_from([0.001, 0.025, 0.5, 0.975, 0.999]))
def test_a_quantile_rises_with_the_shape(shape, probability):
    assert 0 < gamma_quantile(shape, probability) <= gamma_quantile(shape * 1.01, probability)


@given(st.floats(0, 1e6))
def test_a_count_lies_in_its_own_interval(count):
    low, high = garwood(count)
    assert low <= count < high


def test_equal_weights_scale_the_interval_of_the_sum():
    low, high = garwood(9)
    assert weighted([4, 0, 5], [2.5, 2.5, 2.5]) == pytest.approx((2.5 * low, 2.5 * high))


def test_of_nothing_found_the_upper_end_is_that_of_the_heaviest_image():
    assert weighted([0, 0], [1.0, 4.0]) == pytest.approx((0.0, 4 * 3.68888), rel=1e-5)


@pytest.mark.parametrize("count", [-1, float("nan"), float("inf")])
def test_what_is_no_count_is_refused(count):
    with pytest.raises(ValueError, match="a count is a number from 0"):
        garwood(count)
