"""What a training run left behind: its record and its members, verified before any work begins."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from bundle.errors import BadBundle, BadConfig, BadData
from bundle.labels import check_labels
from bundle.manifest import HashedFile
from bundle.preprocess import FEATURES, InputSpec
from bundle.settings import settings_from
from bundle.whole import sha256_hex

RECORD = "training.json"
SCHEMA_VERSION = 1

T = TypeVar("T")


@dataclass(frozen=True)
class TrainedMember:
    """One Keras member as the record names it."""

    file: str  # relative to the run's folder, such as members/01-residual.keras
    sha256: str
    architecture: str

    def __post_init__(self) -> None:
        HashedFile(self.file, self.sha256)  # refuses a path that leaves the folder and a hash that is none

    @property
    def stem(self) -> str:
        """The member's name, such as 01-residual."""
        return PurePosixPath(self.file).stem


@dataclass(frozen=True)
class Split:
    """The sha-256 of the images of each part, in hexadecimal."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """The part of training.json that quantising needs; the rest is free and goes into the bundle unread."""

    schema_version: int
    created: str  # UTC, ISO 8601
    name: str
    labels: tuple[str, ...]
    input: InputSpec
    features: tuple[str, ...]
    split: Split
    members: tuple[TrainedMember, ...]


def read_record(folder: Path) -> tuple[Record, bytes]:
    """The record of the trainer's output folder, and the bytes it was read from. Raises BadData.

    Every member must be there with the hash that the record gives: a bundle is never made of a half-written run.
    """
    path = folder / RECORD
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadData(
            f"{path}: cannot be read ({error.strerror}); give the folder that planktow-trainer wrote to"
        ) from None
    try:
        table = json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadData(f"{path}: not valid JSON ({error}); copy the trainer's folder anew") from None
    record = _parse(table, str(path))
    for member in record.members:
        _verify(folder / member.file, member)
    return record, data


def _parse(table: Any, where: str) -> Record:
    version = table.get("schema_version") if isinstance(table, dict) else None
    if version != SCHEMA_VERSION:
        raise BadData(f"{where}: schema_version is {version!r}, this version of Planktow reads {SCHEMA_VERSION}")
    try:
        known = _known(table, Record)
        if isinstance(known.get("split"), dict):
            known["split"] = _known(known["split"], Split)
        if isinstance(known.get("members"), list):
            known["members"] = [
                _known(member, TrainedMember) if isinstance(member, dict) else member for member in known["members"]
            ]
        record = settings_from(known, Record, where)
        check_labels(record.labels, where)
    except (BadConfig, BadBundle) as error:
        raise BadData(str(error) if str(error).startswith(where) else f"{where}: {error}") from None
    if record.features != FEATURES:
        raise BadData(
            f"{where}: the members were trained on the features {', '.join(record.features) or 'none'}, this version "
            f"computes {', '.join(FEATURES)}; train them anew"
        )
    if not record.members:
        raise BadData(f"{where}: names no members; let planktow-trainer finish at least one")
    for part in ("train", "validation"):
        if not getattr(record.split, part):
            raise BadData(f"{where}: the {part} split is empty; train on more images, or with another split")
    return record


def _known(table: Mapping[str, Any], into: type[T]) -> dict[str, Any]:
    """Only the keys that `into` reads: the trainer may add to its record without asking us."""
    return {
        field.name: table[field.name]
        for field in dataclasses.fields(into)  # type: ignore[arg-type]
        if field.name in table
    }


def _verify(file: Path, member: TrainedMember) -> None:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BadData(f"{file}: cannot be read ({error.strerror}); run planktow-trainer again, it goes on") from None
    if sha256_hex(data) != member.sha256:
        raise BadData(
            f"{file}: its sha-256 is not the one in {RECORD}; copy the trainer's folder anew, or train it anew"
        )
