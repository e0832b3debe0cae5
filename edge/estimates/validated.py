"""What a bundle's own validation says of its verdicts: the confusion counts that corrected counts are made from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadBundle, BadConfig
from bundle.vouched import read_manifest, read_vouched
from edge.shipped import DEFAULT, DEMO, shipped_bundle

VALIDATION = "validation.json"
SHIPPED = (DEFAULT, f"{DEFAULT}-fast", DEMO)


@dataclass(frozen=True, eq=False)
class Validated:
    """The verdicts on validation images, which trained none of the members."""

    labels: tuple[str, ...]  # C labels, those of the bundle
    confusion: NDArray[np.int64]  # (C, C+1) images: row = true class, column = verdict, last column = unclassified
    temperature: float | None = None  # that brings the members' mean scores nearest to probabilities (Guo et al. 2017)

    def __post_init__(self) -> None:
        wanted = (len(self.labels), len(self.labels) + 1)
        if self.confusion.shape != wanted:
            raise BadBundle(f"the confusion has the shape {self.confusion.shape}, not {wanted}; make the bundle anew")
        if (self.confusion < 0).any():
            raise BadBundle("the confusion has negative counts; make the bundle anew")
        if self.temperature is not None and not 0.01 <= self.temperature <= 100:
            raise BadBundle(f"the temperature is {self.temperature}, not from 0.01 to 100; make the bundle anew")


def read_validated(bundle: Path) -> Validated | None:
    """The confusion counts of the bundle folder `bundle`.

    None where it keeps none: no validation.json among its records, or one without them.

    Verifies the hash of that file alone, and loads no model. Raises BadBundle.
    """
    manifest, _ = read_manifest(bundle)
    record = next((each for each in manifest.records if Path(each.file).name == VALIDATION), None)
    return None if record is None else _parse(read_vouched(bundle, record), bundle / record.file)


def bundle_of(digest: str, given: Path | None) -> Path | None:
    """The folder of the bundle with this digest: `given`, else one that ships; None where it is not at hand.

    Raises BadConfig where `given` is another bundle, and BadBundle where it is none.
    """
    if given is not None:
        _, found = read_manifest(given)
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
        if read_manifest(path)[1] == digest:
            return path
    return None


def _parse(data: bytes, file: Path) -> Validated | None:
    try:
        found: Any = json.loads(data)
        if isinstance(found, dict) and "confusion" not in found:  # a bundle made elsewhere may keep other records
            return None
        labels = tuple(str(label) for label in found["labels"])
        rows = found["confusion"]
        if any(type(count) is not int for row in rows for count in row):
            raise ValueError
        calibration = found.get("calibration") or {}
        temperature = (calibration.get("ensemble") or {}).get("temperature")
        return Validated(labels, np.array(rows, np.int64), None if temperature is None else float(temperature))
    except BadBundle as fault:
        raise BadBundle(f"{file}: {fault}") from None
    except (ValueError, KeyError, TypeError, OverflowError, AttributeError):
        raise BadBundle(f"{file}: no labels and whole-numbered confusion counts in it; make the bundle anew") from None
