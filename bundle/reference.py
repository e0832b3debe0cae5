"""What a bundle's validation images looked like, and what was said of them: the file reference.json beside the bundle.

It is held against what comes in at sea (docs/drift.md). It names the digest of the bundle whose verdicts it holds, so it
stands in the folder and not in the manifest: a bundle that is at work gets one without becoming another bundle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadBundle
from bundle.labels import UNCLASSIFIED
from bundle.measures import Measures
from bundle.vouched import read_manifest
from bundle.whole import write_whole

REFERENCE = "reference.json"
SCHEMA_VERSION = 1
MEASURES = tuple(field.name for field in fields(Measures))
VOTED = ("votes", "score")  # votes: the share of the members asked
MOST_BINS = 32  # that a histogram has between the least and the greatest value

# How many members were asked: `enough` until the vote was decided, or `all`. Votes and scores of the two do not compare.
Ballots = Literal["enough", "all"]
BALLOTS: tuple[Ballots, ...] = ("enough", "all")


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many reference images had what value, by verdict."""

    edges: NDArray[np.float64]  # (E,) rising; a value x is in bin i where edges[i - 1] <= x < edges[i]
    counts: NDArray[np.int64]  # (C + 1, E + 1) images: verdict (the last row: unclassified), bin

    def __post_init__(self) -> None:
        if self.counts.ndim != 2 or self.counts.shape[1] != len(self.edges) + 1 or (self.counts < 0).any():
            raise BadBundle("the counts are not as many as the edges ask for, or below 0")
        if not np.isfinite(self.edges).all() or (np.diff(self.edges) <= 0).any():
            raise BadBundle("the edges do not rise")

    def bins(self, values: NDArray[np.float64]) -> NDArray[np.intp]:
        """The bin of each value."""
        return np.searchsorted(self.edges, values, side="right")


@dataclass(frozen=True, eq=False)
class Reference:
    """The histograms of a bundle's M validation images, of C labels."""

    digest: str  # of the bundle whose verdicts these are
    labels: tuple[str, ...]
    order: tuple[int, ...]  # in which the members were asked for `enough`
    measures: Mapping[str, Histogram]  # by the names in MEASURES
    voted: Mapping[Ballots, Mapping[str, Histogram]]  # by the names in VOTED

    def __post_init__(self) -> None:
        shape = (len(self.labels) + 1,)
        for where, names, histograms in (
            ("measures", MEASURES, self.measures),
            *((ballots, VOTED, self.voted[ballots]) for ballots in BALLOTS),
        ):
            if tuple(histograms) != tuple(names):
                raise BadBundle(f"{where} has {', '.join(histograms) or 'nothing'}, not {', '.join(names)}")
            for name, histogram in histograms.items():
                images = histogram.counts.sum(axis=1)
                if images.shape != shape or (images != self.images).any():
                    raise BadBundle(f"{where}.{name} is not of the same images as {MEASURES[0]}")
        if not self.images.sum():
            raise BadBundle("it is of no images")

    @property
    def images(self) -> NDArray[np.int64]:
        """(C + 1,) reference images by verdict, `unclassified` last."""
        found: NDArray[np.int64] = self.measures[MEASURES[0]].counts.sum(axis=1)
        return found

    def histograms(self, ballots: Ballots) -> dict[str, Histogram]:
        """All, by name: votes, score, and the measures."""
        return {**self.voted[ballots], **self.measures}


def histogram(values: NDArray[np.float64], verdict: NDArray[np.integer[Any]], labels: int) -> Histogram:
    """The histogram of M values; verdict (M,): class index, or `labels` for unclassified.

    The edges lie half way between values that occur: all where these are few, else equally many images apart. Two more
    stand just outside them, so that what never occurred has bins of its own.
    """
    distinct = np.unique(values)
    if len(distinct) > MOST_BINS:
        distinct = np.unique(np.quantile(values, np.linspace(0, 1, MOST_BINS + 1)))
    hair = 1e-6 * np.maximum(1.0, np.abs(distinct[[0, -1]]))
    edges = np.concatenate(
        [[distinct[0] - hair[0]], (distinct[1:] + distinct[:-1]) / 2, [distinct[-1] + hair[1]]], dtype=np.float64
    )
    edges = np.unique([float(f"{edge:.9g}") for edge in edges])
    counts = np.zeros((labels + 1, len(edges) + 1), np.int64)
    np.add.at(counts, (verdict, np.searchsorted(edges, values, side="right")), 1)
    return Histogram(edges, counts)


