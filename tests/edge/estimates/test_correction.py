"""Corrected counts: what must hold for any confusion and any verdicts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.estimates.correction import POINT, corrected, draw_matrices, row_pattern, row_posterior, trust, unfold
from edge.estimates.intervals import WIDE, intervals, lowest_recall

C = 4
CONFUSIONS = arrays(np.int64, (C, C + 1), elements=st.integers(0, 60))
VERDICTS = arrays(np.int64, (3, C + 1), elements=st.integers(0, 400))


def correct(verdicts, confusion, draws=20):
    matrices = draw_matrices(row_posterior(confusion, POINT), draws, np.random.default_rng(0))
    return corrected(verdicts, confusion, matrices)


@settings(deadline=None)
@given(CONFUSIONS, VERDICTS)
def test_corrected_counts_are_never_negative_and_sum_to_all_images(confusion, verdicts):
    found = correct(verdicts, confusion)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert found.sum(axis=1) == pytest.approx(verdicts.sum(axis=1), rel=1e-9)


@settings(deadline=None)
@given(CONFUSIONS, st.booleans())
def test_the_pattern_of_rows_is_of_distributions_and_moves_with_the_classes(confusion, by_support):
    pattern = row_pattern(confusion, by_support)
    assert (pattern >= 0).all()
    assert pattern.sum(axis=1) == pytest.approx(1)
    order = np.array([2, 0, 3, 1])
    moved = confusion[order][:, [*order, C]]
    assert row_pattern(moved, by_support) == pytest.approx(pattern[order][:, [*order, C]])


@settings(deadline=None)
@given(CONFUSIONS, VERDICTS)
def test_unfolding_moves_with_the_classes(confusion, verdicts):
    order = np.array([2, 0, 3, 1])
    rows = confusion + 1.0
    rows /= rows.sum(axis=1, keepdims=True)
    start = np.full((3, C), 1 / C)
    found = unfold(verdicts, rows, start)
    moved = unfold(verdicts[:, [*order, C]], rows[order][:, [*order, C]], start)
    assert moved == pytest.approx(found[:, order], rel=1e-9, abs=1e-9)


def test_a_classifier_that_never_errs_gives_raw_counts_back():
    confusion = np.eye(C, C + 1, dtype=np.int64) * 10**8
    verdicts = np.array([[10, 0, 3, 200, 0], [0, 0, 0, 7, 0]])
    assert correct(verdicts, confusion) == pytest.approx(verdicts[:, :C], abs=1e-3)
    assert unfold(verdicts, np.eye(C, C + 1), np.full((2, C), 0.25)) == pytest.approx(verdicts[:, :C])


def test_unfolding_finds_the_truth_behind_exact_counts():
    rows = np.array([[0.8, 0.1, 0.0, 0.1], [0.2, 0.7, 0.1, 0.0], [0.0, 0.3, 0.6, 0.1]])
    truth = np.array([[900.0, 50.0, 50.0]])
    assert unfold(truth @ rows, rows, np.full((1, 3), 1 / 3), steps=2000) == pytest.approx(truth, rel=1e-3)


def test_much_validation_and_a_shifted_sea_bring_the_corrected_counts_near_the_truth_and_raw_ones_not():
    rows = np.array([[0.8, 0.1, 0.0, 0.1], [0.2, 0.7, 0.1, 0.0], [0.0, 0.3, 0.6, 0.1]])
    truth = np.array([18_000.0, 1_000.0, 1_000.0])
    verdicts = (truth @ rows)[None, :]
    found = correct(verdicts, np.round(rows * 20_000).astype(np.int64), draws=60)[0]
    assert np.abs(found - truth).sum() < 0.25 * np.abs(verdicts[0, :3] - truth).sum()


@settings(deadline=None)
@given(CONFUSIONS, VERDICTS, st.integers(2, 1000))
def test_so_many_times_the_verdicts_are_unfolded_to_so_many_times_the_counts(confusion, verdicts, times):
    rows = confusion + 1.0
    rows /= rows.sum(axis=1, keepdims=True)
    start = np.full((3, C), 1 / C)
    assert unfold(times * verdicts, rows, start) == pytest.approx(times * unfold(verdicts, rows, start), rel=1e-9)


def test_trust_rises_with_validation_with_the_set_and_with_the_distance():
    confusion = np.eye(2, 3, dtype=np.int64) * 50
    near, far, few = np.array([[500, 500, 0]]), np.array([[1000, 0, 0]]), np.array([[10, 0, 0]])
    (usual,), (shifted,), (small,) = (trust(each, confusion)[0] for each in (near, far, few))
    assert usual < shifted
    assert small < shifted
    assert trust(far, confusion * 100)[0, 0] > shifted
    assert trust(near, np.eye(2, 3, dtype=np.int64) * 10**15)[0, 0] == pytest.approx(1, abs=1e-2)
    assert trust(far, confusion * 0)[0, 0] == 0


def test_no_images_are_corrected_to_none():
    assert (correct(np.zeros((2, C + 1), np.int64), np.eye(C, C + 1, dtype=np.int64) * 9) == 0).all()


def test_unclassified_images_alone_are_shared_among_the_classes():
    found = correct(np.array([[0, 0, 0, 0, 50]]), np.eye(C, C + 1, dtype=np.int64) * 9)
    assert found.sum() == pytest.approx(50)
    assert (found > 0).all()


def test_intervals_are_the_same_by_seed_and_wider_with_less_validation_and_with_a_volume():
    verdicts, one = np.array([[60, 25, 10, 5, 0]]), np.ones(1)

    def width(images, seed=1, sd=0.0):
        confusion = np.eye(C, C + 1, dtype=np.int64) * images
        confusion[0, 1] = confusion[2, 3] = images // 10
        matrices = draw_matrices(row_posterior(confusion, WIDE), 400, np.random.default_rng(0))
        low, high = intervals(verdicts, one, matrices, lowest_recall(confusion), np.random.default_rng(seed), sd)
        assert (low <= high).all()
        return (high - low)[0]

    assert (width(1000) == width(1000)).all()
    assert (width(1000) != width(1000, seed=2)).any()
    assert width(10).sum() > width(10_000).sum()
    assert width(10_000, sd=1.0)[0] > 2 * width(10_000)[0]


def test_raised_intervals_are_the_factor_times_wider():
    confusion = np.eye(C, C + 1, dtype=np.int64) * 10_000
    matrices = draw_matrices(row_posterior(confusion, WIDE), 200, np.random.default_rng(0))
    verdicts, recall = np.array([[60, 25, 10, 5, 0]]), lowest_recall(confusion)
    plain = intervals(verdicts, np.ones(1), matrices, recall, np.random.default_rng(1))
    raised = intervals(verdicts, np.full(1, 3.0), matrices, recall, np.random.default_rng(1))
    for one, three in zip(plain, raised, strict=True):
        assert three == pytest.approx(3 * one, rel=1e-5)
