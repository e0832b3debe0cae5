"""One member, converted and run on the held-out images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from bundle.ensemble import MemberModel
from bundle.manifest import Checks, Scheme
from bundle.pace import Say
from bundle.training import TrainedMember
from quantize.config import Settings
from quantize.gates import Finding, member_findings, record_finding
from quantize.images import Labelled
from quantize.pack import Made
from quantize.score import ballots, share, tflite_scores, threads
from quantize.worker import Converted, Job, run_worker


@dataclass(frozen=True)
class HeldOutImages:
    """The validation images and then the test images."""

    all: Labelled
    border: int  # how many of them are validation images

    @property
    def validation(self) -> Labelled:
        """Those that decide."""
        return self.all.part(slice(self.border))

    @property
    def test(self) -> Labelled:
        """Those that nothing is chosen by; there may be none."""
        return self.all.part(slice(self.border, None))


@dataclass(frozen=True)
class Measured:
    """M held-out images, of which V are validation images; C classes. The scores are files mapped into memory."""

    trained: TrainedMember
    converted: Converted
    keras: NDArray[np.float32]  # (M, C)
    tflite: Mapping[Scheme, NDArray[np.float32]]  # of what ships (M, C), of what is only compared (V, C)
    findings: tuple[Finding, ...]

    @property
    def scheme(self) -> Scheme:
        """The one that ships."""
        return next(iter(self.converted.models))

    @property
    def shipped(self) -> NDArray[np.float32]:
        """(M, C) scores of what ships."""
        return self.tflite[self.scheme]

    def made(self, held_out: HeldOutImages) -> Made:
        """The member as the bundle holds it."""
        truth = held_out.validation.classes
        keras, tflite = (ballots(scores[: held_out.border]) for scores in (self.keras, self.shipped))
        checks = Checks(
            images=len(truth),
            keras_accuracy=share(keras == truth),
            tflite_accuracy=share(tflite == truth),
            agreement=share(keras == tflite),
        )
        model = self.converted.models[self.scheme]
        return Made(self.trained, self.scheme, model, self.converted.in_float, checks)


def measure_member(
    file: Path,
    trained: TrainedMember,
    labels: tuple[str, ...],
    held_out: HeldOutImages,
    settings: Settings,
    images: Path,
    say: Say,
) -> Measured:
    """Converts the .keras `file` in each scheme and runs the results. images: the folder of `quantize.worker`."""
    folder = images / trained.stem
    folder.mkdir()
    job = Job(str(file), trained.stem, trained.side, labels, held_out.border, settings)
    converted = run_worker(images, folder, job, say)
    chosen = next(iter(converted.models))
    tflite: dict[Scheme, NDArray[np.float32]] = {}
    for scheme, model in converted.models.items():
        part = held_out.all if scheme == chosen else held_out.validation
        scores = open_memmap(folder / f"{scheme}_scores.npy", "w+", np.float32, (len(part), len(labels)))
        say(f"{scheme}: {len(model) / 1000:.0f} kB, now on {len(part)} images")
        tflite[scheme] = tflite_scores(MemberModel(model, trained.file, threads()), part, scores, say)
    findings = _findings(trained, labels, held_out, converted.keras_scores, tflite[chosen], settings)
    return Measured(trained, converted, converted.keras_scores, tflite, tuple(findings))


def _findings(
    trained: TrainedMember,
    labels: tuple[str, ...],
    held_out: HeldOutImages,
    keras: NDArray[np.float32],
    tflite: NDArray[np.float32],
    settings: Settings,
) -> list[Finding]:
    ballots_of = ballots(keras), ballots(tflite)
    findings = []
    if trained.validation is not None and trained.validation.images == held_out.border:
        now = share(ballots_of[0][: held_out.border] == held_out.validation.classes)
        findings.append(record_finding(trained.stem, held_out.border, trained.validation.accuracy, now, settings.gates))
    for part, where in (("validation", slice(held_out.border)), ("test", slice(held_out.border, None))):
        truth = held_out.all.classes[where]
        if len(truth):
            votes = [each[where] for each in ballots_of]
            findings += member_findings(trained.stem, part, truth, *votes, labels, settings.gates)  # type: ignore[arg-type]
    return findings
