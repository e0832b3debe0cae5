"""The verdicts that validation.json holds, read back to be compared with: those the bundle gave when it was made."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadBundle, BadConfig
from bundle.folder import Bundle
from bundle.settings import settings_from
from bundle.training import Split
from bundle.vote import NO_LABEL
from quantize.validation import SCHEMA_VERSION

FILE = "validation.json"


@dataclass(frozen=True)
class Verdicts:
    """A class index or NO_LABEL for each image of a part, in the order of training.json's split."""

    validation: tuple[int, ...]
    test: tuple[int, ...]  # none where the run had no test images


@dataclass(frozen=True)
class Inherited:
    """The bundle whose validation images, which have been learnt since, the calibration is of."""

    digest: str
    images: int


@dataclass(frozen=True)
class Recorded:
    """The part of validation.json that can be checked again."""

    labels: tuple[str, ...]
    verdicts: Verdicts
    confusion: tuple[tuple[int, ...], ...]  # C rows of C + 1 counts of validation images: row = true class
    inherited: Inherited | None = None  # from whom the confusion is, where it is not of this bundle's own verdicts

    @property
    def class_images(self) -> tuple[int, ...]:
        """The images of each class that the confusion is of, as they were labelled when it was counted."""
        return tuple(map(sum, self.confusion))


def read_recorded(bundle: Bundle, split: Split) -> Recorded:
    """What the bundle's validation.json says of the images in `split`. Raises BadBundle, with file, fault and remedy."""
    where = bundle.path / FILE
    if FILE not in bundle.contents:
        raise BadBundle(
            f"{bundle.path}: holds no {FILE}, so there are no verdicts to compare with; make the bundle with planktow-quantize"
        )
    try:
        recorded = _parsed(bundle.contents[FILE], where)
    except BadConfig as error:
        raise BadBundle(f"{error}; quantise the bundle anew") from None
    fault = _misfit(recorded, bundle.labels, split)
    if fault:
        raise BadBundle(f"{where}: {fault}; quantise the bundle anew")
    return recorded


def _parsed(data: bytes, where: Path) -> Recorded:
    try:
        table = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadConfig(f"{where}: not valid JSON ({error})") from None
    version = table.get("schema_version") if isinstance(table, dict) else None
    if version != SCHEMA_VERSION:
        raise BadConfig(f"{where}: schema_version is {version!r}, this version of Planktow verifies {SCHEMA_VERSION}")
    known = {field.name: table[field.name] for field in dataclasses.fields(Recorded) if field.name in table}
    if isinstance(known.get("inherited"), dict):
        known["inherited"] = {key: known["inherited"].get(key) for key in ("digest", "images")}
    if isinstance(known.get("verdicts"), dict):
        verdicts = known["verdicts"]
        known["verdicts"] = verdicts | {"test": [] if verdicts.get("test") is None else verdicts["test"]}
    return settings_from(known, Recorded, str(where))


def _misfit(recorded: Recorded, labels: tuple[str, ...], split: Split) -> str | None:
    """Why the record cannot be of this bundle, in words."""
    if recorded.labels != labels:
        return "its labels are not those of the bundle"
    for part in ("validation", "test"):
        verdicts, images = getattr(recorded.verdicts, part), getattr(split, part)
        if len(verdicts) != len(images):
            return f"it has {len(verdicts)} {part} verdicts, but training.json has {len(images)} {part} images"
        for verdict in verdicts:
            if not NO_LABEL <= verdict < len(labels):
                return f"{verdict} among its {part} verdicts is no class of {len(labels)}"
    if [len(row) for row in recorded.confusion] != [len(labels) + 1] * len(labels):
        return f"its confusion counts are not {len(labels)} rows of {len(labels) + 1}"
    images = len(split.validation) if recorded.inherited is None else recorded.inherited.images
    if sum(recorded.class_images) != images:
        return f"its confusion counts are of {sum(recorded.class_images)} images, not of {images}"
    return None
