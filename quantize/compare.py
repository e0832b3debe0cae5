"""The report's figures: every member in every scheme, and every ensemble that could be made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from bundle.folder import Bundle
from bundle.machine import read_machine
from bundle.manifest import Scheme, VoteRule
from bundle.pace import Say
from bundle.scores import Summary, bray_curtis, class_counts, score_indices
from quantize.comparison import AS_SHIPPED, Choice, ClassRecall, Latency, Refused, Report, Variant
from quantize.front import subsets
from quantize.gates import Finding
from quantize.latency import measure_latencies
from quantize.measured import HeldOutImages, Measured
from quantize.score import ballots, vote


def compare(
    bundle: Bundle,
    members: Sequence[Measured],
    held_out: HeldOutImages,
    representative_images: int,
    findings: Sequence[Finding],
    say: Say,
) -> Report:
    """Times all models and puts all figures together."""
    labels, rule = bundle.labels, bundle.manifest.vote
    models = {
        f"{member.trained.stem} {scheme}": model
        for member in members
        for scheme, model in member.converted.models.items()
    }
    validation = held_out.validation
    latencies = measure_latencies(models, validation.inputs, say)
    variants = tuple(
        _variant(
            member, scheme, validation.classes, labels, held_out.border, latencies[f"{member.trained.stem} {scheme}"]
        )
        for member in members
        for scheme in member.converted.models
    )

    def summary(kind: str, part: slice) -> Summary | None:
        truth = held_out.all.classes[part]
        if not len(truth):
            return None
        scores = [getattr(member, kind)[part] for member in members]
        return score_indices(truth, vote(scores, rule).label, labels).summary

    on_validation, on_test = slice(held_out.border), slice(held_out.border, None)
    keras, shipped = summary("keras", on_validation), summary("shipped", on_validation)
    assert keras is not None  # a run without validation images is refused
    assert shipped is not None
    return Report(
        name=bundle.manifest.name,
        digest=bundle.digest,
        measured=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        machine=read_machine(),
        validation_images=len(validation),
        test_images=len(held_out.test),
        representative_images=representative_images,
        keras=keras,
        shipped=shipped,
        keras_test=summary("keras", on_test),
        shipped_test=summary("shipped", on_test),
        variants=variants,
        refused=tuple(
            Refused(member.trained.stem, scheme, reason)
            for member in members
            for scheme, reason in member.converted.refused.items()
        ),
        choices=_choices(members, variants, validation.classes, labels, rule),
        classes=_classes(members, held_out.all.classes, labels, rule),
        findings=tuple(findings),
    )


def _variant(
    member: Measured,
    scheme: Scheme,
    truth: NDArray[np.int32],
    labels: Sequence[str],
    border: int,
    latencies: tuple[Latency, ...],
) -> Variant:
    keras, tflite = ballots(member.keras[:border]), ballots(member.tflite[scheme][:border])
    return Variant(
        member=member.trained.stem,
        architecture=member.trained.architecture,
        scheme=scheme,
        chosen=scheme == member.scheme,
        size_bytes=len(member.converted.models[scheme]),
        in_float=member.converted.in_float if scheme == member.scheme else (),
        agreement=round(float((keras == tflite).mean()), 6),
        scores=score_indices(truth, tflite, labels).summary,
        latencies=latencies,
    )


def _choices(
    members: Sequence[Measured],
    variants: Sequence[Variant],
    truth: NDArray[np.int32],
    labels: Sequence[str],
    rule: VoteRule,
) -> tuple[Choice, ...]:
    """Every subset of the members in every scheme that all of them have, and what ships."""
    of = {(variant.member, variant.scheme): variant for variant in variants}
    ships = [(member, member.scheme) for member in members]
    schemes = dict.fromkeys(scheme for member in members for scheme in member.converted.models)
    asked = [
        [(member, scheme) for member in subset]
        for scheme in schemes
        for subset in subsets(members)
        if all(scheme in member.converted.models for member in subset)
    ]
    if ships not in asked:
        asked.insert(0, ships)
    true = class_counts(truth, len(labels))

    def choice(chosen: Sequence[tuple[Measured, Scheme]]) -> Choice:
        voting = dataclasses.replace(rule, min_votes=min(rule.min_votes, len(chosen)))
        verdicts = vote([member.tflite[scheme][: len(truth)] for member, scheme in chosen], voting).label
        scores = score_indices(truth, verdicts, labels).summary
        parts = [of[member.trained.stem, scheme] for member, scheme in chosen]
        names = {part.scheme for part in parts}
        return Choice(
            members=tuple(part.member for part in parts),
            scheme=names.pop() if len(names) == 1 else AS_SHIPPED,
            chosen=list(chosen) == ships,
            size_bytes=sum(part.size_bytes for part in parts),
            accuracy=scores.accuracy,
            balanced_accuracy=scores.balanced_accuracy,
            count_error=round(bray_curtis(true, class_counts(verdicts, len(labels))), 6),
            milliseconds_one=sum(part.one_core.best for part in parts),
            milliseconds_all=sum(part.all_cores.best for part in parts),
        )

    return tuple(choice(each) for each in asked)


def _classes(
    members: Sequence[Measured], truth: NDArray[np.int32], labels: Sequence[str], rule: VoteRule
) -> tuple[ClassRecall, ...]:
    images = class_counts(truth, len(labels))
    right: Mapping[str, NDArray[np.int64]] = {
        kind: class_counts(truth[vote([getattr(m, kind) for m in members], rule).label == truth], len(labels))
        for kind in ("keras", "shipped")
    }
    return tuple(
        ClassRecall(label, int(images[c]), *(round(int(right[kind][c]) / int(images[c]), 6) for kind in right))
        for c, label in enumerate(labels)
        if images[c]
    )
