"""Counts in which people's labels take the place of the machine's: always what counting from scratch gives."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bundle.folder import Bundle
from edge.bins import bin_start
from edge.corrections.history import add_labels
from edge.corrections.humanlabel import HumanLabel
from edge.corrections.labelsfile import labels_file
from edge.counts import Bin, read_counts
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.ledger.migrations import migrate
from edge.reported import read_reported

from ..filled import at, fill, other_bundle

HOUR = 3600 * 10**9
BUNDLES = {1: ("aa" * 32, ("chain", "sphere", "jelly")), 2: ("bb" * 32, ("sphere", "worm"))}
ORDER = ("chain", "sphere", "jelly", "worm", "artefact", "Zebra fish", "unclassified")

images = st.lists(
    st.tuples(
        st.integers(-5 * HOUR, 5 * HOUR),  # capture time: before 1970 too
        st.sampled_from([1, 2]),
        st.integers(-1, 2),  # class index; 2 is no class of the second bundle
        st.sampled_from([None, None, None, "land"]),  # set aside
        st.sampled_from([None, None, *ORDER]),  # what a person said
        st.integers(0, 1),  # copies
    ),
    max_size=30,
)


def content(number: int) -> bytes:
    return sha256(b"%d" % number).digest()


def said(number: int, label: str | None) -> HumanLabel:
    return HumanLabel(content(number), label, "Ada", None, None, 7)


def ledger_of(rows) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    for number, (digest, labels) in BUNDLES.items():
        connection.execute("INSERT INTO bundle VALUES (?, ?, ?, ?, 0)", (number, digest, "b", json.dumps(labels)))
    for number, (capture_ns, bundle, label, aside, _, copies) in enumerate(rows):
        for copy in range(copies + 1):
            made = connection.execute(
                "INSERT INTO image (sha256, copy, bytes, capture_ns, time_source, aside) VALUES (?, ?, 1, ?, 'mtime', ?)",
                (content(number), copy, capture_ns, aside),
            )
            connection.execute(
                "INSERT INTO verdict (image_id, bundle_id, label, votes, score, classified_ns) VALUES (?, ?, ?, 2, 0.5, 0)",
                (made.lastrowid, bundle, min(label, len(BUNDLES[bundle][1]) - 1)),
            )
    return connection


def from_scratch(rows, start, end, bundle):
    """(counts, verified) of the images in [start, end), one by one."""
    counts, verified = Counter(), Counter()
    for capture_ns, its, label, aside, human, copies in rows:
        if aside or not start <= capture_ns < end or bundle not in (None, its):
            continue
        names = BUNDLES[its][1]
        machine = "unclassified" if label < 0 else names[min(label, len(names) - 1)]
        counts[human or machine] += copies + 1
        if human:
            verified[human] += copies + 1
    return counts, verified


@settings(max_examples=120, deadline=None)
@given(
    images,
    st.sampled_from([None, HOUR, 2 * HOUR, 1_700_000_000_001]),
    st.sampled_from([None, -2 * HOUR, 12_345]),
    st.sampled_from([None, 3 * HOUR, 9 * 10**12 + 1]),
    st.sampled_from([None, 1, 2]),
)
def test_counts_with_labels_are_those_of_counting_from_scratch(rows, width, start, end, only):
    labels = {content(number): said(number, row[4]) for number, row in enumerate(rows) if row[4]}
    labels |= {content(-1): said(-1, "jelly")}  # of an image that this ledger does not have
    digest = None if only is None else BUNDLES[only][0]
    with closing(ledger_of(rows)) as connection:
        found = read_counts(connection, width, start, end, digest, labels)
    low, high = -(10**20) if start is None else start, 10**20 if end is None else end
    counts, verified = from_scratch(rows, low, high, only)
    assert {label: number for label, number in found.totals.items() if number} == counts
    assert found.verified == verified
    assert sum(sum(share.values()) for _, share in found.by_bundle) == sum(counts.values())
    for bundle, share in found.by_bundle:
        assert {label: n for label, n in share.items() if n} == from_scratch(rows, low, high, bundle.id)[0]
        assert list(share)[: len(bundle.labels)] == list(bundle.labels)
    if width is None:
        assert found.bins == ()
        return
    starts = {
        bin_start(row[0], width) for row in rows if not row[3] and low <= row[0] < high and only in (None, row[1])
    }
    assert [each.start_ns for each in found.bins] == sorted(starts)
    for each in found.bins:
        its, looked = from_scratch(rows, max(low, each.start_ns), min(high, each.end_ns), only)
        assert {label: number for label, number in each.counts.items() if number} == its
        assert each.verified == looked


@settings(max_examples=30, deadline=None)
@given(images, st.sampled_from([None, HOUR, 7]))
def test_without_labels_nothing_is_as_it_would_not_have_been(rows, width):
    taken_back = {content(number): said(number, None) for number in range(len(rows))}
    with closing(ledger_of(rows)) as connection:
        assert read_counts(connection, width, labels=taken_back) == read_counts(connection, width)
        assert read_counts(connection, width).verified == {}


# The file beside the ledger


def test_a_label_counts_in_the_place_of_the_verdict_and_the_accounts_stand(tmp_path: Path, tiny: Bundle) -> None:
    ledger = tmp_path / "tow.sqlite"
    fill(ledger, tiny, [("10:00:00", 0), ("10:30:00", 0), ("11:00:00", 1)], aside=[("10:10:00", 0, "land")])
    with closing(open_ledger_readonly(ledger)) as connection:
        before = read_counts(connection, HOUR)
        names = [sha256(f"{tiny.digest[:4]}-{number}.png".encode()).digest() for number in range(3)]
        names.append(sha256(f"{tiny.digest[:4]}-aside-0.png".encode()).digest())
        every = zip(names, ("jelly", "chain", "Clione limacina", "jelly"), strict=True)
        add_labels(
            labels_file(ledger), [HumanLabel(name, label, "Ada", "chain", tiny.digest, 9) for name, label in every]
        )
        after = read_counts(connection, HOUR)
        assert read_reported(connection, HOUR).counts == after
    zeros = {"chain": 0, "sphere": 0, "jelly": 0, "unclassified": 0}
    assert after.totals == {"chain": 1, "sphere": 0, "jelly": 1, "Clione limacina": 1, "unclassified": 0}
    assert list(after.totals)[-2:] == ["Clione limacina", "unclassified"]
    assert after.verified == {"chain": 1, "jelly": 1, "Clione limacina": 1}
    (bundle,) = {bundle for each in before.bins for bundle in each.bundles}
    assert after.bins == (
        Bin(at("10:00:00"), at("11:00:00"), {**zeros, "chain": 1, "jelly": 1}, (bundle,), 0, {"chain": 1, "jelly": 1}),
        Bin(at("11:00:00"), at("12:00:00"), {**zeros, "Clione limacina": 1}, (bundle,), 0, {"Clione limacina": 1}),
    )
    assert after.accounting == before.accounting
    assert after.accounting.adds_up
    assert [(each.image_id, each.machine, each.label) for each in after.looked] == [
        (1, 0, "jelly"),
        (2, 0, "chain"),
        (3, 1, "Clione limacina"),
    ]
    nothing = {"totals": {}, "by_bundle": (), "bins": (), "verified": {}, "looked": ()}
    assert replace(after, **nothing) == replace(before, **nothing)


def test_a_label_that_another_bundle_knows_adds_up_with_it(tmp_path: Path, tiny: Bundle) -> None:
    ledger = tmp_path / "tow.sqlite"
    other = other_bundle(tiny, ("worm", "krill"))
    fill(ledger, tiny, [("10:00:00", 0)])
    fill(ledger, other, [("10:00:00", 0)])
    name = sha256(f"{tiny.digest[:4]}-0.png".encode()).digest()
    add_labels(labels_file(ledger), [HumanLabel(name, "worm", "Ada", "chain", tiny.digest, 9)])
    with closing(open_ledger_readonly(ledger)) as connection:
        counts = read_counts(connection)
    assert counts.totals["worm"] == 2
    assert [share.get("worm") for _, share in counts.by_bundle] == [1, 1]
    assert counts.verified == {"worm": 1}
