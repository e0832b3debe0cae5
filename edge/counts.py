"""From the ledger's rows to counts per label: in total, per time bin and per bundle, with every image accounted for.

The counting itself is pure (`count_verdicts`); `read_counts` brings it the rows of one moment of the ledger. Where a person
has given or confirmed the label of an image, that label is counted and not the machine's.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bundle.errors import BadConfig
from bundle.labels import UNCLASSIFIED
from bundle.vote import NO_LABEL
from edge.bins import SECOND_NS, bin_start
from edge.corrections.humanlabel import HumanLabel
from edge.corrections.lately import Lately
from edge.corrections.looked import Looked, read_looked
from edge.raising import Raising

Verdict = tuple[int, int, int, int]  # capture time (UTC ns), bundle id, class index or NO_LABEL, number of such images


@dataclass(frozen=True)
class Accounting:
    """Where every image went: seen = counted + rejected + waiting + dropped.

    Rejected are also those with a verdict that a rule of quality control sets aside. Dropped were left out by the policy
    for overload. A duplicate is a file whose content was seen before.
    """

    seen: int
    counted: int
    rejected: int
    waiting: int
    dropped: int
    duplicates: int

    @property
    def adds_up(self) -> bool:
        """False would be a fault of ours, never of the data."""
        return self.seen == self.counted + self.rejected + self.waiting + self.dropped

    def __str__(self) -> str:
        return (
            f"seen {self.seen} = counted {self.counted} + rejected {self.rejected} + waiting {self.waiting}"
            f" + dropped {self.dropped}"
        )


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
    nothing was classified has no counts: no observation is not a count of zero; it exists only where images were dropped.
    """

    start_ns: int
    end_ns: int
    counts: Mapping[str, int]
    bundles: tuple[LedgerBundle, ...]
    dropped: int = 0  # images captured in this bin that were left out
    verified: Mapping[str, int] = field(default_factory=dict)  # of the counts: labels that people gave or confirmed

    @property
    def raising(self) -> Raising:
        """How the counts are raised for the images left out."""
        return Raising(sum(self.counts.values()), self.dropped)


@dataclass(frozen=True)
class Counts:
    """All that a report says of a ledger at one moment.

    Of images captured in [from_ns, to_ns), UTC ns; None: no bound. Accounting and rejects are of the whole ledger all the
    same: files that were never read have no capture time.
    """

    accounting: Accounting
    rejects: Mapping[str, int]  # reason -> images, most frequent first
    totals: Mapping[str, int]  # label -> images, in the order of the bundles' labels, `unclassified` last
    by_bundle: tuple[tuple[LedgerBundle, Mapping[str, int]], ...]  # each bundle's own share of the totals
    bins: tuple[Bin, ...]  # in order of time; empty when no width was asked for
    from_ns: int | None = None
    to_ns: int | None = None
    verified: Mapping[str, int] = field(default_factory=dict)  # of the totals: labels that people gave or confirmed
    looked: tuple[Looked, ...] = field(default=(), repr=False)  # these images one by one


