"""Counts of a stretch of time: the same images whichever table of the ledger told them."""

from collections import Counter
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bins import SECOND_NS
from edge.counts import Bin, read_counts
from edge.ledger.ledgerfile import open_ledger_readonly

from .filled import at, fill

HOUR, MINUTE = 3600 * SECOND_NS, 60 * SECOND_NS
SEEN = [
    ("08:59:59", 0),
    ("09:00:00", 0),
    ("09:30:00", 1),
    ("09:59:59", 1),
    ("10:00:00", 2),
    ("10:20:00", -1),
    ("11:00:00", 2),
    ("11:45:00", 0),
]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory, tiny):
    path = tmp_path_factory.mktemp("range") / "ledger.sqlite"
    fill(
        path,
        tiny,
        counted=SEEN,
        rejected=["undecodable"],
        dropped=["09:10:00", "10:59:59", "11:00:00"],
        aside=[("09:40:00", 1, "blurred")],
    )
    return path


def read(ledger, *asked):
    with closing(open_ledger_readonly(ledger)) as connection:
        return read_counts(connection, *asked)


def test_only_images_captured_from_the_first_instant_on_and_before_the_last_are_counted(ledger, tiny):
    counts = read(ledger, HOUR, at("09:00:00"), at("11:00:00"))
    worked = tuple(one for one, _ in counts.by_bundle)
    nine, ten, eleven = at("09:00:00"), at("10:00:00"), at("11:00:00")
    names = (*tiny.labels, "unclassified")
    assert counts.bins == (
        Bin(nine, ten, dict(zip(names, (1, 2, 0, 0), strict=True)), worked, dropped=1),
        Bin(ten, eleven, dict(zip(names, (0, 0, 1, 1), strict=True)), worked, dropped=1),
    )
    assert counts.totals == dict(zip(names, (1, 2, 1, 1), strict=True))
    assert counts.by_bundle == ((worked[0], counts.totals),)


def test_a_bound_within_an_hour_cuts_the_hour(ledger):
    counts = read(ledger, HOUR, at("09:30:00"), at("09:59:59"))
    assert [(each.start_ns, sum(each.counts.values()), each.dropped) for each in counts.bins] == [
        (at("09:00:00"), 1, 0)
    ]


def test_a_stretch_without_bins_has_totals_of_its_own(ledger):
    assert sum(read(ledger, None, at("10:00:00"), None).totals.values()) == 4
    assert sum(read(ledger, None, None, at("10:00:00")).totals.values()) == 4
    assert sum(read(ledger, None, at("10:20:00"), at("10:20:01")).totals.values()) == 1


def test_accounting_and_rejects_are_of_the_whole_ledger_whatever_the_stretch(ledger):
    whole, part = read(ledger, HOUR), read(ledger, HOUR, at("03:00:00"), at("04:00:00"))
    assert part.bins == ()
    assert set(part.totals.values()) == {0}
    assert (part.accounting, part.rejects) == (whole.accounting, whole.rejects)


HOURS = [at(f"{hour:02}:00:00") for hour in (8, 9, 10, 11, 12)]
INSTANTS = st.none() | st.sampled_from(HOURS) | st.integers(at("08:50:00"), at("11:50:00"))


@settings(deadline=None)
@given(from_ns=INSTANTS, to_ns=INSTANTS, width_ns=st.sampled_from([None, HOUR, 2 * HOUR, 10 * MINUTE, 90 * MINUTE]))
def test_whatever_the_bounds_and_the_width_each_image_inside_counts_once_in_its_bin(ledger, from_ns, to_ns, width_ns):
    inside = [
        (at(clock), label)
        for clock, label in SEEN
        if (from_ns is None or at(clock) >= from_ns) and (to_ns is None or at(clock) < to_ns)
    ]
    counts = read(ledger, width_ns, from_ns, to_ns)
    by_label = Counter(label for _, label in inside)
    assert list(counts.totals.values()) == [by_label[label] for label in (0, 1, 2, -1)]
    if width_ns is not None:
        wanted = Counter(ns // width_ns * width_ns for ns, _ in inside)
        assert {each.start_ns: sum(each.counts.values()) for each in counts.bins if each.counts} == wanted
