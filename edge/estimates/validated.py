"""What a bundle's own validation says of its verdicts: the confusion counts that corrected counts are made from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadBundle, BadConfig
from bundle.manifest import MANIFEST, HashedFile, parse_manifest
from bundle.whole import sha256_hex
from edge.shipped import DEFAULT, DEMO, shipped_bundle

VALIDATION = "validation.json"
SHIPPED = (DEFAULT, f"{DEFAULT}-fast", DEMO)


@dataclass(frozen=True, eq=False)
class Validated:
    """The verdicts on validation images, which trained none of the members."""

    labels: tuple[str, ...]  # C labels, those of the bundle
    confusion: NDArray[np.int64]  # (C, C+1) images: row = true class, column = verdict, last column = unclassified

    def __post_init__(self) -> None:
        wanted = (len(self.labels), len(self.labels) + 1)
        if self.confusion.shape != wanted:
            raise BadBundle(f"the confusion has the shape {self.confusion.shape}, not {wanted}; make the bundle anew")
        if (self.confusion < 0).any():
            raise BadBundle("the confusion has negative counts; make the bundle anew")


def read_validated(bundle: Path) -> Validated | None:
    """The confusion counts of the bundle folder `bundle`.

    None where it keeps none: no validation.json among its records, or one without them.

    Verifies the hash of that file alone, and loads no model. Raises BadBundle.
    """
    manifest_file = bundle / MANIFEST
    manifest = parse_manifest(_read(manifest_file), str(manifest_file))
    record = next((each for each in manifest.records if Path(each.file).name == VALIDATION), None)
    return None if record is None else _parse(bundle / record.file, record)


def bundle_of(digest: str, given: Path | None) -> Path | None:
    """The folder of the bundle with this digest: `given`, else one that ships; None where it is not at hand.

    Raises BadConfig where `given` is another bundle, and BadBundle where it is none.
    """
    if given is not None:
        found = sha256_hex(_read(given / MANIFEST))
        if found != digest:
            raise BadConfig(
                f"{given}: the bundle there is {found[:12]}, the verdicts are of {digest[:12]}; "
                "give the bundle that made them with --bundle"
            )
        return given
    for name in SHIPPED:
        try:
            path = shipped_bundle(name)
        except BadConfig:
            continue
        if sha256_hex(_read(path / MANIFEST)) == digest:
            return path
    return None


def _parse(file: Path, record: HashedFile) -> Validated | None:
    data = _read(file)
    if sha256_hex(data) != record.sha256:
        raise BadBundle(f"{file}: damaged, its sha-256 is not the manifest's; copy the bundle anew")
    try:
        found: Any = json.loads(data)
        if isinstance(found, dict) and "confusion" not in found:  # a bundle made elsewhere may keep other records
            return None
        labels = tuple(str(label) for label in found["labels"])
        rows = found["confusion"]
        if any(type(count) is not int for row in rows for count in row):
            raise ValueError
        return Validated(labels, np.array(rows, np.int64))
    except BadBundle as fault:
        raise BadBundle(f"{file}: {fault}") from None
    except (ValueError, KeyError, TypeError, OverflowError):
        raise BadBundle(f"{file}: no labels and whole-numbered confusion counts in it; make the bundle anew") from None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise BadBundle(f"{file}: missing; give the folder of a bundle, or copy it anew") from None
    except OSError as error:
        raise BadBundle(f"{file}: cannot be read ({error.strerror}); check its permissions") from None
