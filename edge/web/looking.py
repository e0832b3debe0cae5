"""Which images a person is shown one after another, and what is known of the one in view.

Looked for among the images counted last, never in the whole ledger: ten million verdicts have no index by votes, and to go
through them would take seconds for each image.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadConfig
from bundle.vote import NO_LABEL
from edge.counts import LedgerBundle

WINDOW_IMAGES = 20_000
ORDERS = {"uncertain": "least certain first", "latest": "latest first", "random": "in random order"}
_MOST = 2**63 - 1

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Wanted:
    """The choice that stands in the address of the page."""

    species: str = ""  # the machine's verdict; "": any
    votes: int | None = None
    seen: bool = False  # with those that people have looked at
    order: str = "uncertain"
    before: int | None = None  # only images with a smaller number: the window further back

    def query(self, **more: object) -> str:
        """The choice, and more, as an address has it; what is usual is left out."""
        usual = Wanted()
        told: dict[str, object] = {
            name: getattr(self, name)
            for name in ("species", "votes", "order", "before")
            if getattr(self, name) != getattr(usual, name)
        }
        if self.seen:
            told["seen"] = "1"
        told |= {name: value for name, value in more.items() if value is not None}
        return urlencode(told)


def wanted_of(asked: Mapping[str, str]) -> Wanted:
    """The choice in an address. Raises BadConfig."""
    order = asked.get("order", "uncertain")
    if order not in ORDERS:
        raise BadConfig(f"no such order: {order}; one of {', '.join(ORDERS)}")
    return Wanted(
        asked.get("species", ""),
        number_of(asked, "votes"),
        asked.get("seen", "") == "1",
        order,
        number_of(asked, "before"),
    )


def number_of(asked: Mapping[str, str], name: str) -> int | None:
    """A number from 0 in an address; None where there is none. Raises BadConfig."""
    text = asked.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and int(text) <= _MOST):
        raise BadConfig(f"{name} is a number, not '{text}'")
    return int(text)


@dataclass(frozen=True, eq=False)
class Queue:
    """The images of one window, in the order in which they are shown."""

    ids: Ints  # (M,) numbers in the ledger
    contents: tuple[bytes, ...]  # M sha-256
    window: int  # images looked through
    first_ns: int | None  # when the first and the last of them were counted, UTC ns
    last_ns: int | None
    lowest: int | None  # number of the first one, where there are older ones

    def open(self, labels: Container[bytes]) -> NDArray[np.bool_]:
        """(M,) which of them nobody has looked at."""
        return np.array([content not in labels for content in self.contents], bool)

    def around(self, image_id: int | None, open_: NDArray[np.bool_]) -> tuple[int | None, int | None, int | None]:
        """(the image to show, the one before it, the next one that is open).

        image_id: what is asked for; None: the first that is open.
        """
        if image_id is None:
            first = np.flatnonzero(open_)
            image_id = int(self.ids[first[0]]) if len(first) else None
        if image_id is None:
            return None, None, None
        found = np.flatnonzero(self.ids == image_id)
        at = int(found[0]) if len(found) else -1
        others = open_ & (self.ids != image_id)
        after = np.flatnonzero(others[at + 1 :])
        wrapped = np.flatnonzero(others[: at + 1])
        following = at + 1 + int(after[0]) if len(after) else int(wrapped[0]) if len(wrapped) else None
        return (
            image_id,
            int(self.ids[at - 1]) if at > 0 else None,
            None if following is None else int(self.ids[following]),
        )


_RECENT = "(SELECT * FROM verdict WHERE image_id < ? ORDER BY image_id DESC LIMIT ?)"


def read_queue(
    connection: sqlite3.Connection, wanted: Wanted, bundles: Sequence[LedgerBundle], window: int = WINDOW_IMAGES
) -> Queue:
    """From the verdicts with the highest numbers below `wanted.before`: some 50 ms, however large the ledger is."""
    end = _MOST if wanted.before is None else wanted.before
    lowest, highest, images = connection.execute(
        f"SELECT MIN(image_id), MAX(image_id), COUNT(*) FROM {_RECENT}", (end, window)
    ).fetchone()
    if not images:
        return Queue(np.empty(0, np.int64), (), 0, None, None, None)
    query = f"SELECT id, votes, score, sha256 FROM {_RECENT} AS recent CROSS JOIN image ON id = image_id WHERE aside IS NULL"
    given: list[object] = [end, window]
    if wanted.species:
        places = [(bundle.id, at) for bundle in bundles for at in _places(bundle, wanted.species)]
        if not places:
            query += " AND FALSE"
        query += "".join(f" {'OR' if at else 'AND ('} (bundle_id = ? AND label = ?)" for at in range(len(places)))
        query += ")" if places else ""
        given += [value for pair in places for value in pair]
    if wanted.votes is not None:
        query += " AND votes = ?"
        given.append(wanted.votes)
    rows = connection.execute(query, given).fetchall()
    ids = np.array([row[0] for row in rows], np.int64)
    if wanted.order == "latest":
        order = np.argsort(-ids)
    elif wanted.order == "random":
        order = np.argsort(_mixed(ids))
    else:
        order = np.lexsort((-ids, np.array([row[2] for row in rows]), np.array([row[1] for row in rows])))
    first_ns, last_ns = (
        int(connection.execute("SELECT classified_ns FROM verdict WHERE image_id = ?", (number,)).fetchone()[0])
        for number in (lowest, highest)
    )
    (older,) = connection.execute("SELECT EXISTS (SELECT 1 FROM verdict WHERE image_id < ?)", (lowest,)).fetchone()
    contents = tuple(rows[at][3] for at in order.tolist())
    return Queue(ids[order], contents, images, first_ns, last_ns, lowest if older else None)


def _places(bundle: LedgerBundle, label: str) -> list[int]:
    return [at for at in (*range(len(bundle.labels)), NO_LABEL) if bundle.label_name(at) == label]


def _mixed(ids: Ints) -> NDArray[np.uint64]:
    """Numbers in no order that has to do with the images, the same ones each time (splitmix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@dataclass(frozen=True)
class Seen:
    """What the ledger knows of the image in view."""

    image_id: int
    sha256: bytes
    capture_ns: int
    path: str | None
    width: int | None  # pixels
    height: int | None
    bundle: LedgerBundle
    verdict: str  # `unclassified` where the members did not agree
    votes: int
    asked: int | None  # members; None: all there are
    score: float


def read_seen(connection: sqlite3.Connection, image_id: int, bundles: Sequence[LedgerBundle]) -> Seen | None:
    """None: there is no such image with a verdict that counts."""
    row: tuple[Any, ...] | None = connection.execute(
        "SELECT image.id, sha256, capture_ns, (SELECT path FROM sighting WHERE sighting.image_id = image.id ORDER BY id"
        " LIMIT 1), width, height, bundle_id, label, votes, asked, score"
        " FROM image JOIN verdict ON verdict.image_id = image.id WHERE image.id = ? AND aside IS NULL",
        (image_id,),
    ).fetchone()
    if row is None:
        return None
    number, sha256, capture_ns, path, width, height, bundle_id, label, votes, asked, score = row
    bundle = next(each for each in bundles if each.id == bundle_id)
    verdict = bundle.label_name(label)
    return Seen(number, sha256, capture_ns, path, width, height, bundle, verdict, votes, asked, score)
