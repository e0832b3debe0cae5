"""How a second bundle that only shadows the first would have counted the same images, and where the two disagree.

Labels are matched by name: bundles with other classes, or the same in another order, compare well. Only images that both saw
are compared, and of those only such as count (quality control set none of them aside).
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bundle.labels import UNCLASSIFIED
from edge.counts import LedgerBundle, one_moment, read_bundles

Pairs = Iterable[tuple[str, str, int]]  # label of the one that counts, label of the shadow, images


@dataclass(frozen=True)
class Compared:
    """One label, among the images that both saw."""

    label: str
    counted: int  # images of this label by the bundle that counts
    shadow: int  # by the shadow
    agreed: int  # by both

    @property
    def difference(self) -> int:
        """How many more the shadow would have counted."""
        return self.shadow - self.counted

    @property
    def agreement(self) -> float | None:
        """Of the images that either gave this label, the share that both gave it (Jaccard 1912); None: there are none."""
        either = self.counted + self.shadow - self.agreed
        return self.agreed / either if either else None


@dataclass(frozen=True)
class Pair:
    """Images that got one label from the bundle that counts and another from the shadow."""

    counted: str
    shadow: str
    images: int


@dataclass(frozen=True)
class Comparison:
    """What a bundle that shadows thought of the images that others counted."""

    shadow: LedgerBundle
    counting: tuple[LedgerBundle, ...]  # those that counted the images
    images: int  # that both saw
    agreed: int
    counted: int  # images counted in the stretch, seen by the shadow or not
    labels: tuple[
        Compared, ...
    ]  # in the order of the labels of those that counted, then the shadow's own; `unclassified` last
    pairs: tuple[Pair, ...]  # of differing labels, the most frequent first

    @property
    def agreement(self) -> float | None:
        """The share of the images that both saw and gave the same label; None: there are none."""
        return self.agreed / self.images if self.images else None

    @property
    def seen_share(self) -> float | None:
        """Of the images counted, the share that the shadow saw."""
        return self.images / self.counted if self.counted else None


def compare(
    shadow: LedgerBundle, counting: Iterable[LedgerBundle], rows: Pairs, counted: int | None = None
) -> Comparison:
    """The comparison of one shadow. counted: images counted in the stretch; None: as many as both saw."""
    counting = tuple(counting)
    tally: Counter[tuple[str, str]] = Counter()
    for first, second, images in rows:
        tally[first, second] += images
    given, shadowed = Counter[str](), Counter[str]()
    for (first, second), images in tally.items():
        given[first] += images
        shadowed[second] += images
    names = dict.fromkeys(label for bundle in (*counting, shadow) for label in bundle.labels)
    names.pop(UNCLASSIFIED, None)
    labels = tuple(Compared(name, given[name], shadowed[name], tally[name, name]) for name in (*names, UNCLASSIFIED))
    differing = ((pair, images) for pair, images in tally.items() if pair[0] != pair[1])
    pairs = tuple(Pair(*pair, images) for pair, images in sorted(differing, key=lambda each: (-each[1], each[0])))
    total = tally.total()
    agreed = sum(each.agreed for each in labels)
    return Comparison(shadow, counting, total, agreed, total if counted is None else counted, labels, pairs)


def read_comparisons(
    connection: sqlite3.Connection, from_ns: int | None = None, to_ns: int | None = None
) -> tuple[Comparison, ...]:
    """One for each bundle that shadowed images captured in [from_ns, to_ns), UTC ns; None: no bound. The latest comes first."""
    with one_moment(connection):
        bundles = {bundle.id: bundle for bundle in read_bundles(connection)}
        shadows = {bundle.id: bundle for bundle in read_shadow_bundles(connection)}
        if not shadows:
            return ()
        where, bounds = _between(from_ns, to_ns)
        found: dict[int, list[tuple[int, str, str, int]]] = {}
        for bundle_id, label, shadow_id, shadow_label, images in connection.execute(
            f"SELECT verdict.bundle_id, verdict.label, seen.bundle_id, seen.label, COUNT(*) {_JOIN}{where}"
            " GROUP BY 1, 2, 3, 4",
            bounds,
        ):
            words = bundles[bundle_id].label_name(label), shadows[shadow_id].label_name(shadow_label)
            found.setdefault(shadow_id, []).append((bundle_id, *words, images))
        (counted,) = connection.execute(
            f"SELECT COUNT(*) FROM verdict JOIN image ON image.id = image_id WHERE aside IS NULL{where}", bounds
        ).fetchone()
    return tuple(
        compare(
            shadows[shadow_id],
            (bundles[each] for each in sorted({row[0] for row in found[shadow_id]})),
            (row[1:] for row in found[shadow_id]),
            counted,
        )
        for shadow_id in sorted(found, reverse=True)
    )


def read_shadow_bundles(connection: sqlite3.Connection) -> list[LedgerBundle]:
    """Every bundle that ever shadowed, in the order in which they came. Their numbers are not those of `read_bundles`."""
    return [
        LedgerBundle(number, name, digest, tuple(json.loads(labels)))
        for number, name, digest, labels in connection.execute(
            "SELECT id, name, digest, labels FROM shadow_bundle ORDER BY id"
        )
    ]


def newest_shadowed_ns(connection: sqlite3.Connection) -> int | None:
    """When the image that a shadow saw last was captured, UTC ns; None: none ever did."""
    row = connection.execute(
        "SELECT capture_ns FROM shadow_verdict JOIN image ON image.id = image_id ORDER BY image_id DESC LIMIT 1"
    ).fetchone()
    return None if row is None else int(row[0])


@dataclass(frozen=True)
class Differing:
    """An image that got two labels."""

    image_id: int
    capture_ns: int
    counted: str
    counted_score: float
    shadow: str
    shadow_score: float


def read_differing(
    connection: sqlite3.Connection,
    shadow_id: int,
    from_ns: int | None = None,
    to_ns: int | None = None,
    wanted: Callable[[str, str], bool] = lambda counted, shadow: counted != shadow,
    limit: int = 60,
    looked_at: int = 50_000,
) -> list[Differing]:
    """The latest images, by capture time, whose labels (of the bundle that counts, of the shadow) are `wanted`.

    looked_at: so many of the latest images that both saw are looked through at most: a page must not wait for a whole ledger.
    """
    with one_moment(connection):
        bundles = {bundle.id: bundle for bundle in read_bundles(connection)}
        shadow = {bundle.id: bundle for bundle in read_shadow_bundles(connection)}[shadow_id]
        where, bounds = _between(from_ns, to_ns)
        rows: Iterator[tuple[int, int, int, int, float, int, float]] = connection.execute(
            "SELECT image.id, capture_ns, verdict.bundle_id, verdict.label, verdict.score, seen.label, seen.score"
            f" {_JOIN} AND seen.bundle_id = ?{where} ORDER BY capture_ns DESC, image.id DESC LIMIT ?",
            (shadow_id, *bounds, looked_at),
        )
        found = []
        for image_id, capture_ns, bundle_id, label, score, shadow_label, shadow_score in rows:
            words = bundles[bundle_id].label_name(label), shadow.label_name(shadow_label)
            if wanted(*words):
                found.append(Differing(image_id, capture_ns, words[0], score, words[1], shadow_score))
                if len(found) == limit:
                    break
    return found


_JOIN = (
    "FROM shadow_verdict AS seen JOIN verdict ON verdict.image_id = seen.image_id JOIN image ON image.id = seen.image_id"
    " WHERE aside IS NULL"
)


def _between(from_ns: int | None, to_ns: int | None) -> tuple[str, tuple[int, ...]]:
    """Conditions only where there is a bound: else the index of times would be walked for all rows."""
    given = [(" AND capture_ns >= ?", from_ns), (" AND capture_ns < ?", to_ns)]
    return (
        "".join(condition for condition, bound in given if bound is not None),
        tuple(bound for _, bound in given if bound is not None),
    )
