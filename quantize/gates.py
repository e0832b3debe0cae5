"""The gates: what quantising has changed, held against what it may change. Pure functions of class indices.

Axes: M images. A verdict may be NO_LABEL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadData
from bundle.scores import bray_curtis, class_counts
from quantize.config import Gates, Settings

ROUNDING = 2e-6  # figures are rounded to a millionth, and a limit that is met exactly is met
TOLD = 5  # failed gates that a refusal spells out

Part = Literal["validation", "test"]
Gate = Literal["record difference", "top-1 drop", "disagreement", "recall drop", "vote drop", "count error rise"]
Indices = NDArray[np.int32]

KEYS: dict[Gate, str] = {  # in [gates] of quantize.toml
    "record difference": "max_record_difference",
    "top-1 drop": "max_accuracy_drop",
    "disagreement": "max_disagreement",
    "recall drop": "max_recall_drop",
    "vote drop": "max_vote_drop",
    "count error rise": "max_count_error_rise",
}


@dataclass(frozen=True)
class Finding:
    """One gate, held against one member or the ensemble on one part of the split. Shares, 0..1."""

    gate: Gate
    part: Part
    subject: str  # a member's name, or "ensemble"
    label: str | None  # the class, where the gate is of one class
    images: int  # of the part, or of the class in it
    before: float  # the figure of Keras
    after: float  # the figure of what ships
    found: float  # how far it changed for the worse; below 0 it became better
    limit: float
    changed: int = (
        0  # images on which one of the two is right and the other wrong, where the gate is of right and wrong
    )

    @property
    def passed(self) -> bool:
        """Within the limit, or one image apart, or no further than chance goes.

        On fewer images than 1 / limit one would weigh more than the limit. And of `changed` images that might as well have been
        won as lost, no more than two standard deviations, 2 sqrt(changed), are lost on balance in 97 of 100 cases.
        """
        return self.found <= max(self.limit, max(1.0, 2 * self.changed**0.5) / self.images) + ROUNDING

    @property
    def sentence(self) -> str:
        """The finding as a person says it."""
        where = f"{self.subject}, class {self.label}" if self.label else self.subject
        return (
            f"{where}: {self.gate} of {100 * self.found:.2f} points on {self.images} {self.part} images "
            f"({100 * self.before:.2f} -> {100 * self.after:.2f} %), the limit is {100 * self.limit:g}"
        )


def record_finding(member: str, images: int, recorded: float, now: float, gates: Gates) -> Finding:
    """Whether Keras still is what training.json says of it on the validation images.

    A member whose labels were permuted or whose weights were scaled agrees perfectly with its own .tflite file; only the
    record tells.
    """
    return _finding(
        "record difference",
        "validation",
        member,
        images,
        recorded,
        now,
        abs(recorded - now),
        gates.max_record_difference,
    )


def member_findings(
    member: str, part: Part, truth: Indices, keras: Indices, tflite: Indices, labels: Sequence[str], gates: Gates
) -> list[Finding]:
    """Of one member: truth and ballots are (M,) class indices, M >= 1."""
    before, after, agreed = _share(keras == truth), _share(tflite == truth), _share(keras == tflite)
    images = len(truth)
    return [
        _finding(
            "top-1 drop",
            part,
            member,
            images,
            before,
            after,
            before - after,
            gates.max_accuracy_drop,
            changed=_changed(truth, keras, tflite),
        ),
        _finding("disagreement", part, member, images, 1.0, agreed, 1 - agreed, gates.max_disagreement),
        *_recall_findings(member, part, truth, keras, tflite, labels, gates),
    ]


def ensemble_findings(
    part: Part, truth: Indices, keras: Indices, tflite: Indices, labels: Sequence[str], gates: Gates
) -> list[Finding]:
    """Of the vote: truth (M,) class indices and (M,) verdicts, M >= 1."""
    images = len(truth)
    before, after = _share(keras == truth), _share(tflite == truth)
    true = class_counts(truth, len(labels))
    wrong_before, wrong_after = (bray_curtis(true, class_counts(verdicts, len(labels))) for verdicts in (keras, tflite))
    rise = wrong_after - wrong_before
    return [
        _finding(
            "vote drop",
            part,
            "ensemble",
            images,
            before,
            after,
            before - after,
            gates.max_vote_drop,
            changed=_changed(truth, keras, tflite),
        ),
        *_recall_findings("ensemble", part, truth, keras, tflite, labels, gates),
        _finding(
            "count error rise", part, "ensemble", images, wrong_before, wrong_after, rise, gates.max_count_error_rise
        ),
    ]


def require_passed(findings: Iterable[Finding], settings: Settings) -> None:
    """Raises BadData, which names subject, class, figures, limit and remedy, if a gate has failed."""
    failed = [finding for finding in findings if not finding.passed]
    if not failed:
        return
    failed.sort(key=lambda finding: finding.limit - finding.found)
    told = "; ".join(finding.sentence for finding in failed[:TOLD])
    more = f"; and {len(failed) - TOLD} more" if len(failed) > TOLD else ""
    keys = dict.fromkeys(f"gates.{KEYS[finding.gate]}" for finding in failed)
    if failed[0].gate == "record difference":
        remedy = "give the data set, the labels and the .keras files of this very run"
    else:
        remedy = (
            f"give more representative_images (now {settings.representative_images}), another scheme for the member, or "
            "leave it out"
        )
    raise BadData(f"no bundle was written. {told}{more}. {remedy.capitalize()}, or raise {', '.join(keys)}")


def _recall_findings(
    subject: str, part: Part, truth: Indices, keras: Indices, tflite: Indices, labels: Sequence[str], gates: Gates
) -> list[Finding]:
    """The class that lost most recall, and every other that lost too much; none where all classes are too small."""
    images = class_counts(truth, len(labels))
    before, after = (class_counts(truth[verdicts == truth], len(labels)) for verdicts in (keras, tflite))
    findings = []
    for index in np.flatnonzero(images >= gates.class_images).tolist():
        of_class = int(images[index])
        recall = [int(right[index]) / of_class for right in (before, after)]
        loss = recall[0] - recall[1]
        findings.append(
            _finding("recall drop", part, subject, of_class, *recall, loss, gates.max_recall_drop, labels[index])
        )
    findings.sort(key=lambda finding: -finding.found)
    return findings[:1] + [finding for finding in findings[1:] if not finding.passed]


def _finding(
    gate: Gate,
    part: Part,
    subject: str,
    images: int,
    before: float,
    after: float,
    found: float,
    limit: float,
    label: str | None = None,
    changed: int = 0,
) -> Finding:
    before, after, found = (round(float(share), 6) for share in (before, after, found))
    return Finding(gate, part, subject, label, images, before, after, found, limit, changed)


def _changed(truth: Indices, keras: Indices, tflite: Indices) -> int:
    return int(((keras == truth) != (tflite == truth)).sum())


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean())
