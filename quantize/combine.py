"""One bundle of the members of several: chosen by the vote they cast together, judged anew, none of them converted again.

Needs no Keras and none of the originals: a good member of last year's bundle goes on voting beside this year's.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadBundle, BadConfig
from bundle.folder import Bundle, open_bundle, write_bundle
from bundle.greedy import RULE, Scored, Step, disagreement, distinct, select_greedily, step_table
from bundle.manifest import HashedFile, Member
from bundle.pace import Say
from bundle.scores import Summary, score_indices
from bundle.training import TRAINING, Split, unnumbered
from bundle.whole import json_bytes, sha256_hex
from quantize.halve import halve_dense
from quantize.judging import cheapest, judge
from quantize.recorded import FILE, read_recorded
from quantize.score import ballots, share, vote
from quantize.validation import HeldOut, judged, record_bytes
from quantize.verify import split_of


@dataclass(frozen=True)
class Candidate:
    """A member of the pool."""

    bundle: Bundle
    place: int  # in its bundle

    @cached_property
    def member(self) -> Member:
        """As its bundle has it, of the file that ships now."""
        return dataclasses.replace(self._kept, sha256=sha256_hex(self.model))

    @property
    def sha256(self) -> str:
        """Of the .tflite file that ships now."""
        return self.member.sha256

    @property
    def stem(self) -> str:
        """Its number and name in its bundle, such as 01-student-a."""
        return PurePosixPath(self._kept.file).stem

    @property
    def name(self) -> str:
        """For people: the bundle's folder and the member."""
        return f"{self.bundle.path.name}/{self.stem}"

    @cached_property
    def model(self) -> bytes:
        """The .tflite file that ships now: of int8 with its dense layers in 16 bits, where its bundle has them in 32."""
        file = self.bundle.contents[self._kept.file]
        return halve_dense(file) if self._kept.scheme == "int8" else file

    @property
    def _kept(self) -> Member:
        return self.bundle.manifest.members[self.place]


@dataclass(frozen=True)
class Combination:
    """What was chosen, from what, and what it is worth."""

    pool: tuple[Candidate, ...]
    validation: tuple[Summary, ...]  # each candidate alone
    steps: tuple[Step, ...]  # in the order of choice
    hard_test: Summary | None  # of those chosen, told after the choice; None where the split has no test images
    bundle: Bundle


def combine(bundles: Sequence[Path], data: Path, out: Path, size: int, name: str | None, say: Say) -> Combination:
    """Chooses `size` members of the `bundles` by their hard vote on validation and writes the bundle folder `out`.

    data: the data set they were trained on. name: of the new bundle, by default the first one's, as are its vote and its
    other records (taxa.csv). Raises BadBundle, BadConfig and BadData; `out` is then not there.
    """
    if out.exists():
        raise BadBundle(f"{out}: exists already; a bundle is never changed in place, give another folder")
    opened = [open_bundle(path) for path in bundles]
    first, split = opened[0], split_of(opened[0])
    for other in opened:
        _require_alike(first, split, other)
        read_recorded(other, split)
    pool = distinct(
        (Candidate(bundle, place) for bundle in opened for place in range(len(bundle.manifest.members))), say
    )
    if not 1 <= size <= len(pool):
        raise BadConfig(
            f"--size is {size}, but the bundles given have {len(pool)} different members; choose from 1 to that"
        )
    models = {each.name: each.model for each in pool}
    validation, test = judge(models, first.labels, split, first.manifest.input, data, out, say)
    scored = Scored(validation.truth, np.stack(validation.tflite))
    steps = select_greedily(scored, size)
    chosen = [step.member for step in steps]
    alone = tuple(_summary(validation.truth, [scores], first) for scores in validation.tflite)
    parts = [HeldOut(part.truth, [], [part.tflite[place] for place in chosen]) for part in (validation, test)]
    trace = _trace(pool, alone, steps, disagreement(scored.scores), len(validation.truth))
    written = _write(
        out, name or first.manifest.name, first, [pool[place] for place in chosen], parts[0], parts[1], trace
    )
    hard_test = _summary(test.truth, parts[1].tflite, first) if len(test.truth) else None
    return Combination(pool, alone, steps, hard_test, written)


def _require_alike(first: Bundle, split: Split, other: Bundle) -> None:
    mine, theirs = first.manifest, other.manifest
    for what, same in (
        ("labels", first.labels == other.labels),
        ("input", mine.input == theirs.input),
        ("features", mine.features == theirs.features),
        ("training, validation and test images", split == split_of(other)),
    ):
        if not same:
            raise BadBundle(
                f"{other.path}: has other {what} than {first.path}, so their members cannot vote together; leave one of the "
                "two out" + (", or make its input the same with planktow-quantize rejudge" if what == "input" else "")
            )


