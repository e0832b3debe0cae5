"""Trains a run's members, one after another, so that a cut costs at most one epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from bundle.errors import PlanktowError
from bundle.scores import Summary, score_indices
from bundle.vote import hard_vote
from trainer.architectures import build
from trainer.checkpoint import Checkpoint, resume, save_whole
from trainer.config import MemberRun, Run
from trainer.dataset import Dataset
from trainer.feed import TrainingFeed, one_hot, plain_inputs
from trainer.progress import Progress
from trainer.record import Member, Record, read_member, write_member, write_record
from trainer.split import PARTS, split
from trainer.start import start_from

Say = Callable[[str], None]


class TrainingDiverged(PlanktowError):
    """The loss is no longer a number."""


def train_run(run: Run, dataset: Dataset, out: Path, say: Say, now: Callable[[], str]) -> Record:
    """Trains what is not yet trained of `run` into `out`: members/NN-NAME.keras and training.json.

    now: gives the time in UTC, ISO 8601. Members that are finished are left alone, one that was cut goes on after its last
    whole epoch. training.json is written anew after each member, so a part of a run can already be quantised.
    """
    parts = np.array(split(dataset.hashes, dataset.classes.tolist(), run.split))
    images = {part: np.flatnonzero(parts == part) for part in PARTS}
    say(
        f"{len(dataset.hashes)} images in {len(dataset.labels)} classes: "
        + ", ".join(f"{len(images[part])} {part}" for part in PARTS)
    )
    members: list[Member] = []
    scores: list[NDArray[np.float32]] = []
    for number, member in enumerate(run.members, start=1):
        file = out / "members" / f"{number:02d}-{member.name}.keras"
        done = read_member(file, member, dataset.digest)
        if done is None:
            done = _train_member(run, member, dataset, images, file, out, say, now)
        else:
            say(f"{member.name}: finished before, left as it is")
        members.append(done)
        scores.append(_predict(_load(file), dataset, images["test"]))
        voted = hard_vote(np.stack(scores))
        ensemble = score_indices(dataset.classes[images["test"]], voted.label, dataset.labels).summary
        record = Record.of(run, dataset, images, members, ensemble, now())
        write_record(out / "training.json", record)
        say(f"{member.name}: test {_percent(done.test)}; hard vote of {len(members)}: test {_percent(ensemble)}")
    return record


def _train_member(
    run: Run,
    member: MemberRun,
    dataset: Dataset,
    images: dict[str, NDArray[np.intp]],
    file: Path,
    out: Path,
    say: Say,
    now: Callable[[], str],
) -> Member:
    started = now()
    keras.utils.set_random_seed(member.seed)
    keras.config.set_dtype_policy(member.precision)
    class_count = len(dataset.labels)
    feed = TrainingFeed(dataset, images["train"], member, run.input)
    checkpoint = out / "checkpoints" / f"{file.stem}.keras"
    model = build(member, run.input.side, class_count, dataset.features[images["train"]])
    model.compile(
        optimizer=_optimizer(member, feed.steps),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=member.label_smoothing),
        metrics=["accuracy"],
        jit_compile=_jit(),
    )
    epoch = resume(model, checkpoint, feed.steps)
    if epoch == 0 and member.start_from is not None:
        taken, layers = start_from(model, Path(member.start_from))
        say(f"{member.name}: {taken} of {layers} layers begin with the weights of {member.start_from}")
    if epoch:
        say(f"{member.name}: goes on after epoch {epoch} of {member.epochs}")
    say(f"{member.name}: {member.architecture}, {model.count_params():,} weights, {member.precision}")
    progress = Progress(member.name, member.epochs, feed.steps * feed.batch, say, time.monotonic)
    model.fit(
        feed.from_epoch(epoch),
        steps_per_epoch=feed.steps,
        epochs=member.epochs,
        initial_epoch=epoch,
        validation_data=(
            plain_inputs(dataset, images["validation"]),
            one_hot(dataset.classes[images["validation"]], class_count),
        ),
        validation_batch_size=256,
        callbacks=[Checkpoint(checkpoint), progress, *_tensorboard(out / "tensorboard" / file.stem)],
        shuffle=False,  # the feed shuffles the images, by its seed
        verbose=0,
    )
    if progress.diverged_at is not None:
        raise TrainingDiverged(
            f"{member.name}: the loss is no longer a number in epoch {progress.diverged_at}; the last good checkpoint is "
            f"{checkpoint}. Lower learning_rate, or use float32 or mixed_bfloat16 precision"
        )
    model = _as_float32(model, run, member, dataset, images["train"])
    result = {
        part: score_indices(
            dataset.classes[images[part]], _predict(model, dataset, images[part]).argmax(axis=1), dataset.labels
        ).summary
        for part in ("validation", "test")
    }
    save_whole(model, file)
    done = write_member(
        file, member, dataset.digest, started, now(), result["validation"], result["test"], progress.history
    )
    checkpoint.unlink(missing_ok=True)
    return done


def _optimizer(member: MemberRun, steps: int) -> keras.optimizers.Optimizer:
    """SGD with Nesterov momentum; warm-up, then cosine to zero; no decay of norms and biases."""
    warmup = round(min(member.warmup_epochs, member.epochs / 2) * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=member.learning_rate / 100,
        decay_steps=max(1, member.epochs * steps - warmup),
        warmup_target=member.learning_rate,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=member.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def _jit() -> bool | str:
    """XLA slows convolutions down on a CPU under TensorFlow (141 images/s instead of 250 and more), and helps elsewhere."""
    if keras.backend.backend() != "tensorflow":
        return "auto"
    import tensorflow as tf

    return "auto" if tf.config.list_physical_devices("GPU") else False


def _tensorboard(folder: Path) -> list[keras.callbacks.Callback]:
    """Logs for TensorBoard, whose writer comes with TensorFlow; none under another backend."""
    if keras.backend.backend() != "tensorflow":
        return []
    return [keras.callbacks.TensorBoard(str(folder), write_graph=False, update_freq="epoch")]


def _as_float32(
    model: keras.Model, run: Run, member: MemberRun, dataset: Dataset, train_images: NDArray[np.intp]
) -> keras.Model:
    """The same weights in a float32 network, whatever precision it was trained in: what is shipped is one thing."""
    keras.config.set_dtype_policy("float32")
    plain = build(member, run.input.side, len(dataset.labels), dataset.features[train_images])
    plain.set_weights(model.get_weights())
    return plain


def _load(file: Path) -> keras.Model:
    return keras.saving.load_model(file, compile=False, safe_mode=True)


def _predict(model: keras.Model, dataset: Dataset, images: NDArray[np.intp]) -> NDArray[np.float32]:
    scores: NDArray[np.float32] = model.predict(plain_inputs(dataset, images), batch_size=256, verbose=0)
    return scores


def _percent(scores: Summary) -> str:
    return f"{scores.accuracy:.1%} (balanced {scores.balanced_accuracy:.1%}, macro-F1 {scores.macro_f1:.1%})"
