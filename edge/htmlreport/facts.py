"""What the page says of single images, gathered in one walk through the ledger in the order of capture time."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bundle.labels import UNCLASSIFIED
from bundle.vote import NO_LABEL
from edge.counts import Counts
from edge.htmlreport.choice import Choice

SCORE_BINS = 20
_CHUNK = 20_000  # images in hand at once: 10 MB

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Chunk(NamedTuple):
    """Counted images, one after another in capture time; (M,) each."""

    image: Ints  # the ledger's numbers
    capture_ns: Ints
    label: Ints  # index into the labels of the whole report
    votes: Ints
    asked: Ints  # 0: not known
    score: Floats


@dataclass(frozen=True, eq=False)
class Facts:
    """Of all images counted."""

    labels: tuple[str, ...]  # of the whole report; indexes below are into these
    images: int
    first_ns: int | None  # capture times, UTC ns
    last_ns: int | None
    votes: Mapping[tuple[int, int], int]  # (votes, members asked) -> images; asked 0: not known
    scores: Ints  # (SCORE_BINS,) images with a label, by score
    open_scores: Ints  # (SCORE_BINS,) the unclassified ones
    found: tuple[tuple[str, int], ...]  # each label in the order it was first seen, and after how many images
    chosen: Mapping[str, Mapping[str, tuple[int, ...]]]  # way of choosing -> label -> images, the best first


@dataclass
class _Walk:
    """What is gathered so far."""

    labels: tuple[str, ...]
    choices: Mapping[str, Choice]
    images: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    votes: Counter[tuple[int, int]] = field(default_factory=Counter)
    found: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scores = np.zeros((2, SCORE_BINS), np.int64)

    def take(self, chunk: Chunk, random: np.random.Generator) -> None:
        self.first_ns = int(chunk.capture_ns[0]) if self.first_ns is None else self.first_ns
        self.last_ns = int(chunk.capture_ns[-1])
        pairs, images = np.unique(np.stack((chunk.votes, chunk.asked)), axis=1, return_counts=True)
        for votes, asked, number in zip(*pairs.tolist(), images.tolist(), strict=True):
            self.votes[votes, asked] += number
        column = np.clip((chunk.score * SCORE_BINS).astype(np.int64), 0, SCORE_BINS - 1)
        row = (chunk.label == len(self.labels) - 1).astype(np.int64)
        np.add.at(self.scores, (row, column), 1)
        for label, at in zip(*(each.tolist() for each in np.unique(chunk.label, return_index=True)), strict=True):
            self.found.setdefault(label, self.images + at + 1)
        self.images += len(chunk.image)
        certainty = chunk.votes / np.maximum(chunk.asked, 1) * 1000 + chunk.score
        drawn = random.random(len(chunk.image))
        for name, key in (("random", drawn), ("most certain", -certainty), ("least certain", certainty)):
            self.choices[name].add(chunk.label, key, chunk.image)


def read_facts(connection: sqlite3.Connection, counts: Counts, each: int, seed: int = 0) -> Facts:
    """One walk through the images that `counts` counts.

    each: how many images of a label are chosen in each way: random (by `seed`), most certain and least certain. Certain is
    first whom most of the asked members agree on, then the higher score.
    """
    labels = report_labels(counts)
    walk = _Walk(labels, {name: Choice(each) for name in WAYS})
    random = np.random.default_rng(seed)
    for chunk in chunks(connection, counts, labels):
        walk.take(chunk, random)
    return Facts(
        labels,
        walk.images,
        walk.first_ns,
        walk.last_ns,
        dict(walk.votes),
        walk.scores[0],
        walk.scores[1],
        tuple(
            (labels[label], after)
            for label, after in sorted(walk.found.items(), key=lambda item: item[1])
            if label < len(labels) - 1
        ),
        {
            name: {labels[label]: images for label, images in choice.chosen().items()}
            for name, choice in walk.choices.items()
        },
    )


WAYS = ("random", "most certain", "least certain")


def report_labels(counts: Counts) -> tuple[str, ...]:
    """All labels of the report in the order of its totals; `unclassified` is always the last."""
    return (*(label for label in counts.totals if label != UNCLASSIFIED), UNCLASSIFIED)


def chunks(connection: sqlite3.Connection, counts: Counts, labels: Sequence[str]) -> Iterator[Chunk]:
    """The images that `counts` counts, in the order of capture time; memory does not grow with their number."""
    if not counts.by_bundle:
        return
    place = {label: number for number, label in enumerate(labels)}
    # Class indexes of a bundle as those of the report; NO_LABEL is -1 and so the last of each.
    index = {
        bundle.id: np.array([place[bundle.label_name(at)] for at in (*range(len(bundle.labels)), NO_LABEL)], np.int64)
        for bundle, _ in counts.by_bundle
    }
    said = {each.image_id: place[each.label] for each in counts.looked}
    looked = np.array(sorted(said), np.int64)
    bounds = [("capture_ns >= ?", counts.from_ns), ("capture_ns < ?", counts.to_ns)]
    given = [(condition, bound) for condition, bound in bounds if bound is not None]
    conditions = [
        "aside IS NULL",
        f"bundle_id IN ({','.join(map(str, index))})",
        *(condition for condition, _ in given),
    ]
    # CROSS JOIN keeps the order of the tables: images by the index of their times, each with its verdict.
    cursor = connection.execute(
        "SELECT image.id, capture_ns, bundle_id, label, votes, COALESCE(asked, 0), score"
        " FROM image CROSS JOIN verdict ON verdict.image_id = image.id"
        f" WHERE {' AND '.join(conditions)} ORDER BY capture_ns, image.id",
        [bound for _, bound in given],
    )
    while rows := cursor.fetchmany(_CHUNK):
        columns = list(zip(*rows, strict=True))
        image, capture_ns, bundle_id, label, votes, asked = (np.array(column, np.int64) for column in columns[:6])
        named = np.empty(len(rows), np.int64)
        for number, names in index.items():
            its = bundle_id == number
            named[its] = names[label[its]]
        if len(looked):
            for at in np.flatnonzero(np.isin(image, looked)):
                named[at] = said[int(image[at])]
        yield Chunk(image, capture_ns, named, votes, asked, np.array(columns[6], np.float64))


def aside_by_rule(connection: sqlite3.Connection) -> dict[str, int]:
    """How many images each rule of quality control sets aside, of the whole ledger, the most first."""
    return dict(
        connection.execute(
            "SELECT aside, COUNT(*) FROM image WHERE aside IS NOT NULL GROUP BY aside ORDER BY COUNT(*) DESC, aside"
        ).fetchall()
    )
