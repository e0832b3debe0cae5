"""A finished training run, read back: what training.json says, and members whose bytes are those it speaks of.

Here because two stages meet in it: the trainer's own later commands and the quantize stage.
"""

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
from bundle.preprocess import FEATURES, InputSpec, check_side
from bundle.scores import Summary
from bundle.settings import settings_from
from bundle.whole import sha256_hex

TRAINING = "training.json"
SCHEMA_VERSION = 3
KEY_DIGITS = 16  # two of a million images share 64 bits with a chance of 3 in 10^8

T = TypeVar("T")


@dataclass(frozen=True)
class TrainedMember:
    """A Keras member as the record names it."""

    file: str  # relative to the run's folder, such as members/01-residual.keras
    sha256: str
    architecture: str
    side: int  # S, pixels: it sees an image as S x S
    validation: Summary | None = None  # the Keras member's figures on the validation images

    def __post_init__(self) -> None:
        HashedFile(self.file, self.sha256)  # refuses a path that leaves the folder and a hash that is none
        check_side(self.side)

    @property
    def stem(self) -> str:
        """Number and name, such as 01-residual."""
        return PurePosixPath(self.file).stem


def image_key(sha256: str) -> str:
    """How the split names an image: by the first digits of its file's sha-256, since all 64 of each would weigh a third of a
    member.
    """
    return sha256[:KEY_DIGITS]


@dataclass(frozen=True)
class Split:
    """The keys of the images of each part."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Data:
    """The data set as it was when the run read it."""

    digest: str  # sha-256 over every hash and label
    images: int


@dataclass(frozen=True)
class Record:
    """The part of training.json that is computed with after training; the rest is free."""

    schema_version: int
    created: str  # UTC, ISO 8601
    name: str
    labels: tuple[str, ...]
    input: InputSpec
    features: tuple[str, ...]
    data: Data
    split: Split
    members: tuple[TrainedMember, ...]


@dataclass(frozen=True)
class FinishedRun:
    """A record and where it lies."""

    path: Path  # of training.json
    facts: Record
    table: Mapping[str, Any]  # the whole record; its members stand in the order of facts.members
    data: bytes  # of training.json

    @property
    def folder(self) -> Path:
        """Where members/ lies."""
        return self.path.parent

    @property
    def sha256(self) -> str:
        """Of training.json."""
        return sha256_hex(self.data)

    def member_bytes(self, member: TrainedMember) -> bytes:
        """The member's .keras file. Raises BadData where it is missing or not the one that the record names."""
        file = self.folder / member.file
        try:
            data = file.read_bytes()
        except OSError as error:
            raise BadData(
                f"{file}: cannot be read ({error.strerror}); give the whole folder that planktow-trainer wrote to"
            ) from None
        if sha256_hex(data) != member.sha256:
            raise BadData(f"{file}: its sha-256 is not the one in {self.path.name}; copy the run's folder anew")
        return data


def read_finished(path: Path) -> FinishedRun:
    """The record at `path`, which is a training.json or a folder that holds one. Raises BadData.

    The members are not looked at: the record of a bundle names members that lie elsewhere.
    """
    file = path / TRAINING if path.is_dir() else path
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BadData(
            f"{file}: cannot be read ({error.strerror}); give the folder that planktow-trainer wrote to"
        ) from None
    try:
        table = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{file}: not valid JSON ({error}); copy it anew") from None
    return FinishedRun(file, _facts(table, str(file)), table, data)


def require_usable(run: FinishedRun) -> None:
    """Raises BadData unless every member is there, whole, and this version of Planktow can feed it."""
    if run.facts.features != FEATURES:
        raise BadData(
            f"{run.path}: the members were trained on the features {', '.join(run.facts.features) or 'none'}, this "
            f"version computes {', '.join(FEATURES)}; train them anew"
        )
    if not run.facts.members:
        raise BadData(f"{run.path}: names no members; let planktow-trainer finish at least one")
    for member in run.facts.members:
        run.member_bytes(member)


def unnumbered(stem: str) -> str:
    """The name of a member without its number in the run: residual of 01-residual."""
    number, dash, rest = stem.partition("-")
    return rest if dash and number.isdigit() and rest else stem


def _facts(table: Any, where: str) -> Record:
    version = table.get("schema_version") if isinstance(table, dict) else None
    if version != SCHEMA_VERSION:
        raise BadData(f"{where}: schema_version is {version!r}, this version of Planktow reads {SCHEMA_VERSION}")
    try:
        known = _known(table, Record)
        for name, into in (("split", Split), ("data", Data)):
            if isinstance(known.get(name), dict):
                known[name] = _known(known[name], into)
        if isinstance(known.get("members"), list):
            known["members"] = [_known_member(member) for member in known["members"]]
        facts = settings_from(known, Record, where)
        check_labels(facts.labels, where)
    except (BadConfig, BadBundle) as error:
        raise BadData(str(error) if str(error).startswith(where) else f"{where}: {error}") from None
    return facts


def _known_member(member: Any) -> Any:
    if not isinstance(member, dict):
        return member
    known = _known(member, TrainedMember)
    if isinstance(known.get("validation"), dict):
        known["validation"] = _known(known["validation"], Summary)
    return known


def _known(table: Mapping[str, Any], into: type[T]) -> dict[str, Any]:
    """Only the keys that `into` reads: a record may hold more, and older ones hold less."""
    return {
        field.name: table[field.name]
        for field in dataclasses.fields(into)  # type: ignore[arg-type]
        if field.name in table
    }
