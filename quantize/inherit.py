"""A bundle of members that have learnt the validation images, too, with the calibration of those that had not.

When all is decided, a last training may take the validation images as well: images are what classifiers lack most. Then none
is left to say how far the new verdicts can be believed. Their forebears can: a bundle of the same networks, trained on the
same images but those. What it said of the validation images, before they were learnt, holds for the new members with room
to spare, since these know more; how much more, the test images say, which neither has learnt. Needs no Keras.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundle.errors import BadBundle
from bundle.folder import Bundle, open_bundle, write_bundle
from bundle.manifest import HashedFile, Member
from bundle.reference import REFERENCE, read_reference, write_reference
from bundle.training import Split
from bundle.whole import sha256_hex
from quantize.recorded import FILE, read_recorded
from quantize.validation import record_bytes
from quantize.verify import split_of

FURTHEST = 0.03  # of accuracies on the test images, 0..1: bundles further apart do not confuse the same classes alike

# What is said of the verdicts on validation images, of the vote as a whole.
_OF_THE_VOTE = ("confusion", "classes", "by_score", "by_votes")


@dataclass(frozen=True)
class Inheritance:
    """The bundle that was written, and what the test images say of the two."""

    bundle: Bundle
    before: float  # accuracy of the forebear's hard vote on the test images, 0..1
    now: float  # and of the bundle's
    images: int  # validation images the calibration is of
    with_reference: bool  # whether the forebear's reference.json has come along


def inherit(bundle: Path, forebear: Path, out: Path, name: str | None) -> Inheritance:
    """Writes the bundle folder `out`: `bundle` with the calibration of `forebear`.

    name: of the new bundle, by default the forebear's, as are its other records (taxa.csv). Raises BadBundle; `out` is then
    not there.
    """
    if out.exists():
        raise BadBundle(f"{out}: exists already; a bundle is never changed in place, give another folder")
    heir, elder = open_bundle(bundle), open_bundle(forebear)
    split, elder_split = split_of(heir), split_of(elder)
    _require_learnt_more(heir, split, elder, elder_split)
    read_recorded(heir, split)
    if read_recorded(elder, elder_split).inherited is not None:
        raise BadBundle(f"{forebear}: has its calibration from another bundle itself; give that one")
    places, reference = _places(heir, elder), read_reference(forebear)
    mine, theirs = (json.loads(each.contents[FILE]) for each in (heir, elder))
    before, now = (_on_test(each, record) for each, record in ((elder, theirs), (heir, mine)))
    if abs(now - before) > FURTHEST:
        raise BadBundle(
            f"{bundle}: {now:.1%} of the test images are right and {before:.1%} of {forebear}, more than "
            f"{FURTHEST * 100:g} points apart, so what that one confuses says little of this one; leave validation images out "
            "of the training ('released' of the run)"
        )
    name = name or elder.manifest.name
    record = record_bytes(_record(mine, theirs, places, elder) | {"name": name})
    kept = {entry.file: elder.contents[entry.file] for entry in elder.manifest.records}
    records = kept | {entry.file: heir.contents[entry.file] for entry in heir.manifest.records} | {FILE: record}
    manifest = dataclasses.replace(
        heir.manifest,
        name=name,
        order=tuple(places.index(place) for place in elder.manifest.order),
        records=tuple(HashedFile(file, sha256_hex(data)) for file, data in records.items()),
    )
    written = write_bundle(out, manifest, {**heir.contents, **records})
    if reference is not None:
        own = dataclasses.replace(reference, digest=written.digest, order=manifest.order)
        write_reference(out / REFERENCE, own, name)
    return Inheritance(written, before, now, len(elder_split.validation), reference is not None)


def _require_learnt_more(heir: Bundle, split: Split, elder: Bundle, elder_split: Split) -> None:
    """Raises BadBundle unless the two differ in nothing but validation images that the heir has learnt."""
    mine, theirs = heir.manifest, elder.manifest
    for what, same in (
        ("labels", heir.labels == elder.labels),
        ("input", mine.input == theirs.input),
        ("features", mine.features == theirs.features),
        ("vote", mine.vote == theirs.vote),
        ("test images", set(split.test) == set(elder_split.test)),
    ):
        if not same:
            raise BadBundle(f"{elder.path}: has other {what} than {heir.path}, and says nothing of its verdicts")
    learnt = set(split.train) - set(elder_split.train)
    if not set(elder_split.train) <= set(split.train) or not learnt <= set(elder_split.validation):
        raise BadBundle(
            f"{heir.path}: was trained on other images than {elder.path} and its validation images; train it on the same data "
            "set, with the same shares and 'released' in the run's [split]"
        )
    if not learnt:
        raise BadBundle(f"{heir.path}: has learnt no validation image of {elder.path}, so its own calibration holds")


def _places(heir: Bundle, elder: Bundle) -> list[int]:
    """Whose place among the elder's members each of the heir's takes: of those alike, the first that is free."""

    def kind(member: Member) -> tuple[str, str, int, int]:
        return member.architecture, member.scheme, member.side, member.multiply_adds

    free = list(enumerate(elder.manifest.members))
    places = []
    for member in heir.manifest.members:
        place = next((place for place, other in free if kind(other) == kind(member)), None)
        if place is None:
            break
        places.append(place)
        free = [each for each in free if each[0] != place]
    if free or len(places) < len(heir.manifest.members):
        raise BadBundle(
            f"{elder.path}: its members are not the same networks, schemes and sides as those of {heir.path}, one for one, so it "
            "says nothing of their verdicts"
        )
    return places


def _on_test(bundle: Bundle, record: dict[str, Any]) -> float:
    if not record.get("test"):
        raise BadBundle(f"{bundle.path}: has no test images, so nobody knows whether its calibration can be taken over")
    return float(record["test"]["hard"]["tflite"]["accuracy"])


def _record(mine: dict[str, Any], theirs: dict[str, Any], places: Sequence[int], elder: Bundle) -> dict[str, Any]:
    """validation.json: what is measured on images that the members have not learnt is theirs, all else mine."""
    files = [member["file"] for member in mine["members"]]
    calibration = theirs["calibration"]
    members = [calibration["members"][place] | {"file": file} for place, file in zip(places, files, strict=True)]
    turns = theirs["turns"]
    return (
        mine
        | {key: theirs[key] for key in _OF_THE_VOTE}
        | {
            "calibration": calibration | {"members": members},
            "turns": turns | {"order": [places.index(place) for place in turns["order"]]},
            "ballots": [theirs["ballots"][place] for place in places],
            "inherited": {
                "name": elder.manifest.name,
                "digest": elder.digest,
                "images": theirs["validation"]["images"],
                "validation": theirs["validation"]["hard"],
                "test": theirs["test"]["hard"],
            },
        }
    )
