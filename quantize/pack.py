"""The parts of a bundle put together: members, labels, records and the manifest that vouches for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bundle.ensemble import MemberModel
from bundle.graph import multiply_adds, operators
from bundle.labels import format_labels
from bundle.manifest import SCHEMA_VERSION, Checks, HashedFile, Labels, Manifest, Member, Scheme, VoteRule
from bundle.training import TRAINING, Record, TrainedMember
from bundle.whole import sha256_hex

LABELS, VALIDATION = "labels.txt", "validation.json"


@dataclass(frozen=True)
class Made:
    """A member that was converted and measured."""

    trained: TrainedMember
    scheme: Scheme
    model: bytes  # the .tflite file
    in_float: tuple[str, ...]  # convolutions that int8 left in float32
    checks: Checks

    @cached_property
    def multiply_adds(self) -> int:
        """Of one image."""
        return multiply_adds(operators(self.model))

    @property
    def file(self) -> str:
        """Its name in the bundle."""
        return f"members/{self.trained.stem}.tflite"


def pack(
    record: Record,
    vote: VoteRule,
    order: Sequence[int],
    name: str,
    members: Sequence[Made],
    training: bytes,
    validation: bytes,
) -> tuple[Manifest, Mapping[str, bytes]]:
    """The manifest and the contents of every file it names, ready for `bundle.folder.write_bundle`.

    training, validation: the bytes of the two records. Nothing in the result depends on the clock: the bundle is as old
    as its training, so the same members and settings give the same digest again.
    """
    contents = {LABELS: format_labels(record.labels), TRAINING: training, VALIDATION: validation}
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=name,
        created=record.created,
        input=record.input,
        features=record.features,
        labels=Labels(LABELS, sha256_hex(contents[LABELS]), len(record.labels)),
        members=tuple(_member(made) for made in members),
        order=tuple(order),
        vote=vote,
        records=tuple(HashedFile(file, sha256_hex(contents[file])) for file in (TRAINING, VALIDATION)),
    )
    return manifest, contents | {made.file: made.model for made in members}


def _member(made: Made) -> Member:
    model = MemberModel(made.model, made.file)
    return Member(
        file=made.file,
        sha256=sha256_hex(made.model),
        architecture=made.trained.architecture,
        scheme=made.scheme,
        side=made.trained.side,
        pixels=model.pixels_quantisation,
        output=model.output_quantisation,
        multiply_adds=made.multiply_adds,
        checks=made.checks,
    )
