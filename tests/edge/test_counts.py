"""Counting: bins, totals, bundles, and every image accounted for."""

from collections import Counter
from contextlib import closing
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.errors import BadConfig
from bundle.vote import NO_LABEL
from edge.bins import SECOND_NS, bin_start, parse_width, utc_text, width_text
from edge.counts import Accounting, Bin, LedgerBundle, add_up, count_verdicts, read_counts
from edge.ledger.ledger import open_ledger
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.raising import Raising

from .filled import TEN, at, fill, other_bundle

HOUR = 3600 * SECOND_NS
ZOO = LedgerBundle(1, "zoo", "aa" * 32, ("chain", "sphere", "jelly"))
SEA = LedgerBundle(2, "sea", "bb" * 32, ("sphere", "worm"))


# The width of a bin


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("30s", 30), ("10m", 600), ("1h", 3600), (" 1d ", 86400), ("366d", 366 * 86400)]
)
def test_a_width_is_a_whole_number_and_a_unit(text, seconds):
    assert parse_width(text) == seconds * SECOND_NS


@pytest.mark.parametrize(
    "text", ["", "1", "h", "0h", "-1h", "1.5h", "1w", "1 h", "1H", "367d", "99999999999s", "1h30m", "١h"]
)
def test_any_other_width_is_refused_with_examples(text):
    with pytest.raises(BadConfig) as refused:
        parse_width(text)
    assert str(refused.value) == (
        f"'{text}' is not a bin width: a whole number and a unit (s, m, h or d), from 1s to 366d; "
        "examples: 30s, 10m, 1h, 1d"
    )


@pytest.mark.parametrize("text", ["1s", "90s", "10m", "90m", "1h", "36h", "1d", "7d"])
def test_a_width_is_told_as_it_was_given_or_in_a_larger_whole_unit(text):
    assert parse_width(width_text(parse_width(text))) == parse_width(text)
    assert width_text(parse_width("60m")) == "1h"
    assert width_text(parse_width(text)) == text


# Where a bin begins, and how an instant is written


def test_an_hour_begins_on_the_hour_and_a_day_at_midnight_utc():
    assert utc_text(bin_start(at("10:59:59"), HOUR)) == "2026-11-25T10:00:00Z"
    assert utc_text(bin_start(at("11:00:00"), HOUR)) == "2026-11-25T11:00:00Z"
    assert utc_text(bin_start(at("10:59:59"), 24 * HOUR)) == "2026-11-25T00:00:00Z"


@given(st.integers(-(10**18), 4 * 10**18), st.integers(1, 366 * 86400))
def test_every_instant_lies_in_its_bin_and_the_bins_do_not_hang_on_the_data(instant, seconds):
    width = seconds * SECOND_NS
    start = bin_start(instant, width)
    assert start <= instant < start + width
    assert start % width == 0


def test_an_instant_is_iso_8601_in_utc_with_milliseconds_only_where_there_are_any():
    assert utc_text(TEN) == "2026-11-25T10:00:00Z"
    assert utc_text(TEN + 250_999_999) == "2026-11-25T10:00:00.250Z"
    assert utc_text(0) == "1970-01-01T00:00:00Z"
    assert utc_text(-1) == "1969-12-31T23:59:59.999Z"  # a camera without a clock


# Pure counting


def test_a_bin_counts_every_label_of_the_bundle_at_work_zeros_included():
    verdicts = [(at("10:00:00"), 1, 0, 1), (at("10:59:59"), 1, 0, 1), (at("12:00:00"), 1, NO_LABEL, 1)]
    by_bundle, bins = count_verdicts(verdicts, [ZOO], HOUR)
    assert by_bundle == ((ZOO, {"chain": 2, "sphere": 0, "jelly": 0, "unclassified": 1}),)
    assert bins == (
        Bin(at("10:00:00"), at("11:00:00"), {"chain": 2, "sphere": 0, "jelly": 0, "unclassified": 0}, (ZOO,)),
        Bin(at("12:00:00"), at("13:00:00"), {"chain": 0, "sphere": 0, "jelly": 0, "unclassified": 1}, (ZOO,)),
    )


def test_a_bin_without_a_verdict_does_not_exist():
    _, bins = count_verdicts([(at("10:00:00"), 1, 0, 1), (at("13:00:00"), 1, 0, 1)], [ZOO], HOUR)
    assert [utc_text(each.start_ns) for each in bins] == ["2026-11-25T10:00:00Z", "2026-11-25T13:00:00Z"]