def _trace(
    pool: Sequence[Candidate],
    alone: Sequence[Summary],
    steps: Sequence[Step],
    apart: NDArray[np.float64],
    validation_images: int,
) -> dict[str, Any]:
    """How the members were chosen, for whoever asks later."""
    files = [
        f"members/{number:02d}-{unnumbered(pool[step.member].stem)}.tflite"
        for number, step in enumerate(steps, start=1)
    ]
    return {
        "rule": RULE,
        "validation_images": validation_images,
        "steps": step_table(steps, files, [each.name for each in pool]),
        "pool": [
            {
                "name": each.name,
                "sha256": each.sha256,
                "bundle": each.bundle.digest,
                "validation_accuracy": round(summary.accuracy, 6),
                "disagreement": [round(share, 6) for share in row],
            }
            for each, summary, row in zip(pool, alone, apart.tolist(), strict=True)
        ],
    }


def _summary(truth: NDArray[np.int32], scores: Sequence[NDArray[np.float32]], like: Bundle) -> Summary:
    return score_indices(truth, vote(scores, like.manifest.vote).label, like.labels).summary


def _write(
    out: Path,
    name: str,
    like: Bundle,
    chosen: Sequence[Candidate],
    validation: HeldOut,
    test: HeldOut,
    trace: dict[str, Any],
) -> Bundle:
    rule = dataclasses.replace(like.manifest.vote, min_votes=min(like.manifest.vote.min_votes, len(chosen)))
    files = [step["file"] for step in trace["steps"]]
    members = tuple(
        dataclasses.replace(
            candidate.member,
            file=file,
            checks=dataclasses.replace(
                candidate.member.checks, tflite_accuracy=share(ballots(scores) == validation.truth)
            ),
        )
        for candidate, file, scores in zip(chosen, files, validation.tflite, strict=True)
    )
    order = cheapest(members, validation, rule)
    created = max(each.bundle.manifest.created for each in chosen)
    training = json_bytes(_training(like, chosen, files) | {"name": name, "created": created, "selection": trace})
    now = judged(files, like.labels, rule, validation, test, order)
    record = record_bytes(_record(like, chosen, files, now) | {"name": name, "created": created, "combined": trace})
    kept = {entry.file: like.contents[entry.file] for entry in like.manifest.records}
    records = kept | {TRAINING: training, FILE: record}
    manifest = dataclasses.replace(
        like.manifest,
        name=name,
        created=created,
        members=members,
        order=order.members,
        vote=rule,
        records=tuple(HashedFile(file, sha256_hex(data)) for file, data in records.items()),
    )
    contents = {like.manifest.labels.file: like.contents[like.manifest.labels.file]} | records
    return write_bundle(out, manifest, contents | dict(zip(files, (each.model for each in chosen), strict=True)))


def _training(like: Bundle, chosen: Sequence[Candidate], files: Sequence[str]) -> dict[str, Any]:
    """training.json: that of the first bundle, with the entries of the members that were chosen."""
    table: dict[str, Any] = json.loads(like.contents[TRAINING])
    entries = []
    for candidate, file in zip(chosen, files, strict=True):
        entry = _entry(candidate, json.loads(candidate.bundle.contents[TRAINING])["members"], TRAINING)
        entries.append(entry | {"file": f"members/{PurePosixPath(file).stem}.keras"})
    # The Keras members were never asked together, and may have seen the images prepared in another way.
    return table | {"members": entries, "hard_vote_test": None}


def _record(like: Bundle, chosen: Sequence[Candidate], files: Sequence[str], now: dict[str, Any]) -> dict[str, Any]:
    """validation.json: `now`, and of what was measured when each member was converted that which is of it alone."""
    befores = [json.loads(each.bundle.contents[FILE]) for each in chosen]
    gates = [
        gate | {"subject": PurePosixPath(file).stem}
        for candidate, before, file in zip(chosen, befores, files, strict=True)
        for gate in before.get("gates", ())
        if gate["subject"] == candidate.stem
    ]
    members = [
        _entry(candidate, before["members"], FILE) | {"file": file}
        for candidate, before, file in zip(chosen, befores, files, strict=True)
    ]
    for part in ("validation", "test"):
        if now[part] is None:
            continue
        for candidate, before, member in zip(chosen, befores, now[part]["members"], strict=True):
            was = _entry(candidate, before[part]["members"], FILE)
            member |= {key: was[key] for key in ("keras", "agreement") if key in was}
    first: dict[str, Any] = json.loads(like.contents[FILE])
    kept = {key: first[key] for key in ("schema_version", "labels", "vote", "quantised") if key in first}
    anew = [before["prepared_anew"] for before in befores if "prepared_anew" in before]
    return kept | {"members": members, "gates": gates} | now | ({"prepared_anew": anew[0]} if anew else {})


def _entry(candidate: Candidate, entries: Sequence[dict[str, Any]], record: str) -> dict[str, Any]:
    """That of the candidate among the members of a record of its bundle."""
    for entry in entries:
        if PurePosixPath(entry["file"]).stem == candidate.stem:
            return entry
    raise BadBundle(
        f"{candidate.bundle.path / record}: says nothing of {candidate.stem}; make the bundle with planktow-quantize"
    )
