"""The training record: what made these members, so that a count can be traced to its data and settings.

`training.json` speaks of the whole run; beside each member stands `NN-NAME.json` with its own part, which says that the
member is finished.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from bundle.preprocess import FEATURES
from bundle.scores import Summary
from bundle.training import SCHEMA_VERSION
from bundle.whole import json_bytes, sha256_hex, write_whole
from trainer.config import MemberRun, Run
from trainer.data.dataset import Dataset


@dataclass(frozen=True)
class Member:
    """A finished member."""

    file: str  # relative to the run's folder
    sha256: str
    architecture: str
    side: int  # S, pixels
    seed: int
    settings: dict[str, Any]  # the member's table of the run
    data_digest: str
    started: str  # UTC, ISO 8601
    finished: str
    versions: dict[str, str]
    validation: Summary
    test: Summary
    history: list[dict[str, float]]  # one entry an epoch


@dataclass(frozen=True)
class Record:
    """The contents of training.json."""

    schema_version: int
    created: str  # UTC, ISO 8601: when the last member was finished
    name: str
    labels: tuple[str, ...]
    input: dict[str, Any]
    features: tuple[str, ...]
    data: dict[str, Any]
    members: tuple[Member, ...]
    hard_vote_test: Summary  # of the Keras members
    split: dict[str, list[str]]  # keys of the images of each part

    @staticmethod
    def of(
        run: Run,
        dataset: Dataset,
        images: dict[str, NDArray[np.intp]],
        members: list[Member],
        ensemble: Summary,
        now: str,
    ) -> Record:
        """The record of a run as far as it has come."""
        findings, keys = dataset.findings, dataset.keys
        return Record(
            schema_version=SCHEMA_VERSION,
            created=max(member.finished for member in members) if members else now,
            name=run.name,
            labels=dataset.labels,
            input=dataclasses.asdict(run.input),
            features=FEATURES,
            data={
                "digest": dataset.digest,
                "images": len(dataset.hashes),
                "images_per_class": np.bincount(dataset.classes, minlength=len(dataset.labels)).tolist(),
                **dataclasses.asdict(findings),
                "shares": dataclasses.asdict(run.split),
            },
            members=tuple(members),
            hard_vote_test=ensemble,
            split={part: [keys[image] for image in chosen] for part, chosen in images.items()},
        )


def write_record(path: Path, record: Record) -> None:
    """Writes training.json whole."""
    write_whole(path, json_bytes(dataclasses.asdict(record)))


def write_member(
    file: Path,
    member: MemberRun,
    data_digest: str,
    started: str,
    finished: str,
    validation: Summary,
    test: Summary,
    history: list[dict[str, float]],
) -> Member:
    """Writes the member's own record beside `file`, the sign that it is finished, and returns it."""
    done = Member(
        file=f"members/{file.name}",
        sha256=sha256_hex(file.read_bytes()),
        architecture=member.network.architecture,
        side=member.side,
        seed=member.seed,
        settings=dataclasses.asdict(member),
        data_digest=data_digest,
        started=started,
        finished=finished,
        versions={
            "python": platform.python_version(),
            "keras": keras.version(),
            "backend": keras.backend.backend(),
            "numpy": np.__version__,
        },
        validation=validation,
        test=test,
        history=history,
    )
    write_whole(file.with_suffix(".json"), json_bytes(dataclasses.asdict(done)))
    return done


def read_member(file: Path, member: MemberRun, data_digest: str) -> Member | None:
    """The record of a member that is finished with these very settings, data and bytes; None otherwise."""
    note = file.with_suffix(".json")
    if not file.exists() or not note.exists():
        return None
    table = json.loads(note.read_bytes())
    if table.keys() != {field.name for field in dataclasses.fields(Member)}:  # of an older version
        return None
    table["validation"], table["test"] = Summary(**table["validation"]), Summary(**table["test"])
    done = Member(**table)
    same = (
        done.settings == json.loads(json.dumps(dataclasses.asdict(member)))
        and done.data_digest == data_digest
        and done.sha256 == sha256_hex(file.read_bytes())
    )
    return done if same else None
