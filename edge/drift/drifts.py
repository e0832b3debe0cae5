"""The drift of a ledger: every stretch of time of every classifier, held against that classifier's own reference."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadConfig
from bundle.reference import REFERENCE, Ballots, read_reference
from bundle.vouched import read_manifest
from edge.counts import LedgerBundle, read_bundles
from edge.drift.judge import Drift, judge
from edge.drift.read import tally_bins, tally_stretches
from edge.estimates.validated import bundle_of
from edge.reported import clipped
from edge.survey.tows import Tow


@dataclass(frozen=True)
class Stretched:
    """One bin or tow."""

    start_ns: int  # UTC ns
    end_ns: int  # its end, which is not in it
    tow: str  # "" for a bin
    bundle: LedgerBundle
    ballots: Ballots
    drift: Drift


@dataclass(frozen=True)
class Unknown:
    """A classifier of which nothing can be said, and why."""

    bundle: LedgerBundle
    folder: Path | None  # where it holds no reference.json; None: the bundle is not at hand

    def __str__(self) -> str:
        if self.folder is None:
            return f"{self.bundle}: the bundle is not at hand; give its folder with --bundle"
        return (
            f"{self.bundle}: its folder holds no {REFERENCE}, so there is nothing to hold the sea against; where the training "
            f"images are, run: planktow-quantize reference {self.folder} --data FOLDER"
        )


@dataclass(frozen=True)
class Drifts:
    """All that can be said of a ledger, in order of bundle and time."""

    rows: tuple[Stretched, ...]
    unknown: tuple[Unknown, ...]


def read_drifts(
    connection: sqlite3.Connection,
    width_ns: int,
    from_ns: int | None = None,
    to_ns: int | None = None,
    *,
    bundle: Path | None = None,
    alone: bool = True,
    tows: Sequence[Tow] | None = None,
) -> Drifts:
    """Of images captured in [from_ns, to_ns), UTC ns; None: no bound.

    bundle: the folder of the one classifier that is meant; None: all in the ledger that are at hand. Not `alone`: the others
    too, and that one may have counted nothing yet.
    tows: the stretches are these, whatever the width. Raises BadConfig, BadBundle.
    """
    rows: list[Stretched] = []
    unknown: list[Unknown] = []
    digest = None if bundle is None else read_manifest(bundle)[1]
    for each in _meant(connection, bundle, digest if alone else None):
        folder = bundle if each.digest == digest else bundle_of(each.digest, None)
        reference = None if folder is None else read_reference(folder)
        if reference is None:
            unknown.append(Unknown(each, folder))
            continue
        if tows is None:
            found = tally_bins(connection, reference, each.id, width_ns, from_ns, to_ns)
            names = [""] * len(found)
        else:
            stretches = clipped([(tow.start_ns, tow.end_ns) for tow in tows], from_ns, to_ns)
            found = tally_stretches(connection, reference, each.id, stretches)
            names = [tow.name for tow in tows]
        rows += (
            Stretched(one.start_ns, one.end_ns, name, each, one.tally.ballots, judge(one.tally))
            for name, one in zip(names, found, strict=True)
            if one.tally.labels.any()
        )
    return Drifts(tuple(rows), tuple(unknown))


def _meant(connection: sqlite3.Connection, bundle: Path | None, digest: str | None) -> list[LedgerBundle]:
    at_work = {number for (number,) in connection.execute("SELECT DISTINCT bundle_id FROM total WHERE images > 0")}
    known = [each for each in read_bundles(connection) if each.id in at_work]
    if digest is None:
        return known
    found = [each for each in known if each.digest == digest]
    if known and not found:
        raise BadConfig(
            f"{bundle}: the bundle there is {digest[:12]}, and it has counted nothing in this ledger; give one of "
            f"{', '.join(map(str, known))}"
        )
    return found
