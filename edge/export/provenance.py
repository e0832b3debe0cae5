"""Where the numbers of an export come from: it goes into each, so that every count can be traced."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from edge.bins import utc_text
from edge.counts import Accounting, LedgerBundle


@dataclass(frozen=True)
class Provenance:
    """Of one export at one moment of the ledger."""

    ledger: str  # its file name
    bundles: tuple[LedgerBundle, ...]  # whose verdicts are in the export
    accounting: Accounting  # of the whole ledger
    from_ns: int | None  # of images captured then or later, UTC ns; None: no bound
    to_ns: int | None  # and before then
    exported_ns: int
    verified: int = 0  # images of the export whose label a person gave or confirmed

    @property
    def software(self) -> str:
        """Name and version."""
        return f"planktow {version('planktow')}"

    @property
    def accounts(self) -> str:
        """Where every image of the ledger went, in words."""
        return f"{self.accounting}; duplicates {self.accounting.duplicates}"

    @property
    def classifiers(self) -> str:
        """Each bundle by its name and the sha-256 of its manifest."""
        return "; ".join(f"{bundle.name} sha256:{bundle.digest}" for bundle in self.bundles)

    @property
    def sentence(self) -> str:
        """For the abstracts that some formats have."""
        since = "" if self.from_ns is None else f" from {utc_text(self.from_ns)}"
        until = "" if self.to_ns is None else f" before {utc_text(self.to_ns)}"
        stretch = f" captured{since}{' and' if since and until else ''}{until}" if since or until else ""
        return (
            f"Images{stretch}, classified {self._review} by an ensemble of neural networks (hard vote): "
            f"{self.classifiers}. Software: {self.software}. Accounting of the whole ledger: {self.accounts}. "
            f"Exported {utc_text(self.exported_ns)}."
        )

    @property
    def _review(self) -> str:
        if not self.verified:
            return "without human review"
        looked = "one image" if self.verified == 1 else f"{self.verified} images"
        return f"({looked} then labelled by people)"

    def table(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "software": self.software,
            "ledger": self.ledger,
            "bundles": [{"name": bundle.name, "digest": bundle.digest} for bundle in self.bundles],
            "accounting": asdict(self.accounting),
            "from": None if self.from_ns is None else utc_text(self.from_ns),
            "to": None if self.to_ns is None else utc_text(self.to_ns),
            "exported": utc_text(self.exported_ns),
            **({"verified": self.verified} if self.verified else {}),
        }
