"""validation.json: what the bundle's verdicts are worth, measured on images that trained none of its members.

The **validation** split decides: mixed precision is chosen by it, and the confusion counts below, which the camera host uses
to correct its counts, are of it. The **test** split is held against the same gates and otherwise only reported, so that one
figure remains that nothing was chosen by. The file holds, all shares from 0 to 1, rounded to a millionth:

    schema_version   2
    name, created    as in the manifest
    labels           C names, as in labels.txt
    vote             {rule, tie, min_votes}: the bundle's vote, which made the verdicts below
    quantised        {scheme, members, representative_images, seed, max_layers_in_float, gates}: how, and within which limits
    members          [{file, scheme, in_float}]: as they ship; in_float: convolutions that int8 left in float32
    gates            [{gate, part, subject, label, images, before, after, found, limit, changed, passed}]: Keras before, TFLite
                     after
    validation       {images, members [{file, keras, tflite, agreement}], hard {keras, tflite}, soft {keras, tflite}}, where
                     keras and tflite are each {images, accuracy, balanced_accuracy, macro_f1}: originals and what ships;
                     hard and soft are the votes of all members, with min_votes 1, and have a count_error too: Bray-Curtis
                     between the true and the predicted counts
    test             the same of the test split; null where the run has none
    confusion        C rows of C + 1 counts of validation images: row = true class, column = verdict by `vote` of the
                     .tflite members, last column = unclassified. One row a line.
    classes          [{label, support, recall, precision, f1}] from these counts; null where a class has no image or verdict
    by_score         [{from, to, images, mean_score, accuracy}]: verdicts by their score, for how far it can be believed
    by_votes         [{votes, images, accuracy}]: verdicts by the number of votes for the winner, before min_votes
    calibration      {images, ensemble, members [{file, …}]}, each {temperature, log_loss, log_loss_calibrated}: of the mean
                     score and of each .tflite member; scores become probabilities as softmax(ln(score) / temperature)
    prepared_anew    only where planktow-quantize rejudge changed how images are prepared, {background}: all that is of Keras
                     (keras, agreement, gates) is then of the preparation before, all else is measured anew
    combined         only where planktow-quantize combine chose the members, {rule, validation_images, steps, pool}: from which
                     bundles, and why; hard and soft have no keras then, and gates are those of each member alone
    inherited        only where planktow-quantize inherit took the calibration over, {name, digest, images, validation, test}:
                     from which bundle; confusion, classes, by_score, by_votes, calibration, turns and ballots are of that
                     one's verdicts on its validation images, which this one's members have learnt since. validation and
                     test: the votes of that one
    turns            {order, asked, multiply_adds}: in which order members are asked until a hard vote is decided, by index; the
                     share of the validation images for which each of these was asked; and the mean cost of an image
    ballots          N rows of class indexes, those of each member for each validation image, in the order of training.json's
                     split: from them a host finds the order that is the cheapest by its own measurements
    verdicts         {validation, test}: the class index of each image, -1 unclassified, in the order of training.json's
                     split, so that another host can be compared image by image; null where the run has no test images
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.calibration import at_temperature, fit_temperature, log_loss
from bundle.manifest import VoteRule
from bundle.order import Order
from bundle.scores import ClassScore, bray_curtis, class_counts, confusion, score_indices
from bundle.training import Record
from quantize.config import Settings
from quantize.gates import Finding
from quantize.score import ballots, vote

SCHEMA_VERSION = 2
SCORE_BINS = 10
CALIBRATION_IMAGES = 20_000  # more do not move a single temperature, and the scores of so many fit into memory


@dataclass(frozen=True)
class HeldOut:
    """All members on one part of the split: N members, M images, C classes."""

    truth: NDArray[np.int32]  # (M,) class index
    keras: Sequence[NDArray[np.float32]]  # N times (M, C): scores of the originals; none where these are not at hand
    tflite: Sequence[NDArray[np.float32]]  # N times (M, C): scores of what ships


@dataclass(frozen=True)
class Shipped:
    """A member as it ships."""

    file: str
    scheme: str
    in_float: tuple[str, ...]


def validation_record(
    record: Record,
    settings: Settings,
    drawn: int,
    name: str,
    members: Sequence[Shipped],
    validation: HeldOut,
    test: HeldOut,
    findings: Sequence[Finding],
    order: Order,
) -> dict[str, Any]:
    """The contents of validation.json. `drawn` is the number of representative images there were; `test` may hold none."""
    files = [member.file for member in members]
    quantised = dataclasses.asdict(settings) | {"representative_images": drawn}
    del quantised["compare"]  # measured beside, and without effect on the bundle
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "created": record.created,
        "labels": list(record.labels),
        "vote": quantised.pop("vote"),
        "quantised": quantised,
        "members": [dataclasses.asdict(member) for member in members],
        "gates": [dataclasses.asdict(finding) | {"passed": finding.passed} for finding in findings],
        **judged(files, record.labels, settings.vote, validation, test, order),
    }


def judged(
    files: Sequence[str], labels: Sequence[str], rule: VoteRule, validation: HeldOut, test: HeldOut, order: Order
) -> dict[str, Any]:
    """What the verdicts of the .tflite members are worth: all that does not depend on how they were made.

    Where the parts have no Keras scores, `validation` and `test` have no keras and no agreement.
    """
    truth = validation.truth
    votes = vote(validation.tflite, rule)
    winners = vote(validation.tflite, dataclasses.replace(rule, min_votes=1))
    return {
        "validation": _part(files, validation, labels),
        "test": _part(files, test, labels) if len(test.truth) else None,
        "confusion": confusion(truth, votes.label, len(labels)).tolist(),
        "classes": _classes(truth, votes.label, labels),
        "by_score": _by_score(winners.score, winners.label == truth),
        "by_votes": _by_votes(winners.votes, winners.label == truth),
        "calibration": _calibration(files, validation),
        "turns": {
            "order": list(order.members),
            "asked": list(map(_rounded, order.asked)),
            "multiply_adds": round(order.cost),
        },
        "ballots": [ballots(scores).tolist() for scores in validation.tflite],
        "verdicts": {
            "validation": votes.label.tolist(),
            "test": vote(test.tflite, rule).label.tolist() if len(test.truth) else None,
        },
    }


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
    return None if share is None else round(float(share), 6)


def _part(files: Sequence[str], part: HeldOut, labels: Sequence[str]) -> dict[str, Any]:
    keras, tflite = ([ballots(scores) for scores in kind] for kind in (part.keras, part.tflite))
    kinds = ({"keras": part.keras} if keras else {}) | {"tflite": part.tflite}
    true = class_counts(part.truth, len(labels))

    def scored(verdicts: NDArray[np.int32]) -> dict[str, Any]:
        return dataclasses.asdict(score_indices(part.truth, verdicts, labels).summary)

    def member(index: int) -> dict[str, Any]:
        ours = {"file": files[index], "tflite": scored(tflite[index])}
        if not keras:
            return ours
        agreement = _rounded((keras[index] == tflite[index]).mean())
        return {"file": files[index], "keras": scored(keras[index]), **ours, "agreement": agreement}

    def ensemble(scores: Sequence[NDArray[np.float32]], rule: VoteRule) -> dict[str, Any]:
        verdicts = vote(scores, rule).label
        return scored(verdicts) | {"count_error": _rounded(bray_curtis(true, class_counts(verdicts, len(labels))))}

    return {
        "images": len(part.truth),
        "members": [member(index) for index in range(len(files))],
    } | {rule: {kind: ensemble(scores, VoteRule(rule)) for kind, scores in kinds.items()} for rule in ("hard", "soft")}


def _calibration(files: Sequence[str], part: HeldOut) -> dict[str, Any]:
    truth = part.truth[:CALIBRATION_IMAGES]
    members = [np.asarray(scores[: len(truth)]) for scores in part.tflite]

    def fitted(scores: NDArray[np.floating]) -> dict[str, float | None]:
        temperature = fit_temperature(truth, scores)
        return {
            "temperature": _rounded(temperature),
            "log_loss": _rounded(log_loss(truth, scores)),
            "log_loss_calibrated": _rounded(log_loss(truth, at_temperature(scores, temperature))),
        }

    return {
        "images": len(truth),
        "ensemble": fitted(np.mean(members, axis=0, dtype=np.float64)),
        "members": [{"file": file} | fitted(scores) for file, scores in zip(files, members, strict=True)],
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
