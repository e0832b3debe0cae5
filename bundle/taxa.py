"""What the labels of a bundle mean to biologists: groups, and names in WoRMS and EcoTaxa, from the record taxa.csv."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadBundle
from bundle.labels import parse_labels
from bundle.manifest import HashedFile
from bundle.vouched import read_manifest, read_vouched

TAXA = "taxa.csv"
COLUMNS = ("label", "display_name", "group", "aphia_id", "ecotaxa", "living")
_LIVING = {"yes": True, "no": False, "": None}
_MOST_APHIA_ID = 99_999_999  # WoRMS is at seven digits (2026)


@dataclass(frozen=True)
class Taxon:
    """One label. None: not known for certain, or there is no such thing (of debris, an AphiaID)."""

    label: str
    display_name: str
    group: str  # labels of one group may be added up: copepods, hydromedusae, detritus …
    aphia_id: int | None  # in the World Register of Marine Species
    ecotaxa: str | None  # the category in EcoTaxa's tree, as it is shown there: Calanoida, other<Copepoda
    living: bool | None


def parse_taxa(data: bytes, labels: Sequence[str], name: str) -> dict[str, Taxon]:
    """The taxa by label, in the order of the labels. Raises BadBundle, beginning with `name`.

    UTF-8 CSV with the header of COLUMNS and one row for each label; the rows may stand in any order. One AphiaID stands
    in one group.
    """
    try:
        rows = list(csv.reader(data.decode("utf-8-sig").splitlines(), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadBundle(f"{name}: not UTF-8 CSV ({error}); save it as such") from None
    if not rows or tuple(rows[0]) != COLUMNS:
        raise BadBundle(f"{name}: the first line must be {','.join(COLUMNS)}")
    found: dict[str, Taxon] = {}
    for number, row in enumerate(rows[1:], start=2):
        try:
            taxon = _taxon(row)
        except ValueError as error:
            raise BadBundle(f"{name}: row {number}: {error}") from None
        if taxon.label not in labels:
            raise BadBundle(f"{name}: row {number}: '{taxon.label}' is no label of the bundle; take the row out")
        if taxon.label in found:
            raise BadBundle(f"{name}: row {number}: the label '{taxon.label}' stands twice; take one row out")
        found[taxon.label] = taxon
    missing = [label for label in labels if label not in found]
    if missing:
        raise BadBundle(f"{name}: no row for the label '{missing[0]}' ({len(missing)} missing); add one")
    _require_one_group(found, name)
    return {label: found[label] for label in labels}


def read_taxa(bundle: Path) -> dict[str, Taxon]:
    """The taxa of the bundle folder `bundle`, as its manifest vouches for them; none where it names no taxa.csv.

    Raises BadBundle.
    """
    manifest, _ = read_manifest(bundle)
    entry = next((record for record in manifest.records if record.file == TAXA), None)
    if entry is None:
        return {}
    labels_file = manifest.labels.file
    labels = parse_labels(
        read_vouched(bundle, HashedFile(labels_file, manifest.labels.sha256)), str(bundle / labels_file)
    )
    return parse_taxa(read_vouched(bundle, entry), labels, str(bundle / TAXA))


def _taxon(row: Sequence[str]) -> Taxon:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(row)} columns, there must be {len(COLUMNS)}")
    for column, cell in zip(COLUMNS, row, strict=True):
        if cell != cell.strip() or (cell and not cell.isprintable()):
            raise ValueError(f"{column} is {cell!r}; take out the spaces at its ends and what cannot be printed")
    label, display_name, group, aphia_id, ecotaxa, living = row
    if not display_name or not group:
        raise ValueError(f"'{label}' needs a display_name and a group")
    if aphia_id and not (re.fullmatch(r"[1-9][0-9]{0,7}", aphia_id) and int(aphia_id) <= _MOST_APHIA_ID):
        raise ValueError(f"aphia_id is '{aphia_id}'; it must be WoRMS's whole number, or empty")
    if living not in _LIVING:
        raise ValueError(f"living is '{living}'; it must be yes, no or empty")
    return Taxon(label, display_name, group, int(aphia_id) if aphia_id else None, ecotaxa or None, _LIVING[living])


def _require_one_group(taxa: dict[str, Taxon], name: str) -> None:
    first: dict[int, Taxon] = {}
    for taxon in taxa.values():
        if taxon.aphia_id is None:
            continue
        other = first.setdefault(taxon.aphia_id, taxon)
        if other.group != taxon.group:
            raise BadBundle(
                f"{name}: AphiaID {taxon.aphia_id} stands in two groups, '{other.group}' ('{other.label}') and "
                f"'{taxon.group}' ('{taxon.label}'); give both rows one group"
            )
