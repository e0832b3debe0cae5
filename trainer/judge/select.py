"""Chooses members from finished runs and writes them as a run of their own, which planktow-quantize takes like any other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadConfig, BadData
from bundle.greedy import RULE, Scored, Step, disagreement, distinct, select_greedily, step_table
from bundle.pace import Say
from bundle.scores import Summary, score_indices
from bundle.training import (
    SCHEMA_VERSION,
    TRAINING,
    FinishedRun,
    TrainedMember,
    read_finished,
    require_usable,
    unnumbered,
)
from bundle.vote import hard_vote
from bundle.whole import json_bytes, whole_folder
from trainer.data.dataset import Dataset
from trainer.judge.predict import Part, find_part, load_images, predict


@dataclass(frozen=True)
class Candidate:
    """A member of the pool."""

    run: FinishedRun
    place: int  # in its run

    @property
    def member(self) -> TrainedMember:
        """Its file."""
        return self.run.facts.members[self.place]

    @property
    def sha256(self) -> str:
        """Of the .keras file."""
        return self.member.sha256

    @property
    def name(self) -> str:
        """For people: the run's folder and the member."""
        return f"{self.run.folder.name}/{self.member.stem}"


@dataclass(frozen=True)
class Selection:
    """What was chosen, from what, and why."""

    name: str  # of the new run
    pool: tuple[Candidate, ...]
    alone: tuple[float, ...]  # each candidate's accuracy on validation, 0..1
    steps: tuple[Step, ...]  # in the order of choice
    disagreement: NDArray[np.float64]  # (N, N) over the pool, on validation
    validation_images: int
    hard_vote_test: Summary | None  # told after the choice; None where the split has no test images
    folder: Path


def select_members(
    runs: Sequence[Path], data: Path, out: Path, size: int, name: str | None, say: Say, now: Callable[[], str]
) -> Selection:
    """Chooses `size` members of the finished `runs` by their hard vote on validation and writes them to the new folder `out`.

    name: of the new run, by default the first run's. now: gives the time in UTC, ISO 8601. Raises BadData, BadConfig.
    """
    if out.exists():
        raise BadConfig(f"{out}: exists already; a selection is never written over another run, give a new folder")
    pools = [read_finished(path) for path in runs]
    first = pools[0]
    for other in pools:
        require_usable(other)
        _require_alike(first, other)
    pool = distinct((Candidate(run, place) for run in pools for place in range(len(run.facts.members))), say)
    if not 1 <= size <= len(pool):
        raise BadConfig(
            f"--size is {size}, but the runs given have {len(pool)} different members; choose from 1 to that"
        )
    datasets = load_images(first, data, {each.member.side for each in pool}, say)
    validation = find_part(first, _any(datasets), data, "validation")
    scored = Scored(validation.truth, _predict(pool, datasets, validation, say))
    steps = select_greedily(scored, size)
    chosen = [pool[step.member] for step in steps]
    selection = Selection(
        name or first.facts.name,
        pool,
        tuple(
            score_indices(validation.truth, each.argmax(axis=1), first.facts.labels).accuracy for each in scored.scores
        ),
        steps,
        disagreement(scored.scores),
        len(validation.truth),
        _test(chosen, datasets, data, say),
        out,
    )
    _write(selection, chosen, now())
    return selection


def _require_alike(first: FinishedRun, other: FinishedRun) -> None:
    mine, theirs = first.facts, other.facts
    for what, same in (
        ("labels", mine.labels == theirs.labels),
        ("input", mine.input == theirs.input),
        ("features", mine.features == theirs.features),
        ("data (digest)", mine.data.digest == theirs.data.digest),
        ("split", mine.split == theirs.split),
    ):
        if not same:
            raise BadData(
                f"{other.path}: has other {what} than {first.path}, so their members cannot be compared or vote together; "
                "leave one of the two out, or train both on the same data with the same [input] and [split]"
            )


def _any(datasets: Mapping[int, Dataset]) -> Dataset:
    """At any side: which images it holds, and in which order, is the same at all."""
    return next(iter(datasets.values()))


def _predict(
    candidates: Sequence[Candidate], datasets: Mapping[int, Dataset], part: Part, say: Say
) -> NDArray[np.float32]:
    """(N, M, C) scores."""
    found = []
    for each in candidates:
        say(f"{each.name} classifies {len(part.images)} {part.name} images")
        found.extend(predict(each.run, each.member, datasets[each.member.side], [part]))
    return np.stack(found)


def _test(chosen: Sequence[Candidate], datasets: Mapping[int, Dataset], data: Path, say: Say) -> Summary | None:
    run = chosen[0].run
    if not run.facts.split.test:
        return None
    part = find_part(run, _any(datasets), data, "test")
    verdicts = hard_vote(_predict(chosen, datasets, part, say)).label
    return score_indices(part.truth, verdicts, run.facts.labels).summary


def _write(selection: Selection, chosen: Sequence[Candidate], now: str) -> None:
    run = chosen[0].run
    with whole_folder(selection.folder) as folder:
        (folder / "members").mkdir()
        members = []
        for number, candidate in enumerate(chosen, start=1):
            file = f"members/{number:02d}-{unnumbered(candidate.member.stem)}.keras"
            (folder / file).write_bytes(candidate.run.member_bytes(candidate.member))
            members.append({**candidate.run.table["members"][candidate.place], "file": file})
            (folder / file).with_suffix(".json").write_bytes(json_bytes(members[-1]))
        record = {
            "schema_version": SCHEMA_VERSION,
            "created": now,
            "name": selection.name,
            **{key: run.table[key] for key in ("labels", "input", "features", "data")},
            "members": members,
            "hard_vote_test": None
            if selection.hard_vote_test is None
            else dataclasses.asdict(selection.hard_vote_test),
            "selection": _trace(selection, [member["file"] for member in members]),
            "split": run.table["split"],
        }
        (folder / TRAINING).write_bytes(json_bytes(record))


def _trace(selection: Selection, files: Sequence[str]) -> dict[str, Any]:
    """How the members were chosen, for whoever asks later."""
    return {
        "rule": RULE,
        "validation_images": selection.validation_images,
        "steps": step_table(selection.steps, files, [candidate.name for candidate in selection.pool]),
        "pool": [
            {
                "name": candidate.name,
                "sha256": candidate.sha256,
                "architecture": candidate.member.architecture,
                "validation_accuracy": round(alone, 6),
                "disagreement": [round(float(share), 6) for share in row],
                "record_sha256": candidate.run.sha256,
            }
            for candidate, alone, row in zip(selection.pool, selection.alone, selection.disagreement, strict=True)
        ],
    }