def test_labels_of_the_same_name_add_up_over_bundles_and_each_share_stays_traceable():
    verdicts = [(at("10:00:00"), 1, 1, 5), (at("10:30:00"), 2, 0, 2), (at("11:00:00"), 2, 1, 1)]
    by_bundle, bins = count_verdicts(verdicts, [ZOO, SEA], HOUR)
    assert by_bundle == (
        (ZOO, {"chain": 0, "sphere": 5, "jelly": 0, "unclassified": 0}),
        (SEA, {"sphere": 2, "worm": 1, "unclassified": 0}),
    )
    both = {"chain": 0, "sphere": 7, "jelly": 0, "worm": 0, "unclassified": 0}
    assert bins == (
        Bin(at("10:00:00"), at("11:00:00"), both, (ZOO, SEA)),
        Bin(at("11:00:00"), at("12:00:00"), {"sphere": 0, "worm": 1, "unclassified": 0}, (SEA,)),
    )
    assert list(both) == ["chain", "sphere", "jelly", "worm", "unclassified"]
    assert list(bins[0].counts) == list(both)


def test_without_a_width_there_are_no_bins():
    by_bundle, bins = count_verdicts([(0, 1, 2, 9)], [ZOO], None)
    assert by_bundle == ((ZOO, {"chain": 0, "sphere": 0, "jelly": 9, "unclassified": 0}),)
    assert bins == ()


def test_a_bundle_without_a_verdict_is_counted_with_its_zeros():
    by_bundle, bins = count_verdicts([], [ZOO], HOUR)
    assert by_bundle == ((ZOO, {"chain": 0, "sphere": 0, "jelly": 0, "unclassified": 0}),)
    assert bins == ()


@given(
    st.lists(st.tuples(st.integers(0, 10**15), st.sampled_from([1, 2]), st.sampled_from([-1, 0, 1]), st.just(1))),
    st.integers(1, 10**6),
)
def test_no_verdict_is_lost_or_counted_twice_whatever_the_width(verdicts, seconds):
    by_bundle, bins = count_verdicts(verdicts, [ZOO, SEA], seconds * SECOND_NS)
    truth = Counter({ZOO.id: ZOO, SEA.id: SEA}[bundle].label_name(label) for _, bundle, label, _ in verdicts)
    totals = add_up(share for _, share in by_bundle)
    assert {label: images for label, images in totals.items() if images} == truth
    assert add_up(each.counts for each in bins) == {
        label: images for label, images in totals.items() if any(label in each.counts for each in bins)
    }
    assert all(earlier.end_ns <= later.start_ns for earlier, later in pairwise(bins))


def test_the_accounting_says_its_sum_and_whether_it_comes_out():
    assert str(Accounting(6, 3, 2, 1, 0, 4)) == "seen 6 = counted 3 + rejected 2 + waiting 1 + dropped 0"
    assert Accounting(6, 3, 2, 1, 0, 4).adds_up
    assert not Accounting(7, 3, 2, 1, 0, 4).adds_up
    assert str(Accounting(9, 3, 2, 1, 3, 4)) == "seen 9 = counted 3 + rejected 2 + waiting 1 + dropped 3"
    assert Accounting(9, 3, 2, 1, 3, 4).adds_up
    assert not Accounting(6, 3, 2, 1, 3, 4).adds_up


def test_images_left_out_stand_in_their_bin_and_raise_its_counts_alone():
    verdicts = [(at("10:00:00"), 1, 0, 3), (at("11:00:00"), 1, 1, 2)]
    dropped = [(at("10:30:00"), 4), (at("10:59:59"), 2), (at("13:00:00"), 5)]
    by_bundle, bins = count_verdicts(verdicts, [ZOO], HOUR, dropped)
    none = {"chain": 0, "sphere": 0, "jelly": 0, "unclassified": 0}
    assert by_bundle == ((ZOO, {**none, "chain": 3, "sphere": 2}),), "what was left out is in no count"
    assert bins == (
        Bin(at("10:00:00"), at("11:00:00"), {**none, "chain": 3}, (ZOO,), dropped=6),
        Bin(at("11:00:00"), at("12:00:00"), {**none, "sphere": 2}, (ZOO,), dropped=0),
        Bin(at("13:00:00"), at("14:00:00"), {}, (), dropped=5),
    )
    assert [each.raising for each in bins] == [Raising(3, 6), Raising(2, 0), Raising(0, 5)]
    assert [each.raising.factor for each in bins] == [3.0, 1.0, None]


# From a ledger


