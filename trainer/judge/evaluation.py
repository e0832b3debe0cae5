"""How good a finished run is: each member, the votes, every ensemble size, every class. Arrays in, values out.

Axes: N members, M images, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bundle.calibration import (
    Floats,
    ReliabilityBin,
    at_temperature,
    calibration_error,
    fit_temperature,
    log_loss,
    reliability,
)
from bundle.greedy import Scored
from bundle.scores import ClassScore, Summary, confusion, score_indices
from bundle.vote import hard_vote, soft_vote
from trainer.judge.subsets import SizeResult, by_size


@dataclass(frozen=True)
class Belief:
    """How far scores can be believed."""

    log_loss: float | None  # nats; None for a hard vote, which gives no distribution over the classes
    calibration_error: float  # 0..1, of BINS bins
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class Judged:
    """One judge: a member or a vote of all."""

    name: str
    summary: Summary
    interval: tuple[float, float]  # 95 %, of the accuracy
    as_given: Belief
    temperature: float | None  # fitted on validation; None for a hard vote
    tempered: Belief | None


@dataclass(frozen=True)
class ClassResult:
    """One class by the hard vote of all members."""

    label: str
    train_images: int
    score: ClassScore
    confused_with: str | None  # the wrong verdict most often given to its images
    confused_images: int


@dataclass(frozen=True)
class Evaluation:
    """Everything that is reported."""

    members: tuple[Judged, ...]
    hard: Judged
    soft: Judged
    sizes: tuple[SizeResult, ...]
    classes: tuple[ClassResult, ...]
    confusion: NDArray[np.int64]  # (C, C) images: row the true class, column the hard vote
    verdicts: NDArray[np.int32]  # (M,) class index: the hard vote
    verdict_scores: NDArray[np.float32]  # (M,) mean score of that class


def evaluate(
    names: Sequence[str], labels: Sequence[str], train_images: Sequence[int], validation: Scored, part: Scored
) -> Evaluation:
    """Judges N members on `part`; temperatures are fitted and subsets chosen on `validation`, which may be the same.

    names: N; labels: C; train_images: of each class.
    """
    members = tuple(
        _judge(name, labels, (validation.truth, val_scores), (part.truth, scores), scores.argmax(axis=1))
        for name, val_scores, scores in zip(names, validation.scores, part.scores, strict=True)
    )
    mean = (validation.truth, _mean(validation)), (part.truth, _mean(part))
    soft = _judge("soft vote", labels, *mean, soft_vote(part.scores).label)
    hard = hard_vote(part.scores)
    found = score_indices(part.truth, hard.label, labels)
    hard_judged = Judged(
        "hard vote",
        found.summary,
        found.accuracy_interval,
        _belief(None, hard.score, hard.label == part.truth),
        None,
        None,
    )
    counts = confusion(part.truth, hard.label, len(labels))[:, :-1]  # a vote of one is enough, so none is unclassified
    return Evaluation(
        members,
        hard_judged,
        soft,
        by_size(validation, part, labels),
        _classes(labels, train_images, found.classes, counts),
        counts,
        hard.label,
        hard.score,
    )


def _mean(scored: Scored) -> NDArray[np.float64]:
    """(M, C): the soft vote's distribution."""
    mean: NDArray[np.float64] = scored.scores.mean(axis=0, dtype=np.float64)
    return mean


def _judge(
    name: str,
    labels: Sequence[str],
    validation: tuple[NDArray[np.int32], Floats],
    part: tuple[NDArray[np.int32], Floats],
    verdicts: NDArray[np.int32],
) -> Judged:
    truth, scores = part
    found = score_indices(truth, verdicts, labels)
    temperature = fit_temperature(*validation)
    right = verdicts == truth
    tempered = at_temperature(scores, temperature)
    return Judged(
        name,
        found.summary,
        found.accuracy_interval,
        _belief(log_loss(truth, scores), scores.max(axis=1), right),
        temperature,
        _belief(log_loss(truth, tempered), tempered.max(axis=1), right),
    )


def _belief(loss: float | None, score: Floats, right: NDArray[np.bool_]) -> Belief:
    bins = reliability(score, right)
    return Belief(loss, calibration_error(bins), bins)


def _classes(
    labels: Sequence[str],
    train_images: Sequence[int],
    found: dict[str, ClassScore],
    counts: NDArray[np.int64],
) -> tuple[ClassResult, ...]:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    most = wrong.argmax(axis=1)
    return tuple(
        ClassResult(
            label,
            train_images[index],
            found.get(label, ClassScore(0, 0, 0)),
            labels[most[index]] if wrong[index, most[index]] else None,
            int(wrong[index, most[index]]),
        )
        for index, label in enumerate(labels)
    )
