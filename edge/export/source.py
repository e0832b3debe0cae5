"""What an export draws on: one ledger, the bundles that counted in it, and what the survey file knows of the sea."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadConfig
from bundle.taxa import Taxon, read_taxa
from edge.corrections.history import labels_beside
from edge.corrections.humanlabel import HumanLabel
from edge.corrections.looked import read_looked
from edge.counts import Accounting, LedgerBundle, chosen_bundle, read_accounting, read_bundles
from edge.estimates.validated import bundle_of
from edge.export.provenance import Provenance
from edge.export.rows import ImageRow, read_rows
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.survey.conditions import Conditions
from edge.survey.surveyfile import Survey, read_survey
from edge.survey.tows import Tow


@dataclass(frozen=True)
class Wanted:
    """What is to be exported."""

    ledger: Path
    bundle: Path | None = None  # the folder of the bundle; None: a shipped one, if it is that
    classifier: str | None = None  # the digest of the bundle whose verdicts are meant, or its beginning; None: all
    survey: Path | None = None
    from_ns: int | None = None  # captured in [from_ns, to_ns), UTC ns
    to_ns: int | None = None


@dataclass(frozen=True, eq=False)
class Source:
    """An open ledger, and all that goes with it."""

    wanted: Wanted
    connection: sqlite3.Connection
    bundles: tuple[LedgerBundle, ...]  # with verdicts in the stretch of time, and wanted
    folders: Mapping[str, Path]  # digest -> the bundle's folder, where it is at hand
    taxa: Mapping[str, Mapping[str, Taxon]]  # digest -> label -> taxon
    survey: Survey | None
    conditions: Conditions
    tows: tuple[Tow, ...]
    exported_ns: int
    labels: Mapping[bytes, HumanLabel]  # what people said of images, by content

    def taxon(self, bundle: LedgerBundle, label: str) -> Taxon:
        """What the bundle says of its label; the label alone where it says nothing."""
        return self.taxa.get(bundle.digest, {}).get(label) or Taxon(label, label, "", None, None, None)

    def any_taxon(self, bundles: Sequence[LedgerBundle], label: str) -> Taxon:
        """The same where labels of one name were added up over bundles: what the first one with the label says."""
        return self.taxon(next((bundle for bundle in bundles if label in bundle.labels), bundles[0]), label)

    def rows(self) -> Iterator[ImageRow]:
        """Every counted image, in the order of capture time."""
        wanted = self.wanted
        return read_rows(
            self.connection, self.bundles, wanted.from_ns, wanted.to_ns, self.conditions, self.tows, self.labels
        )

    def provenance(self, accounting: Accounting | None = None) -> Provenance:
        """With the accounting of now, unless it is given."""
        accounting = accounting or read_accounting(self.connection)
        wanted = self.wanted
        return Provenance(
            wanted.ledger.name,
            self.bundles,
            accounting,
            wanted.from_ns,
            wanted.to_ns,
            self.exported_ns,
            self._verified(),
        )

    def _verified(self) -> int:
        """How many images of the export people have labelled."""
        wanted, ids = self.wanted, {bundle.id for bundle in self.bundles}
        looked = read_looked(self.connection, self.labels)
        return sum(each.bundle_id in ids and each.lies_in(wanted.from_ns, wanted.to_ns) for each in looked)


@contextmanager
def open_source(wanted: Wanted, now_ns: int) -> Iterator[Source]:
    """The ledger for reading. Raises BadConfig, BadBundle; also where there is nothing to export."""
    survey = read_survey(wanted.survey) if wanted.survey else None
    with closing(open_ledger_readonly(wanted.ledger)) as connection:
        bundles = _at_work(connection, wanted)
        folders = _folders(bundles, wanted.bundle)
        yield Source(
            wanted,
            connection,
            bundles,
            folders,
            {digest: read_taxa(folder) for digest, folder in folders.items()},
            survey,
            survey.conditions() if survey else Conditions(),
            survey.deployments(connection) if survey else (),
            now_ns,
            labels_beside(connection),
        )


_COUNTED = """
    SELECT EXISTS (
        SELECT 1 FROM image JOIN verdict ON image_id = image.id WHERE aside IS NULL AND bundle_id = ?1
            AND (?2 IS NULL OR capture_ns >= ?2) AND (?3 IS NULL OR capture_ns < ?3)
    )
"""


def _at_work(connection: sqlite3.Connection, wanted: Wanted) -> tuple[LedgerBundle, ...]:
    every = read_bundles(connection)
    if wanted.classifier is not None:
        every = [chosen_bundle(every, wanted.classifier)]
    bounds = (wanted.from_ns, wanted.to_ns)
    at_work = tuple(bundle for bundle in every if connection.execute(_COUNTED, (bundle.id, *bounds)).fetchone()[0])
    if not at_work:
        raise BadConfig(f"{wanted.ledger}: no counted image in what was asked for; there is nothing to export")
    return at_work


def _folders(bundles: Sequence[LedgerBundle], given: Path | None) -> dict[str, Path]:
    """Digest -> folder. A folder that is given must be that of one of them."""
    found: dict[str, Path] = {}
    refusal: BadConfig | None = None
    taken = given is None
    for bundle in bundles:
        folder = None
        if given is not None:
            try:
                folder = bundle_of(bundle.digest, given)
                taken = True
            except BadConfig as another:
                refusal = another
        folder = folder or bundle_of(bundle.digest, None)
        if folder is not None:
            found[bundle.digest] = folder
    if refusal is not None and not taken:
        raise refusal
    return found
