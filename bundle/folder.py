"""A bundle on disk: opened and verified as a whole, or refused; written as a whole, or absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle.ensemble import Ensemble, MemberModel
from bundle.errors import BadBundle
from bundle.labels import UNCLASSIFIED, parse_labels
from bundle.manifest import MANIFEST, Manifest, Member, format_manifest
from bundle.preprocess import Inputs, Pixels, Prepared, decode, prepare_grey
from bundle.vote import NO_LABEL, RULES, Votes, hard_vote_in_turn
from bundle.vouched import read_manifest, read_vouched
from bundle.whole import whole_folder


@dataclass(frozen=True)
class Bundle:
    """A verified classifier. `digest` is the sha-256 of its manifest, which holds the hash of every other file."""

    path: Path
    digest: str
    manifest: Manifest
    labels: tuple[str, ...]
    contents: Mapping[str, bytes]  # every file the manifest names, as verified: what runs is what was hashed

    def prepare(self, data: bytes) -> Prepared:
        """One image file's bytes as the members' input. Raises BadImage."""
        return self.prepare_grey(self.decode(data))

    def decode(self, data: bytes) -> Pixels:
        """One image file's bytes as (H, W) uint8 grey. Raises BadImage."""
        return decode(data, self.manifest.input.max_image_pixels)

    def prepare_grey(self, grey: Pixels) -> Prepared:
        """A decoded image, (H, W) uint8, as the members' input."""
        return prepare_grey(grey, self.manifest.input, self.manifest.sides)

    def load(self, threads: int = 1, order: Sequence[int] | None = None) -> Ensemble:
        """The members, ready to run; each call loads them anew (interpreters are not shared between threads).

        order: in which they are asked in turn, where this host has another cheapest one than the manifest says.
        """
        members = [self._load_member(member, threads) for member in self.manifest.members]
        return Ensemble(members, self.manifest.order if order is None else order)

    def classify(self, ensemble: Ensemble, batch: Sequence[Prepared], all_ballots: bool = False) -> Votes:
        """The verdicts of a batch of B images, B >= 1, by the bundle's own vote rule.

        By a hard vote members are asked in the ensemble's order, and only until an image is decided; `all_ballots` asks
        every member. The verdict is the same: label, and whether it has a majority (docs/bundle.md).
        """
        inputs = Inputs.of(batch)
        vote, members, order = self.manifest.vote, ensemble.members, ensemble.order
        if all_ballots or vote.rule != "hard":
            return RULES[vote.rule](ensemble.scores(inputs), vote.min_votes)

        def ask(turn: int, images: NDArray[np.intp]) -> NDArray[np.float32]:
            member = members[order[turn]]
            return member.scores(inputs.pixels[member.side][images], inputs.features[images])

        return hard_vote_in_turn(ask, len(members), len(batch), vote.min_votes)

    def label_name(self, index: int) -> str:
        """The label of a verdict's class index; `unclassified` for NO_LABEL."""
        return UNCLASSIFIED if index == NO_LABEL else self.labels[index]

    @cached_property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(len(data) for data in self.contents.values())

    def _load_member(self, member: Member, threads: int) -> MemberModel:
        where = f"{self.path / member.file}"
        model = MemberModel(self.contents[member.file], where, threads)
        manifest = self.manifest
        for what, found, wanted in (
            ("classes", model.class_count, len(self.labels)),
            ("pixels on a side", model.side, member.side),
            ("features", model.feature_count, len(manifest.features)),
        ):
            if found != wanted:
                raise BadBundle(
                    f"{where}: the model has {found} {what}, the bundle says {wanted}; make the bundle anew"
                )
        for what, actual, stated in (
            ("input", model.pixels_quantisation, member.pixels),
            ("output", model.output_quantisation, member.output),
        ):
            if actual != stated:
                raise BadBundle(
                    f"{where}: the model's {what} is {actual}, the manifest says {stated}; make the bundle anew"
                )
        return model


def open_bundle(path: Path) -> Bundle:
    """Opens the bundle folder `path`, verifying every hash, every label and that every member fits and runs.

    Raises BadBundle with one line that names the file, the fault and the remedy.
    """
    try:
        found = path.is_dir()
    except OSError as error:
        raise BadBundle(f"{path}: cannot be looked at ({error.strerror}); check the path and its permissions") from None
    if not found:
        raise BadBundle(f"{path}: not a folder; give the path of a bundle (a folder with {MANIFEST})")
    manifest, digest = read_manifest(path)
    contents = {entry.file: read_vouched(path, entry) for entry in manifest.hashed_files()}
    labels = parse_labels(contents[manifest.labels.file], str(path / manifest.labels.file))
    if len(labels) != manifest.labels.count:
        raise BadBundle(
            f"{path / manifest.labels.file}: {len(labels)} labels, the manifest says {manifest.labels.count}"
        )
    bundle = Bundle(path, digest, manifest, labels, contents)
    for member in bundle.load().members:  # a member that does not fit or run is found now, not at sea
        member.rehearse()
    return bundle


def write_bundle(path: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> Bundle:
    """Writes a new bundle folder whole, verified by opening it, or leaves nothing. Raises BadBundle, OSError.

    contents: the bytes of every file that the manifest names, and no other: an opened bundle vouches for all it holds.
    `path` must not exist: upgrading is a new folder.
    """
    if path.exists():
        raise BadBundle(f"{path}: exists already; a bundle is never changed in place, give another folder")
    named = {entry.file for entry in manifest.hashed_files()}
    if named != contents.keys():
        differing = ", ".join(sorted(named ^ contents.keys()))
        raise BadBundle(f"{path}: the manifest and the files given are not the same: {differing}")
    try:
        with whole_folder(path) as partial:
            for name, data in {**contents, MANIFEST: format_manifest(manifest)}.items():
                file = partial / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            open_bundle(partial)
    except BadBundle as error:
        raise BadBundle(str(error).replace(str(partial), str(path))) from None  # the name the caller knows
    return open_bundle(path)
