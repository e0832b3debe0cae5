"""The manifest: the one file of a bundle that says what the others are."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

from bundle.errors import BadBundle, BadConfig
from bundle.preprocess import FEATURES, InputSpec, check_side
from bundle.settings import settings_from
from bundle.whole import json_bytes

MANIFEST = "manifest.json"
SCHEMA_VERSION = 3
RULE_NAMES = ("hard", "soft")
TIE = "mean_score"

# int8: integer convolutions, float head. int16x8: int16 activations, int8 weights. dynamic: int8 weights, activations
# quantised anew for each image. float16: weights of half the size. float32: as trained.
Scheme = Literal["int8", "int16x8", "dynamic", "float16", "float32"]


@dataclass(frozen=True)
class Quantisation:
    """How a tensor's integers become real numbers: scale * (q - zero_point). Scale 0 stands for a float tensor."""

    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Checks:
    """What `planktow-quantize` found on held-out images when it made the member."""

    images: int
    keras_accuracy: float  # share of images, 0..1
    tflite_accuracy: float  # share of images, 0..1
    agreement: float  # share of images on which the two agree in the top class, 0..1


@dataclass(frozen=True)
class Member:
    """One model of the ensemble."""

    file: str  # relative to the bundle, with forward slashes
    sha256: str
    architecture: str
    scheme: Scheme
    side: int  # S, pixels: it sees an image as S x S
    pixels: Quantisation
    output: Quantisation
    multiply_adds: int  # of convolutions and dense layers, for one image: what it costs, on no machine in particular
    checks: Checks

    def __post_init__(self) -> None:
        _check_file(self.file, self.sha256)
        check_side(self.side)


@dataclass(frozen=True)
class VoteRule:
    """How ballots become a verdict."""

    rule: Literal["hard", "soft"] = "hard"
    tie: Literal["mean_score"] = "mean_score"
    min_votes: int = 1


@dataclass(frozen=True)
class HashedFile:
    """A file of the bundle, held by its hash."""

    file: str
    sha256: str

    def __post_init__(self) -> None:
        _check_file(self.file, self.sha256)


@dataclass(frozen=True)
class Labels:
    """The label file; the count stands beside the hash so that a person sees it."""

    file: str
    sha256: str
    count: int

    def __post_init__(self) -> None:
        _check_file(self.file, self.sha256)


@dataclass(frozen=True)
class Manifest:
    """The contents of manifest.json; `docs/bundle.md` describes each field."""

    schema_version: int
    name: str
    created: str  # UTC, ISO 8601
    input: InputSpec
    features: tuple[str, ...]
    labels: Labels
    members: tuple[Member, ...]
    order: tuple[int, ...]  # indexes of the members, in the order in which they are asked until a hard vote is decided
    vote: VoteRule
    records: tuple[HashedFile, ...]  # training.json, validation.json, taxa.csv

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise BadBundle(f"the name is {self.name!r}; it must be printable and not empty")
        if not _is_utc(self.created):
            raise BadBundle(f"created is {self.created!r}; it must be a time in UTC such as 2026-11-23T00:00:00Z")
        if not self.members:
            raise BadBundle("the manifest names no members")
        if sorted(self.order) != list(range(len(self.members))):
            raise BadBundle(
                f"order is {list(self.order)}; it must name each of the {len(self.members)} members once, from 0"
            )
        if not 1 <= self.vote.min_votes <= len(self.members):
            raise BadBundle(
                f"vote.min_votes is {self.vote.min_votes}, but there are {len(self.members)} members; set it from 1 to that"
            )
        if self.features != FEATURES:
            raise BadBundle(
                f"the features are {', '.join(self.features) or 'none'}, this version computes {', '.join(FEATURES)}; "
                "make the bundle anew"
            )
        names = [entry.file for entry in self.hashed_files()]
        if len(set(names)) != len(names):
            raise BadBundle("the manifest names one file twice")

    @cached_property
    def sides(self) -> tuple[int, ...]:
        """At which sides, in pixels, the members see an image, the smallest first."""
        return tuple(sorted({member.side for member in self.members}))

    def hashed_files(self) -> tuple[HashedFile, ...]:
        """Every file the manifest vouches for."""
        return (
            HashedFile(self.labels.file, self.labels.sha256),
            *(HashedFile(member.file, member.sha256) for member in self.members),
            *self.records,
        )


def parse_manifest(data: bytes, where: str) -> Manifest:
    """The manifest in `data`. Raises BadBundle, beginning with `where`, for anything that is not exactly one."""
    try:
        table: Any = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # ValueError: not UTF-8, not JSON, NaN, a number of 5,000 digits
        raise BadBundle(f"{where}: not valid JSON ({error}); copy the bundle anew") from None
    if not isinstance(table, dict):
        raise BadBundle(f"{where}: not a JSON object; copy the bundle anew")
    version = table.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BadBundle(f"{where}: schema_version is {version!r}, this version of Planktow reads {SCHEMA_VERSION}")
    try:
        return settings_from(table, Manifest, where)
    except BadConfig as error:
        raise BadBundle(str(error)) from None


def format_manifest(manifest: Manifest) -> bytes:
    """The bytes of manifest.json."""
    return json_bytes(dataclasses.asdict(manifest))


def _check_file(file: str, sha256: str) -> None:
    path = PurePosixPath(file)
    plain = (
        file.isprintable() and "\\" not in file and path.parts and str(path) == file
    )  # no //, no ./, no / at the end
    if not plain or path.is_absolute() or ".." in path.parts or file == MANIFEST:
        raise BadBundle(f"{file!r} is not a path inside the bundle")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise BadBundle(f"the sha256 of {file!r} is not 64 lower-case hexadecimal digits")


def _is_utc(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:
        return False


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
