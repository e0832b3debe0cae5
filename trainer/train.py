"""Trains a run's members, one after another, and leaves finished ones alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from bundle.pace import Say
from bundle.scores import Summary, score_indices
from bundle.vote import hard_vote
from trainer.checkpoint import History, forget, save_whole
from trainer.config import MemberRun, Run
from trainer.data.dataset import Dataset
from trainer.data.split import PARTS, split_dataset
from trainer.devices import Devices
from trainer.feed import plain_inputs
from trainer.fit import SAME_STANDING, fit_member
from trainer.network.architectures import check
from trainer.record import Member, Record, read_member, write_member, write_record
from trainer.teacher import Load, soft_labels
from trainer.tracking import Tracking


def train_run(
    run: Run,
    load: Load,
    out: Path,
    say: Say,
    now: Callable[[], str],
    devices: Devices,
    tracking: Tracking | None = None,
) -> Record:
    """Trains what is not yet trained of `run` into `out`: members/NN-NAME.keras and training.json.

    load: gives the data set as an input has it at a side (each member and teacher has its own). now: gives the time in UTC,
    ISO 8601. Members that are finished are left alone, one that was cut goes on after its last whole epoch. training.json
    is written anew after each member, so a part of a run can already be quantised. tracking: where each member is followed
    besides, if anywhere.
    """
    for member in run.members:
        check(member.network, member.side)  # a fault in the last member must not be found out after hours
    # Which images a data set holds, and in which parts, is the same at every side.
    dataset = load(run.input, run.members[0].side)
    parts = np.array(split_dataset(dataset, run.split))
    images = {part: np.flatnonzero(parts == part) for part in PARTS}
    unused = len(parts) - sum(map(len, images.values()))
    say(
        f"{len(dataset.hashes)} images in {len(dataset.labels)} classes: "
        + ", ".join(f"{len(images[part])} {part}" for part in PARTS)
        + (f"; {unused} augmented copies unused, whose originals do not train" if unused else "")
    )
    for member in run.members:
        devices.check_batch(min(member.batch, len(images["train"])), member.name)
    members: list[Member] = []
    scores: list[NDArray[np.float32]] = []
    for number, member in enumerate(run.members, start=1):
        file = out / "members" / f"{number:02d}-{member.name}.keras"
        done = read_member(file, member, dataset.digest)
        devices.agree(
            f"has {'trained' if done else 'to train'} {member.name} (data {dataset.digest[:12]})", SAME_STANDING
        )
        if done is None:
            done = _train_member(run, member, images, load, file, out, say, now, devices, tracking)
        else:
            say(f"{member.name}: finished before, left as it is")
        members.append(done)
        scores.append(_predict(_load(file), load(run.input, member.side), images["test"]))
        voted = hard_vote(np.stack(scores))
        ensemble = score_indices(dataset.classes[images["test"]], voted.label, dataset.labels).summary
        record = Record.of(run, dataset, images, members, ensemble, now())
        write_record(out / "training.json", record)
        say(f"{member.name}: test {_percent(done.test)}; hard vote of {len(members)}: test {_percent(ensemble)}")
    return record


def _train_member(
    run: Run,
    member: MemberRun,
    images: dict[str, NDArray[np.intp]],
    load: Load,
    file: Path,
    out: Path,
    say: Say,
    now: Callable[[], str],
    devices: Devices,
    tracking: Tracking | None,
) -> Member:
    started, dataset = now(), load(run.input, member.side)
    taught = None
    if member.teacher is not None:
        hashes = [dataset.hashes[image] for image in images["train"]]
        taught = soft_labels(member.teacher, load, hashes, member.augmentation, out / "cache", say)
    checkpoint = out / "checkpoints" / f"{file.stem}.npz"
    tracked = (
        tracking.of_member(member, dataset, checkpoint.with_suffix(".mlflow"))
        if tracking and devices.host == 0
        else None
    )
    follow = tracked.follow if tracked else _nobody
    logs = out / "tensorboard" / file.stem
    model, history = fit_member(member, run.input, dataset, images, taught, checkpoint, logs, say, devices, follow)
    result = {
        part: score_indices(
            dataset.classes[images[part]], _predict(model, dataset, images[part]).argmax(axis=1), dataset.labels
        ).summary
        for part in ("validation", "test")
    }
    save_whole(model, file)
    done = write_member(file, member, dataset.digest, started, now(), result["validation"], result["test"], history)
    if tracked:
        tracked.finish(done.validation, done.test)
    forget(checkpoint)
    return done


def _nobody(history: History) -> None:
    """Follows nothing."""


def _load(file: Path) -> keras.Model:
    return keras.saving.load_model(file, compile=False, safe_mode=True)


def _predict(model: keras.Model, dataset: Dataset, images: NDArray[np.intp]) -> NDArray[np.float32]:
    scores: NDArray[np.float32] = model.predict(plain_inputs(dataset, images), batch_size=256, verbose=0)
    return scores


def _percent(scores: Summary) -> str:
    return f"{scores.accuracy:.1%} (balanced {scores.balanced_accuracy:.1%}, macro-F1 {scores.macro_f1:.1%})"
