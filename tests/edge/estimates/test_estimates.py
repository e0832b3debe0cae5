"""Estimates of a report's counts: what is added to raw counts, and when nothing can be."""

from contextlib import closing
from dataclasses import astuple

import numpy as np
import pytest

from bundle.errors import BadConfig
from bundle.folder import open_bundle
from edge.counts import Accounting, Counts, LedgerBundle, add_up, count_verdicts, read_counts
from edge.estimates.estimate import Estimates, estimate
from edge.estimates.poisson import garwood
from edge.estimates.validated import Validated
from edge.ledger.ledgerfile import open_ledger_readonly
from tests.edge.filled import fill, other_bundle
from tests.edge.images import TINY_BUNDLE

HOUR = 3600 * 10**9
LABELS = ("copepod", "jelly", "krill")
ONE = LedgerBundle(1, "one", "ab" * 32, LABELS)
OTHER = LedgerBundle(2, "other", "cd" * 32, LABELS)
CONFUSION = np.array([[95, 3, 0, 2], [10, 60, 5, 5], [0, 4, 30, 1]])
VALIDATED = Validated(LABELS, CONFUSION)


def counted(rows, dropped=(), width=HOUR, bundles=(ONE,), all_dropped=0) -> Counts:
    """rows: hour, bundle id, class or -1, images."""
    by_bundle, bins = count_verdicts([(h * HOUR, *rest) for h, *rest in rows], bundles, width, dropped)
    totals = add_up(share for _, share in by_bundle)
    seen = sum(totals.values())
    accounting = Accounting(seen + all_dropped, seen, 0, 0, all_dropped, 0)
    return Counts(accounting, {}, totals, by_bundle, bins)


SOME = counted([(0, 1, 0, 400), (0, 1, 1, 40), (1, 1, 0, 5), (1, 1, 2, 20), (1, 1, -1, 5)])


def sums(mapping, field):
    return sum(getattr(each, field) for each in mapping.values())


def test_corrected_counts_sum_to_all_images_of_the_stretch_and_lie_in_their_intervals():
    found = estimate(SOME, VALIDATED)
    assert found.note is None
    assert sums(found.totals, "corrected") == pytest.approx(470)
    assert [sums(each, "corrected") for each in found.bins] == pytest.approx([440, 30])
    for mapping in (found.totals, *found.bins):
        for label, each in mapping.items():
            assert 0 <= each.low <= each.corrected <= each.high, label
            assert each.raw_low <= each.raised <= each.raw_high
            assert each.raw == each.raised
    unclassified = found.totals["unclassified"]
    assert (unclassified.raw, unclassified.corrected, unclassified.low, unclassified.high) == (5, 0, 0, 0)


def test_raw_intervals_are_garwoods():
    found = estimate(SOME, None).totals["krill"]
    assert (found.raw_low, found.raw_high) == pytest.approx(garwood(20))


def test_the_same_seed_gives_the_same_numbers_and_another_nearly_the_same():
    one, same, other = (estimate(SOME, VALIDATED, seed=seed) for seed in (0, 0, 1))
    assert one == same
    assert one != other
    for label, each in one.totals.items():
        assert other.totals[label].corrected == pytest.approx(each.corrected, abs=0.02 * 470)


def test_without_validation_there_are_raw_counts_alone_and_a_reason():
    for validated in (None, Validated(LABELS, np.zeros((3, 4), np.int64))):
        found = estimate(SOME, validated)
        assert "no validation" in found.note
        for each in found.totals.values():
            assert (each.corrected, each.low, each.high) == (None, None, None)
            assert each.raised == each.raw
        assert [sums(each, "raw") for each in found.bins] == [440, 30]


def test_verdicts_of_two_bundles_are_not_corrected_together():
    both = counted([(0, 1, 0, 4), (1, 2, 0, 7)], bundles=(ONE, OTHER))
    found = estimate(both, VALIDATED)
    assert "Choose one with --classifier" in found.note
    assert astuple(found.totals["copepod"])[0] == 11
    assert found.totals["copepod"].corrected is None


def test_a_bundle_that_gave_no_verdict_does_not_hinder():
    assert estimate(counted([(0, 1, 0, 4)], bundles=(ONE, OTHER)), VALIDATED).note is None


