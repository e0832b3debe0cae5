"""planktow-trainer evaluate: reads a finished run, judges it, and leaves evaluation.json, per_class.csv and the plots."""

from __future__ import annotations

import csv
import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bundle.calibration import BINS
from bundle.greedy import Scored
from bundle.pace import Say
from bundle.training import FinishedRun, read_finished, require_usable
from bundle.whole import json_bytes, write_whole
from trainer.data.dataset import Dataset
from trainer.judge.evaluation import Belief, ClassResult, Evaluation, Judged, evaluate
from trainer.judge.predict import Part, PartName, find_part, load_images, predict_all
from trainer.judge.subsets import SizeResult

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Evaluated:
    """A run, the images it was judged on, and the judgement."""

    run: FinishedRun
    dataset: Dataset  # at the largest side of its members
    part: Part
    counts: NDArray[np.int64]  # (C, 3): images of each class that train, steer (validation) and judge (test)
    evaluation: Evaluation


def evaluate_run(folder: Path, data: Path, part_name: PartName, say: Say) -> Evaluated:
    """Judges the run in `folder` on a part of its recorded split. Raises BadData."""
    run = read_finished(folder)
    require_usable(run)
    datasets = load_images(run, data, {member.side for member in run.facts.members}, say)
    dataset = datasets[max(datasets)]
    validation = find_part(run, dataset, data, "validation")
    part = validation if part_name == "validation" else find_part(run, dataset, data, part_name)
    parts = [validation] if part is validation else [validation, part]
    scores = predict_all(run, datasets, parts, say)
    counts = _counts(run, dataset)
    say(f"trying ensembles of 1 to {len(run.facts.members)} members")
    evaluation = evaluate(
        [member.stem for member in run.facts.members],
        run.facts.labels,
        counts[:, 0].tolist(),
        Scored(validation.truth, scores[0]),
        Scored(part.truth, scores[-1]),
    )
    return Evaluated(run, dataset, part, counts, evaluation)


def write_evaluation(evaluated: Evaluated, out: Path) -> None:
    """Writes evaluation.json and per_class.csv to the folder `out`, which is made when missing. Raises OSError."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "per_class.csv", _per_class(evaluated.evaluation.classes))
    write_whole(out / "evaluation.json", json_bytes(_record(evaluated)))


def _counts(run: FinishedRun, dataset: Dataset) -> NDArray[np.int64]:
    """(C, 3) images of each class in each part of the record; those gone from the data set since are not counted."""
    split = run.facts.split
    part = {key: index for index, part in enumerate((split.train, split.validation, split.test)) for key in part}
    label = {name: index for index, name in enumerate(run.facts.labels)}
    counts = np.zeros((len(label), 3), np.int64)
    for key, place in zip(dataset.keys, dataset.classes.tolist(), strict=True):
        if key in part and dataset.labels[place] in label:
            counts[label[dataset.labels[place]], part[key]] += 1
    return counts


def _record(evaluated: Evaluated) -> dict[str, Any]:
    run, part, found = evaluated.run, evaluated.part, evaluated.evaluation
    return {
        "schema_version": SCHEMA_VERSION,
        "name": run.facts.name,
        "training_sha256": run.sha256,
        "data_digest": evaluated.dataset.digest,
        "data_digest_trained_on": run.facts.data.digest,
        "part": part.name,
        "images": len(part.images),
        "temperatures_fitted_on": "validation",
        "subsets_chosen_on": "validation",
        "calibration_bins": BINS,
        "members": [_judged(member) for member in found.members],
        "hard": _judged(found.hard),
        "soft": _judged(found.soft),
        "sizes": [_size(size, [member.name for member in found.members]) for size in found.sizes],
    }


def _judged(judged: Judged) -> dict[str, Any]:
    return {
        "name": judged.name,
        **dataclasses.asdict(judged.summary),
        "accuracy_interval": [_rounded(bound) for bound in judged.interval],
        "as_given": _belief(judged.as_given),
        "temperature": _rounded(judged.temperature),
        "tempered": None if judged.tempered is None else _belief(judged.tempered),
    }


def _belief(belief: Belief) -> dict[str, Any]:
    return {
        "log_loss": _rounded(belief.log_loss),
        "calibration_error": _rounded(belief.calibration_error),
        "reliability": [
            {key: _rounded(value) for key, value in dataclasses.asdict(each).items()} for each in belief.bins
        ],
    }


def _size(size: SizeResult, names: list[str]) -> dict[str, Any]:
    table = {key: _rounded(value) for key, value in dataclasses.asdict(size).items() if key != "best"}
    return {**table, "best": [names[member] for member in size.best]}


def _per_class(classes: tuple[ClassResult, ...]) -> bytes:
    """A line for each class; an empty cell where a share would be of nothing."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        ["label", "train_images", "images", "recall", "precision", "f1", "mostly_confused_with", "images_so_confused"]
    )
    for each in classes:
        score = each.score
        rows.writerow(
            [
                each.label,
                each.train_images,
                score.images,
                _rounded(score.recall),
                _rounded(score.precision),
                _rounded(score.f1 if score.images + score.verdicts else None),
                each.confused_with or "",
                each.confused_images,
            ]
        )
    return text.getvalue().encode()


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