def count_verdicts(
    verdicts: Iterable[Verdict],
    bundles: Iterable[LedgerBundle],
    width_ns: int | None,
    dropped: Iterable[tuple[int, int]] = (),
    looked: Collection[Looked] = (),
) -> tuple[tuple[tuple[LedgerBundle, Mapping[str, int]], ...], tuple[Bin, ...]]:
    """Counts per bundle and per bin; with `width_ns` None there are no bins.

    dropped: capture time (UTC ns), number of images left out.
    looked: those of the images, each with a verdict among `verdicts`, that people have labelled. Their label takes the
    place of the verdict, in the share of the bundle that gave it; one that the bundle does not know follows its labels.
    A bundle without a verdict has its zeros in the first and no part in the bins.
    """
    by_id = {bundle.id: bundle for bundle in bundles}
    per_bin: defaultdict[int, _Tally] = defaultdict(Counter)
    for capture_ns, bundle_id, label, images in verdicts:
        per_bin[bin_start(capture_ns, width_ns) if width_ns else 0][bundle_id, label] += images
    places = {bundle.id: _places(bundle) for bundle in by_id.values()} if looked else {}
    verified: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for each in looked:
        start_ns = bin_start(each.capture_ns, width_ns) if width_ns else 0
        per_bin[start_ns][each.bundle_id, each.machine] -= 1
        per_bin[start_ns][each.bundle_id, places[each.bundle_id].get(each.label, each.label)] += 1
        verified[start_ns][each.label] += 1
    whole: _Tally = Counter()
    for tally in per_bin.values():
        whole.update(tally)
    by_bundle = tuple((bundle, _named(whole, (bundle,))) for bundle in by_id.values())
    if width_ns is None:
        return by_bundle, ()
    left_out: Counter[int] = Counter()
    for capture_ns, images in dropped:
        left_out[bin_start(capture_ns, width_ns)] += images
    bins = []
    for start_ns in sorted(per_bin.keys() | left_out.keys()):
        here = _bundles_in(per_bin[start_ns], by_id) if start_ns in per_bin else ()
        counts = _named(per_bin[start_ns], here) if here else {}
        by_people = _ordered(verified[start_ns], counts)
        bins.append(Bin(start_ns, start_ns + width_ns, counts, here, left_out[start_ns], by_people))
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


def at_work(counts: Counts) -> tuple[LedgerBundle, ...]:
    """The bundles that have verdicts in the counts."""
    return tuple(bundle for bundle, share in counts.by_bundle if any(share.values()))


def read_counts(
    connection: sqlite3.Connection,
    width_ns: int | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    bundle: str | None = None,
    labels: Mapping[bytes, HumanLabel] | None = None,
) -> Counts:
    """The counts of one moment of the ledger, binned by capture time when `width_ns` is given.

    Only of images captured in [from_ns, to_ns), UTC ns; None: no bound. A bin that reaches over a bound holds what lies
    inside.
    bundle: the digest of one classifier or its beginning; only its verdicts are counted, while accounting, rejects and
    images dropped stay those of all. Raises BadConfig where none or several of the ledger match.
    labels: what people said of images, by content; None: what stands in the file beside the ledger (`Lately`). Raises
    BadConfig where that cannot be read.
    A daemon that writes meanwhile neither waits nor disturbs.
    """
    with one_moment(connection):
        accounting = read_accounting(connection)
        rejects = dict(connection.execute(_REJECTS).fetchall())
        bundles = read_bundles(connection)
        verdicts, chosen = _verdicts(connection, width_ns, from_ns, to_ns), None
        if bundle is not None:
            only = chosen_bundle(bundles, bundle)
            bundles, chosen, verdicts = [only], only.id, (verdict for verdict in verdicts if verdict[1] == only.id)
        known = _LATELY.looked(connection) if labels is None else read_looked(connection, labels)
        looked = [each for each in known if each.lies_in(from_ns, to_ns) and chosen in (None, each.bundle_id)]
        dropped = _between(connection, _DROPPED, "capture_ns", from_ns, to_ns) if width_ns else ()
        by_bundle, bins = count_verdicts(verdicts, bundles, width_ns, dropped, looked)
    totals = add_up(counts for _, counts in by_bundle)
    verified = _ordered(Counter(each.label for each in looked), totals)
    return Counts(accounting, rejects, totals, by_bundle, bins, from_ns, to_ns, verified, tuple(looked))


def read_accounting(connection: sqlite3.Connection) -> Accounting:
    """Where every image of the ledger went."""
    row = connection.execute("SELECT seen, counted, rejected, waiting, dropped, duplicates FROM accounting").fetchone()
    return Accounting(*row)


def read_bundles(connection: sqlite3.Connection) -> list[LedgerBundle]:
    """Every classifier that the ledger knows, in the order in which they came."""
    return [
        LedgerBundle(id_, name, digest, tuple(json.loads(labels)))
        for id_, name, digest, labels in connection.execute("SELECT id, name, digest, labels FROM bundle ORDER BY id")
    ]