def test_a_ledger_is_counted_whole(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(
        path,
        tiny,
        counted=[("10:00:00", 0), ("10:20:00", 2), ("11:00:00", 2), ("11:00:01", NO_LABEL)],
        rejected=["truncated", "empty", "truncated"],
        unread=["unreadable"],
        waiting=2,
        duplicates=3,
    )
    with closing(open_ledger_readonly(path)) as connection:
        counts = read_counts(connection, HOUR)
    here = LedgerBundle(1, "tiny-3", tiny.digest, tiny.labels)
    totals = {"chain": 1, "sphere": 0, "jelly": 2, "unclassified": 1}
    assert counts.accounting == Accounting(seen=10, counted=4, rejected=4, waiting=2, dropped=0, duplicates=3)
    assert counts.accounting.adds_up
    assert list(counts.rejects.items()) == [("truncated", 2), ("empty", 1), ("unreadable", 1)]
    assert counts.totals == totals
    assert counts.by_bundle == ((here, totals),)
    assert counts.bins == (
        Bin(at("10:00:00"), at("11:00:00"), {"chain": 1, "sphere": 0, "jelly": 1, "unclassified": 0}, (here,)),
        Bin(at("11:00:00"), at("12:00:00"), {"chain": 0, "sphere": 0, "jelly": 1, "unclassified": 1}, (here,)),
    )


def test_the_totals_are_the_same_with_and_without_bins(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, counted=[("10:00:00", 0), ("10:00:01", 0), ("23:00:00", 1)])
    fill(path, other_bundle(tiny, ("sphere", "worm")), counted=[("10:00:00", 0), ("12:00:00", NO_LABEL)])
    with closing(open_ledger_readonly(path)) as connection:
        binned, whole = read_counts(connection, HOUR), read_counts(connection)
    assert whole.totals == binned.totals == {"chain": 2, "sphere": 2, "jelly": 0, "worm": 0, "unclassified": 1}
    assert whole.by_bundle == binned.by_bundle
    assert (len(whole.bins), len(binned.bins)) == (0, 3)


def test_the_rejects_by_reason_are_as_many_as_the_accounting_says(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, rejected=["corrupt"] * 3, unread=["vanished", "unreadable"])
    with closing(open_ledger_readonly(path)) as connection:
        counts = read_counts(connection)
    assert counts.rejects == {"corrupt": 3, "unreadable": 1, "vanished": 1}
    assert sum(counts.rejects.values()) == counts.accounting.rejected


@pytest.mark.parametrize("width", [SECOND_NS, 600 * SECOND_NS, HOUR, 24 * HOUR])
def test_whole_hours_are_counted_from_the_hourly_sums_as_other_widths_are_from_the_verdicts(tmp_path, tiny, width):
    path = tmp_path / "ledger.sqlite"
    fill(
        path,
        tiny,
        counted=[("09:59:59", 0), ("10:00:00", 2), ("10:59:59", 2), ("11:00:00", NO_LABEL)],
        aside=[("10:30:00", 2, "blurred"), ("15:00:00", 1, "in port")],
        dropped=["10:10:00", "14:00:00"],
    )
    with closing(open_ledger_readonly(path)) as connection:
        counts = read_counts(connection, width)
    seen: Counter[tuple[int, str]] = Counter()
    for clock, label in (("09:59:59", "chain"), ("10:00:00", "jelly"), ("10:59:59", "jelly")):
        seen[bin_start(at(clock), width), label] += 1
    seen[bin_start(at("11:00:00"), width), "unclassified"] += 1
    assert {
        (each.start_ns, label): images for each in counts.bins for label, images in each.counts.items() if images
    } == seen
    left_out = Counter(bin_start(at(clock), width) for clock in ("10:10:00", "14:00:00"))
    assert {each.start_ns: each.dropped for each in counts.bins if each.dropped} == left_out


def test_images_set_aside_and_dropped_are_in_the_accounts_and_in_no_count(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(
        path,
        tiny,
        counted=[("10:00:00", 0)],
        rejected=["empty"],
        waiting=1,
        dropped=["10:00:01", "10:00:02"],
        aside=[("10:00:03", 1, "blurred"), ("10:00:04", 0, "blurred"), ("10:00:05", 0, "in port")],
    )
    with closing(open_ledger_readonly(path)) as connection:
        counts = read_counts(connection)
    assert counts.accounting == Accounting(seen=8, counted=1, rejected=4, waiting=1, dropped=2, duplicates=0)
    assert counts.accounting.adds_up
    assert list(counts.rejects.items()) == [("blurred", 2), ("empty", 1), ("in port", 1)]
    assert counts.totals == {"chain": 1, "sphere": 0, "jelly": 0, "unclassified": 0}


def test_an_empty_ledger_counts_nothing(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path):
        pass
    with closing(open_ledger_readonly(path)) as connection:
        counts = read_counts(connection, HOUR)
    assert counts.accounting == Accounting(0, 0, 0, 0, 0, 0)
    assert (counts.rejects, counts.totals, counts.by_bundle, counts.bins) == ({}, {}, (), ())


def test_all_figures_are_of_one_moment_though_the_daemon_writes_between_them(tmp_path, tiny):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, counted=[("10:00:00", 0)])
    later = other_bundle(tiny, ("worm", "fish"))
    written = []

    def write_in_between(statement: str) -> None:
        if "FROM bundle" in statement and not written:
            written.append(statement)
            fill(path, later, counted=[("10:00:00", 0), ("10:00:01", 1)], rejected=["empty"])

    with closing(open_ledger_readonly(path)) as connection:
        connection.set_trace_callback(write_in_between)
        before = read_counts(connection, HOUR)
        connection.set_trace_callback(None)
        after = read_counts(connection, HOUR)
    assert written
    assert before.accounting == Accounting(1, 1, 0, 0, 0, 0)
    assert sum(before.totals.values()) == 1
    assert after.accounting == Accounting(4, 3, 1, 0, 0, 0)
    assert sum(after.totals.values()) == 3
