"""All that the page is made from; no part of it is read while the page is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bundle.labels import UNCLASSIFIED
from edge.counts import Bin
from edge.estimates.estimate import Estimate
from edge.htmlreport.collage import Collage
from edge.htmlreport.facts import Facts
from edge.htmlreport.places import Places
from edge.reported import Reported


@dataclass(frozen=True)
class Origin:
    """Where the report comes from: names only, no path of the host."""

    ledger: str
    survey: str | None
    written_ns: int  # UTC ns
    versions: Mapping[str, str]  # program -> version
    asked_width: str  # the bins' width that was asked for, as --bin has it
    width: str  # the one drawn
    seed: int


@dataclass(frozen=True, eq=False)
class Source:
    """One report, and what only the page has of it."""

    reported: Reported
    facts: Facts
    places: Places | None  # None: no survey was given
    collage: Collage | None  # None: no folder of images was given
    aside: Mapping[str, int]  # rule -> images set aside, of the whole ledger
    origin: Origin

    @property
    def total(self) -> int:
        """Images counted in the stretch reported."""
        return sum(self.reported.counts.totals.values())

    @property
    def ranked(self) -> list[str]:
        """Labels that were found, the most frequent first, without `unclassified`."""
        return self.reported.ranked

    @property
    def absent(self) -> list[str]:
        """Labels that were looked for and not found."""
        return [label for label, images in self.reported.counts.totals.items() if not images and label != UNCLASSIFIED]

    @property
    def corrected(self) -> bool:
        """Whether there are corrected counts."""
        return any(each.corrected is not None for each in self.reported.estimates.totals.values())

    @property
    def raised(self) -> bool:
        """Whether raw counts were raised for images left out."""
        return any(each.raised not in (None, each.raw) for each in self.reported.estimates.totals.values())

    def group(self, label: str) -> str:
        """The group of the label; nothing where no table says."""
        taxon = self.reported.taxa.get(label)
        return taxon.group if taxon else ""

    def span_ns(self) -> tuple[int, int] | None:
        """What the axes of time hold: from the first bin to the end of the last; None: no bins."""
        bins = self.reported.counts.bins
        return (bins[0].start_ns, bins[-1].end_ns) if bins else None

    def bins(self) -> Sequence[tuple[Bin, Mapping[str, Estimate]]]:
        """Each bin with its estimates."""
        return list(zip(self.reported.counts.bins, self.reported.estimates.bins, strict=True))


def best(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    """The value to draw, with its interval: corrected where known, else raised for dropped images, else raw."""
    if estimate.corrected is not None:
        return estimate.corrected, estimate.low, estimate.high
    return (float(estimate.raw) if estimate.raised is None else estimate.raised), estimate.raw_low, estimate.raw_high