def chosen_bundle(bundles: Sequence[LedgerBundle], beginning: str) -> LedgerBundle:
    """The one whose digest is, or begins with, `beginning`. Raises BadConfig where none or several do."""
    found = [each for each in bundles if beginning and each.digest.startswith(beginning.lower())]
    exact = [each for each in found if each.digest == beginning.lower()]
    if len(exact or found) == 1:
        return (exact or found)[0]
    known = ", ".join(str(each) for each in bundles) or "none"
    fault = "several classifiers have digests that begin" if found else "no classifier has a digest that begins"
    raise BadConfig(f"{fault} with '{beginning}'; give enough digits of one of the ledger's: {known}")


_LATELY = Lately()
HOUR_NS = 3600 * SECOND_NS
_REJECTS = "SELECT reason, images FROM refusal WHERE images > 0 ORDER BY images DESC, reason"
_VERDICTS = "SELECT capture_ns, bundle_id, label, 1 FROM verdict JOIN image ON image.id = image_id WHERE aside IS NULL"
_HOURLY = "SELECT hour_ns, bundle_id, label, images FROM hourly WHERE images > 0"
_TOTALS = "SELECT 0, bundle_id, label, images FROM total WHERE images > 0"
_DROPPED = "SELECT capture_ns, 1 FROM sighting WHERE dropped IS NOT NULL"


def _verdicts(
    connection: sqlite3.Connection, width_ns: int | None, from_ns: int | None, to_ns: int | None
) -> Iterable[Verdict]:
    """From the smallest table that can tell: a row for each image only where hours are cut."""
    if width_ns is None and from_ns is None and to_ns is None:
        return connection.execute(_TOTALS)
    cuts = (cut for cut in (width_ns, from_ns, to_ns) if cut is not None)
    if all(cut % HOUR_NS == 0 for cut in cuts):
        return _between(connection, _HOURLY, "hour_ns", from_ns, to_ns)
    return _between(connection, _VERDICTS, "capture_ns", from_ns, to_ns)


def _between(
    connection: sqlite3.Connection, query: str, column: str, from_ns: int | None, to_ns: int | None
) -> sqlite3.Cursor:
    """The rows of `query` with `column` in [from_ns, to_ns). Where there is no bound, none is asked for: the index of
    the times would otherwise be walked for all rows, which takes longer than the table itself."""
    bounds = [(f" AND {column} >= ?", from_ns), (f" AND {column} < ?", to_ns)]
    given = [(condition, bound) for condition, bound in bounds if bound is not None]
    return connection.execute(query + "".join(condition for condition, _ in given), [bound for _, bound in given])


# (bundle id, class index or NO_LABEL, or a label that the bundle does not know) -> images
_Tally = Counter[tuple[int, int | str]]


def _named(tally: _Tally, bundles: Sequence[LedgerBundle]) -> dict[str, int]:
    """Counts by label name, zeros included, in the order of the bundles' labels, `unclassified` last.

    Labels that only people gave follow those of their bundle, in the order of the alphabet.
    """
    others: defaultdict[int, list[str]] = defaultdict(list)
    for (bundle_id, label), images in tally.items():
        if isinstance(label, str) and images:
            others[bundle_id].append(label)
    return add_up(
        {
            **{bundle.label_name(at): tally[bundle.id, at] for at in (*range(len(bundle.labels)), NO_LABEL)},
            **{label: tally[bundle.id, label] for label in sorted(others[bundle.id])},
        }
        for bundle in bundles
    )


def _places(bundle: LedgerBundle) -> dict[str, int]:
    """The class index of each label, `unclassified` included."""
    return {**{label: index for index, label in enumerate(bundle.labels)}, UNCLASSIFIED: NO_LABEL}


def _ordered(tally: Mapping[str, int], order: Iterable[str]) -> dict[str, int]:
    """What is in `tally`, in that order."""
    return {label: tally[label] for label in order if tally.get(label)} if tally else {}


def _bundles_in(tally: _Tally, by_id: Mapping[int, LedgerBundle]) -> tuple[LedgerBundle, ...]:
    return tuple(by_id[id_] for id_ in sorted({bundle_id for bundle_id, _ in tally}))


@contextmanager
def one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """All reads inside see the same state: accounting and counts taken one after the other would not add up.

    Within another one it is that one's moment.
    """
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
