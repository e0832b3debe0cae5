"""What the classifiers of the ledger know of their labels: names for people, and which they confuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle.errors import PlanktowError
from bundle.taxa import Taxon, read_taxa
from edge.corrections.history import Labels, said_lately
from edge.corrections.suggest import suggestions
from edge.counts import LedgerBundle
from edge.estimates.validated import bundle_of, read_validated
from edge.web.looking import Seen


@dataclass(frozen=True, eq=False)
class _Records:
    taxa: Mapping[str, Taxon]
    confusion: NDArray[np.int64] | None


class Classifiers:
    """The records of bundles at hand, read once. For several threads: reading twice does no harm."""

    def __init__(self, given: Path | None) -> None:
        self._given = given
        self._records: dict[str, _Records] = {}

    def taxa(self, bundle: LedgerBundle) -> Mapping[str, Taxon]:
        """By label; none where the bundle is not at hand."""
        return self._of(bundle).taxa

    def suggested(self, seen: Seen, labels: Labels) -> list[str]:
        """What the image may be instead."""
        return suggestions(seen.verdict, seen.bundle.labels, self._of(seen.bundle).confusion, said_lately(labels))

    def names(self, bundle: LedgerBundle, labels: Labels) -> list[str]:
        """All labels that can be chosen: the bundle's, then those of their own that people gave, `unclassified` last."""
        own = sorted({each.label for each in labels.values() if each.label} - {*bundle.labels, bundle.label_name(-1)})
        return [*bundle.labels, *own, bundle.label_name(-1)]

    def _of(self, bundle: LedgerBundle) -> _Records:
        found = self._records.get(bundle.digest)
        if found is None:
            found = self._records[bundle.digest] = _read(bundle, self._given)
        return found


def _read(bundle: LedgerBundle, given: Path | None) -> _Records:
    """Nothing where the records are missing or damaged: images can be looked at all the same."""
    folder = None
    for candidate in (given, None):
        try:
            folder = folder or bundle_of(bundle.digest, candidate)
        except PlanktowError:
            continue
    if folder is None:
        return _Records({}, None)
    try:
        validated = read_validated(folder)
        fits = validated is not None and validated.labels == bundle.labels
        return _Records(read_taxa(folder), validated.confusion if validated is not None and fits else None)
    except PlanktowError:
        return _Records({}, None)
