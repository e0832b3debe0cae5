"""validation.json: what the bundle's verdicts are worth, measured on images that trained none of its members.

The **validation** split decides: the limits of `quantize.toml` are held against it, and the confusion counts below, which
the camera host uses to correct its counts, are of it. The **test** split is only reported, so that one figure remains that
nothing was chosen by. The file holds, all shares from 0 to 1, rounded to a millionth:

    schema_version   1
    name, created    as in the manifest
    labels           C names, as in labels.txt
    vote             {rule, tie, min_votes}: the bundle's vote, which made the verdicts below
    quantised        {scheme, representative_images, seed, max_accuracy_drop, min_agreement}: how, and within which limits
    validation       {images, members [{file, keras, tflite, agreement}], hard {keras, tflite}, soft {keras, tflite}}, where
                     keras and tflite are each {images, accuracy, balanced_accuracy, macro_f1}: originals and what ships;
                     hard and soft are the votes of all members, with min_votes 1
    test             the same of the test split; null where the run has none
    confusion        C rows of C + 1 counts of validation images: row = true class, column = verdict by `vote` of the
                     .tflite members, last column = unclassified. One row a line.
    classes          [{label, support, recall, precision, f1}] from these counts; null where a class has no image or verdict
    by_score         [{from, to, images, mean_score, accuracy}]: verdicts by their score, for how far it can be believed
    by_votes         [{votes, images, accuracy}]: verdicts by the number of votes for the winner, before min_votes
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.manifest import VoteRule
from bundle.scores import ClassScore, Summary, confusion, score_indices
from bundle.training import Record
from bundle.vote import RULES, ballots
from quantize.check import compare
from quantize.config import Settings

SCHEMA_VERSION = 1
SCORE_BINS = 10


@dataclass(frozen=True)
class HeldOut:
    """All members on one part of the split: N members, M images, C classes."""

    truth: NDArray[np.int32]  # (M,) class index
    keras: NDArray[np.float32]  # (N, M, C) scores of the originals
    tflite: NDArray[np.float32]  # (N, M, C) scores of what ships


def validation_record(
    record: Record,
    settings: Settings,
    drawn: int,
    name: str,
    files: Sequence[str],
    validation: HeldOut,
    test: HeldOut,
) -> dict[str, Any]:
    """The contents of validation.json.

    `drawn` is the number of representative images there were, `files` are the members' names in the bundle. `test` may
    hold no images.
    """
    truth = validation.truth
    votes = RULES[settings.vote.rule](validation.tflite, settings.vote.min_votes)
    winners = RULES[settings.vote.rule](validation.tflite, 1)
    counts = confusion(truth, votes.label, len(record.labels))
    quantised = dataclasses.asdict(settings) | {"representative_images": drawn}
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "created": record.created,
        "labels": list(record.labels),
        "vote": quantised.pop("vote"),
        "quantised": quantised,
        "validation": _part(files, validation, record.labels),
        "test": _part(files, test, record.labels) if len(test.truth) else None,
        "confusion": counts.tolist(),
        "classes": _classes(truth, votes.label, record.labels),
        "by_score": _by_score(winners.score, winners.label == truth),
        "by_votes": _by_votes(winners.votes, winners.label == truth),
    }


def vote_scores(
    truth: NDArray[np.int32], scores: NDArray[np.float32], vote: VoteRule, labels: Sequence[str]
) -> Summary:
    """How good the vote of all members is: truth (M,), scores (N, M, C), C labels."""
    return score_indices(truth, RULES[vote.rule](scores, vote.min_votes).label, labels).summary


def record_bytes(record: dict[str, Any]) -> bytes:
    """`record` as JSON in which every row of a table is one line: for people, for diffs and for a short file."""
    return (_spelled(record, "") + "\n").encode()


def _classes(truth: NDArray[np.int32], verdicts: NDArray[np.int32], labels: Sequence[str]) -> list[dict[str, Any]]:
    found = score_indices(truth, verdicts, labels).classes
    rows = [(label, found.get(label, ClassScore(0, 0, 0))) for label in labels]
    return [
        {
            "label": label,
            "support": each.images,
            "recall": _rounded(each.recall),
            "precision": _rounded(each.precision),
            "f1": _rounded(each.f1 if each.images + each.verdicts else None),
        }
        for label, each in rows
    ]


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 6)


def _part(files: Sequence[str], part: HeldOut, labels: Sequence[str]) -> dict[str, Any]:
    keras, tflite = ballots(part.keras), ballots(part.tflite)

    def member(index: int) -> dict[str, Any]:
        return {
            "file": files[index],
            "keras": dataclasses.asdict(score_indices(part.truth, keras[index], labels).summary),
            "tflite": dataclasses.asdict(score_indices(part.truth, tflite[index], labels).summary),
            "agreement": compare(part.truth, part.keras[index], part.tflite[index]).agreement,
        }

    def vote(rule: str) -> dict[str, Any]:
        return {
            kind: dataclasses.asdict(vote_scores(part.truth, scores, VoteRule(rule), labels))  # type: ignore[arg-type]
            for kind, scores in (("keras", part.keras), ("tflite", part.tflite))
        }

    return {
        "images": len(part.truth),
        "members": [member(index) for index in range(len(files))],
        "hard": vote("hard"),
        "soft": vote("soft"),
    }


def _by_score(score: NDArray[np.float32], right: NDArray[np.bool_]) -> list[dict[str, Any]]:
    bins = np.minimum((score * SCORE_BINS).astype(int), SCORE_BINS - 1)
    return [
        {
            "from": index / SCORE_BINS,
            "to": (index + 1) / SCORE_BINS,
            "images": int((bins == index).sum()),
            "mean_score": round(float(score[bins == index].mean()), 6),
            "accuracy": round(float(right[bins == index].mean()), 6),
        }
        for index in np.unique(bins).tolist()
    ]


def _by_votes(votes: NDArray[np.int32], right: NDArray[np.bool_]) -> list[dict[str, Any]]:
    return [
        {
            "votes": count,
            "images": int((votes == count).sum()),
            "accuracy": round(float(right[votes == count].mean()), 6),
        }
        for count in np.unique(votes).tolist()
    ]


def _spelled(value: Any, indent: str) -> str:
    nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(item, (dict, list)) for item in nested):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    deeper = indent + " "
    if isinstance(value, dict):
        lines = [f"{deeper}{json.dumps(key)}: {_spelled(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(deeper + _spelled(item, deeper) for item in value) + f"\n{indent}]"