def test_the_validation_of_other_labels_is_not_used():
    found = estimate(SOME, Validated(("a", "b", "c"), CONFUSION))
    assert "labels of the validation" in found.note
    assert found.totals["jelly"].corrected is None


def test_a_bin_in_which_nothing_was_classified_has_no_estimates_and_its_images_are_in_the_totals():
    counts = counted([(0, 1, 0, 30), (0, 1, 1, 10)], dropped=[(5 * HOUR, 40)])
    found = estimate(counts, VALIDATED)
    assert found.bins[1] == {}
    assert sums(found.totals, "raised") == pytest.approx(80)
    assert sums(found.totals, "corrected") == pytest.approx(80)


def test_images_left_out_raise_the_estimates_of_their_own_bin_and_widen_its_intervals():
    counts = counted([(0, 1, 0, 50), (1, 1, 0, 50)], dropped=[(HOUR, 150)])
    found = estimate(counts, VALIDATED)
    plain, raised = (each["copepod"] for each in found.bins)
    assert (plain.raised, raised.raised) == (50, 200)
    assert (raised.raw_low, raised.raw_high) == pytest.approx([4 * end for end in garwood(50)])
    assert sums(found.bins[1], "corrected") == pytest.approx(200)
    assert raised.high > 3 * plain.high
    assert found.totals["copepod"].raised == pytest.approx(250)
    assert found.totals["copepod"].raw_high > garwood(250)[1]


def test_without_bins_the_images_left_out_raise_the_whole():
    counts = counted([(0, 1, 0, 50)], width=None, all_dropped=50)
    found = estimate(counts, VALIDATED)
    assert found.bins == ()
    assert found.totals["copepod"].raised == pytest.approx(100)
    assert sums(found.totals, "corrected") == pytest.approx(100)


def test_where_all_was_left_out_nothing_is_known():
    found = estimate(counted([], dropped=[(0, 9)]), VALIDATED)
    assert found.totals["copepod"] == type(found.totals["copepod"])(0, None, None, None, None, None, None)


def test_an_empty_ledger_has_zeros():
    found = estimate(counted([]), VALIDATED)
    assert found.bins == ()
    assert found.totals["copepod"].corrected == 0
    assert found.totals["copepod"].raw_high == pytest.approx(3.6889, abs=1e-4)
    assert estimate(Counts(Accounting(0, 0, 0, 0, 0, 0), {}, {}, (), ()), None) == Estimates(
        {}, (), estimate(SOME, None).note
    )


def test_an_uncertain_volume_widens_the_corrected_interval_alone():
    sure, unsure = (estimate(SOME, VALIDATED, relative_volume_sd=sd).totals["copepod"] for sd in (0.0, 0.5))
    assert unsure.high > sure.high
    assert unsure.corrected == sure.corrected
    assert unsure.raw_high == sure.raw_high
    with pytest.raises(ValueError, match="relative_volume_sd"):
        estimate(SOME, VALIDATED, relative_volume_sd=-1)


@pytest.fixture
def two_classifiers(tmp_path):
    bundle = open_bundle(TINY_BUNDLE)
    file = tmp_path / "ledger.sqlite"
    fill(file, bundle, counted=[("10:05:00", 0), ("10:15:00", 1)])
    fill(file, other_bundle(bundle, bundle.labels), counted=[("11:05:00", 2)])
    with closing(open_ledger_readonly(file)) as connection:
        yield bundle, connection


def test_one_classifier_is_chosen_by_the_beginning_of_its_digest(two_classifiers):
    bundle, connection = two_classifiers
    assert sum(read_counts(connection, HOUR).totals.values()) == 3
    for width in (None, HOUR, HOUR // 2):
        counts = read_counts(connection, width, bundle=bundle.digest[:6])
        assert counts.totals == {"chain": 1, "sphere": 1, "jelly": 0, "unclassified": 0}
        assert [each.digest for each, _ in counts.by_bundle] == [bundle.digest]
        assert counts.accounting.counted == 3
    assert read_counts(connection, HOUR, bundle="cdcd").totals["jelly"] == 1


def test_a_classifier_that_the_ledger_does_not_know_is_refused_and_the_known_ones_named(two_classifiers):
    bundle, connection = two_classifiers
    for wrong in ("xyz", ""):
        with pytest.raises(BadConfig, match=rf"no classifier has a digest.*{bundle.digest[:12]}"):
            read_counts(connection, HOUR, bundle=wrong)