def read_reference(bundle: Path) -> Reference | None:
    """The reference of the bundle folder `bundle`; None where there is none. Loads no model.

    Raises BadBundle where it is damaged or of another bundle.
    """
    file = bundle / REFERENCE
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadBundle(f"{file}: cannot be read ({error.strerror}); check its permissions") from None
    reference = parse_reference(data, str(file))
    _, digest = read_manifest(bundle)
    if reference.digest != digest:
        raise BadBundle(
            f"{file}: of the bundle {reference.digest[:12]}, and this one is {digest[:12]}; take the file away, or make it "
            "anew with planktow-quantize reference"
        )
    return reference


def parse_reference(data: bytes, where: str) -> Reference:
    """The reference in `data`. Raises BadBundle, beginning with `where`."""
    try:
        table: Any = json.loads(data)
        if not isinstance(table, dict) or table["schema_version"] != SCHEMA_VERSION:
            raise BadBundle(f"its schema_version is not {SCHEMA_VERSION}")
        labels = tuple(str(label) for label in table["labels"])
        return Reference(
            str(table["bundle"]),
            labels,
            tuple(int(member) for member in table["order"]),
            _parsed(table["measures"], labels),
            {ballots: _parsed(table["ballots"][ballots], labels) for ballots in BALLOTS},
        )
    except BadBundle as fault:
        raise BadBundle(f"{where}: {fault}; make it anew with planktow-quantize reference") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadBundle(
            f"{where}: damaged ({type(error).__name__}: {error}); make it anew with planktow-quantize reference"
        ) from None


def write_reference(file: Path, reference: Reference, name: str) -> None:
    """Writes it whole or not at all; `name`: of the bundle, for people. Raises OSError."""
    write_whole(file, format_reference(reference, name))


def format_reference(reference: Reference, name: str) -> bytes:
    """The bytes of reference.json, a line for each verdict and histogram; verdicts without images are left out."""
    table = {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "bundle": reference.digest,
        "part": "validation",
        "images": int(reference.images.sum()),
        "order": list(reference.order),
        "labels": list(reference.labels),
        "measures": _told(reference.measures, reference.labels),
        "ballots": {ballots: _told(reference.voted[ballots], reference.labels) for ballots in BALLOTS},
    }
    text = json.dumps(table, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Within a JSON string a quotation mark is escaped, so that these three characters stand between values only.
    return (text.replace('],"', '],\n"').replace('},"', '},\n"') + "\n").encode()


def _told(histograms: Mapping[str, Histogram], labels: Sequence[str]) -> dict[str, Any]:
    rows = (*labels, UNCLASSIFIED)
    return {
        name: {
            "edges": each.edges.tolist(),
            "counts": {rows[row]: each.counts[row].tolist() for row in np.flatnonzero(each.counts.sum(axis=1))},
        }
        for name, each in histograms.items()
    }


def _parsed(table: Any, labels: Sequence[str]) -> dict[str, Histogram]:
    rows = {label: row for row, label in enumerate((*labels, UNCLASSIFIED))}
    found = {}
    for name, each in table.items():
        edges = np.array(each["edges"], np.float64)
        counts = np.zeros((len(rows), len(edges) + 1), np.int64)
        for label, row in each["counts"].items():
            if any(type(count) is not int for count in row):
                raise ValueError(f"the counts of {name} are not whole numbers")
            counts[rows[label]] = row
        found[name] = Histogram(edges, counts)
    return found
