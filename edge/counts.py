"""From the ledger's rows to counts per label: in total, per time bin and per bundle, with every image accounted for.

The counting itself is pure (`count_verdicts`); `read_counts` brings it the rows of one moment of the ledger.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from bundle.labels import UNCLASSIFIED
from bundle.vote import NO_LABEL
from edge.bins import bin_start

Verdict = tuple[int, int, int, int]  # capture time (UTC ns), bundle id, class index or NO_LABEL, number of such images


@dataclass(frozen=True)
class Accounting:
    """Where every image went: seen = counted + rejected + waiting. A duplicate is a file whose content was seen before."""

    seen: int
    counted: int
    rejected: int
    waiting: int
    duplicates: int

    @property
    def adds_up(self) -> bool:
        """False would be a fault of ours, never of the data."""
        return self.seen == self.counted + self.rejected + self.waiting

    def __str__(self) -> str:
        return f"seen {self.seen} = counted {self.counted} + rejected {self.rejected} + waiting {self.waiting}"


@dataclass(frozen=True)
class LedgerBundle:
    """A classifier that worked on the ledger."""

    id: int
    name: str
    digest: str
    labels: tuple[str, ...]

    def label_name(self, index: int) -> str:
        """The label of a verdict's class index; `unclassified` for NO_LABEL."""
        return UNCLASSIFIED if index == NO_LABEL else self.labels[index]

    def __str__(self) -> str:
        return f"{self.name} {self.digest[:12]}"


@dataclass(frozen=True)
class Bin:
    """The counts of one time bin [start, end).

    `counts` holds every label of the bundles at work in it: a zero there means looked for and not found. A bin in which
    nothing was classified does not exist: no observation is not a count of zero.
    """

    start_ns: int
    end_ns: int
    counts: Mapping[str, int]
    bundles: tuple[LedgerBundle, ...]


@dataclass(frozen=True)
class Counts:
    """All that a report says of a ledger at one moment."""

    accounting: Accounting
    rejects: Mapping[str, int]  # reason -> images, most frequent first
    totals: Mapping[str, int]  # label -> images, in the order of the bundles' labels, `unclassified` last
    by_bundle: tuple[tuple[LedgerBundle, Mapping[str, int]], ...]  # each bundle's own share of the totals
    bins: tuple[Bin, ...]  # in order of time; empty when no width was asked for


def count_verdicts(
    verdicts: Iterable[Verdict], bundles: Iterable[LedgerBundle], width_ns: int | None
) -> tuple[tuple[tuple[LedgerBundle, Mapping[str, int]], ...], tuple[Bin, ...]]:
    """Counts per bundle and per bin; with `width_ns` None there are no bins.

    A bundle without a verdict has its zeros in the first and no part in the bins.
    """
    by_id = {bundle.id: bundle for bundle in bundles}
    per_bin: defaultdict[int, Counter[tuple[int, int]]] = defaultdict(Counter)
    for capture_ns, bundle_id, label, images in verdicts:
        per_bin[bin_start(capture_ns, width_ns) if width_ns else 0][bundle_id, label] += images
    whole: Counter[tuple[int, int]] = Counter()
    for tally in per_bin.values():
        whole.update(tally)
    by_bundle = tuple((bundle, _named(whole, (bundle,))) for bundle in by_id.values())
    if width_ns is None:
        return by_bundle, ()
    bins = []
    for start_ns in sorted(per_bin):
        here = _bundles_in(per_bin[start_ns], by_id)
        bins.append(Bin(start_ns, start_ns + width_ns, _named(per_bin[start_ns], here), here))
    return by_bundle, tuple(bins)


def add_up(shares: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum per label, `unclassified` last: labels of the same name add up, whichever bundle gave them."""
    total: dict[str, int] = {}
    for share in shares:
        for label, images in share.items():
            total[label] = total.get(label, 0) + images
    if UNCLASSIFIED in total:
        total[UNCLASSIFIED] = total.pop(UNCLASSIFIED)
    return total


def read_counts(connection: sqlite3.Connection, width_ns: int | None = None) -> Counts:
    """The counts of one moment of the ledger, binned by capture time when `width_ns` is given.

    A daemon that writes meanwhile neither waits nor disturbs.
    """
    with _one_moment(connection):
        accounting = Accounting(
            *connection.execute("SELECT seen, counted, rejected, waiting, duplicates FROM accounting").fetchone()
        )
        rejects = dict(connection.execute(_REJECTS).fetchall())
        bundles = [
            LedgerBundle(id_, name, digest, tuple(json.loads(labels)))
            for id_, name, digest, labels in connection.execute(
                "SELECT id, name, digest, labels FROM bundle ORDER BY id"
            )
        ]
        verdicts = connection.execute(_VERDICTS if width_ns else _TOTALS)
        by_bundle, bins = count_verdicts(verdicts, bundles, width_ns)
    return Counts(accounting, rejects, add_up(counts for _, counts in by_bundle), by_bundle, bins)


# An image with unreadable bytes has no content to be known by: its reason then stands with the sighting.
_REJECTS = """
    SELECT reason, COUNT(*) AS images FROM (
        SELECT reason FROM image WHERE reason IS NOT NULL
        UNION ALL
        SELECT reason FROM sighting WHERE reason IS NOT NULL AND image_id IS NULL
    ) GROUP BY reason ORDER BY images DESC, reason
"""
_VERDICTS = "SELECT image.capture_ns, bundle_id, label, 1 FROM verdict JOIN image ON image.id = verdict.image_id"
_TOTALS = "SELECT 0, bundle_id, label, COUNT(*) FROM verdict GROUP BY bundle_id, label"


def _named(tally: Counter[tuple[int, int]], bundles: Iterable[LedgerBundle]) -> dict[str, int]:
    """Counts by label name, zeros included, in the order of the bundles' labels, `unclassified` last."""
    return add_up(
        {bundle.label_name(index): tally[bundle.id, index] for index in (*range(len(bundle.labels)), NO_LABEL)}
        for bundle in bundles
    )


def _bundles_in(tally: Counter[tuple[int, int]], by_id: Mapping[int, LedgerBundle]) -> tuple[LedgerBundle, ...]:
    return tuple(by_id[id_] for id_ in sorted({bundle_id for bundle_id, _ in tally}))


@contextmanager
def _one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """All reads inside see the same state: accounting and counts taken one after the other would not add up."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
