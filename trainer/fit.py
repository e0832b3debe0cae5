"""Trains one member, so that a cut costs at most one epoch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from bundle.errors import PlanktowError
from bundle.pace import Say
from bundle.preprocess import InputSpec
from trainer.averaging import AveragedValidation, estimate_norms
from trainer.checkpoint import Checkpoint, History, best, epochs_saved, resume, sweep
from trainer.config import MemberRun
from trainer.data.dataset import Dataset
from trainer.devices import Devices
from trainer.feed import TrainingFeed, one_hot, plain_inputs
from trainer.imbalance import class_shares
from trainer.loss import AdjustedCrossentropy
from trainer.network.architectures import build
from trainer.network.native import native
from trainer.optimizer import optimizer_for
from trainer.progress import Progress, no_longer_falls
from trainer.start import start_from

Follow = Callable[[History], None]  # is told the history so far, of every epoch that cannot be lost any more

VALIDATION_BATCH = 256  # images
NORM_STEPS = 100  # batches on which the norms of averaged weights are estimated at the end
VALIDATION_NORM_STEPS = 16  # and before each validation, where a little noise does no harm

SAME_STANDING = (
    "Give all the same run file and data; where one was cut before it wrote its last epoch or member, copy checkpoints/ and "
    "members/ of the one that is further to the others' --out, and start all again"
)


class TrainingDiverged(PlanktowError):
    """The loss is no longer a number."""


class Interrupted(KeyboardInterrupt):
    """Somebody pressed Ctrl-C; the text says how the same command goes on."""


def fit_member(
    member: MemberRun,
    spec: InputSpec,
    dataset: Dataset,
    images: dict[str, NDArray[np.intp]],
    taught: NDArray[np.float32] | None,
    checkpoint: Path,
    logs: Path,
    say: Say,
    devices: Devices,
    follow: Follow,
) -> tuple[keras.Model, History]:
    """The trained network in float32, and its history.

    dataset: at the member's side. images: indices into it for each part. taught: (M, C) what a teacher says of the training
    images. checkpoint: the file that holds the state after each epoch; a fit that finds one goes on from there. logs:
    TensorBoard's folder.
    Raises TrainingDiverged, and what `resume`, `start_from` and the checkpoint raise.
    """
    keras.utils.set_random_seed(member.seed)
    keras.config.set_dtype_policy(member.precision)
    class_count = len(dataset.labels)
    features = dataset.features[images["train"]]
    feed = TrainingFeed(dataset, images["train"], member, spec, taught)
    validation = devices.own(images["validation"])
    of = _identity(member, spec, dataset)
    sweep(checkpoint)
    with devices.scope():
        model = native(build(member.network, member.side, class_count, features, member.name, member.seed))
        model.compile(
            optimizer=optimizer_for(member, feed.steps),
            loss=AdjustedCrossentropy(
                class_shares(dataset.classes[images["train"]], class_count), member.imbalance.logit_adjustment
            ),
            metrics=["accuracy"],
            jit_compile=devices.xla(),
        )
        history = resume(model, checkpoint, of)
        devices.agree(f"goes on after epoch {len(history)} of {member.name} ({of[:12]})", SAME_STANDING)
        if history:
            say(f"{member.name}: goes on after epoch {len(history)} of {member.epochs}")
        elif member.start_from is not None:
            taken, layers = start_from(
                model,
                Path(member.start_from),
                lambda: _plain(member, class_count, features),
                (feed.at(0, step)[0] for step in range(min(VALIDATION_NORM_STEPS, feed.steps))),
            )
            say(f"{member.name}: {taken} of {layers} layers begin with the weights of {member.start_from}")
        say(f"{member.name}: {member.network.architecture}, {model.count_params():,} weights, {member.precision}")
        follow(history)
        progress = Progress(
            member.name, member.epochs, feed.steps, feed.batch, member.stop_after, history, say, time.monotonic
        )
        try:
            if not no_longer_falls(history, member.stop_after):
                model.fit(
                    devices.batches(feed, len(history)),
                    steps_per_epoch=feed.steps,
                    epochs=member.epochs,
                    initial_epoch=len(history),
                    validation_data=(
                        plain_inputs(dataset, validation),
                        one_hot(dataset.classes[validation], class_count),
                    ),
                    validation_batch_size=devices.part(VALIDATION_BATCH),
                    callbacks=[
                        *_averaged(member, feed, devices),
                        progress,
                        Checkpoint(checkpoint, of, history, keep_best=member.stop_after > 0),
                        keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: follow(history)),
                        *_tensorboard(logs),
                    ],
                    shuffle=False,  # the feed shuffles the images, by its seed
                    verbose=0,
                )
        except KeyboardInterrupt:
            # Asked of the file: Ctrl-C may come between its renaming and the next line of ours.
            raise Interrupted(_interrupted(member, epochs_saved(checkpoint))) from None
        if progress.diverged_at is not None:
            raise TrainingDiverged(_diverged(member, progress.diverged_at, checkpoint))
        if member.stop_after:
            resume(model, best(checkpoint), of)
            model.optimizer.finalize_variable_values(model.trainable_variables)
    return _as_float32(model, member, class_count, features, feed), history


def _identity(member: MemberRun, spec: InputSpec, dataset: Dataset) -> str:
    """A digest of everything that decides the training."""
    parts = [dataclasses.asdict(member), dataclasses.asdict(spec), dataset.digest, keras.backend.backend()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _diverged(member: MemberRun, at: tuple[int, int], checkpoint: Path) -> str:
    kept = f"; the last good checkpoint is {checkpoint}" if checkpoint.exists() else ""
    return (
        f"{member.name}: the loss is no longer a number in epoch {at[0]}, step {at[1]}{kept}. Lower learning_rate, or use "
        "float32 or mixed_bfloat16 precision"
    )


def _interrupted(member: MemberRun, epochs: int) -> str:
    goes_on = f"goes on after epoch {epochs} of {member.epochs}" if epochs else "begins this member anew"
    return f"{member.name}: stopped; the same command {goes_on}"


def _averaged(member: MemberRun, feed: TrainingFeed, devices: Devices) -> list[keras.callbacks.Callback]:
    """What lets validation see the average over the weights. Shared models keep the norms in training: to run a batch through
    one outside of its fit, all devices and hosts would have to meet.
    """
    if not member.average:
        return []
    if devices.strategy is not None:
        return [keras.callbacks.SwapEMAWeights()]
    return [AveragedValidation([feed.at(0, step)[0] for step in range(min(VALIDATION_NORM_STEPS, feed.steps))])]


def _tensorboard(folder: Path) -> list[keras.callbacks.Callback]:
    """Logs for TensorBoard, whose writer comes with TensorFlow; none under another backend."""
    if keras.backend.backend() != "tensorflow":
        return []
    return [keras.callbacks.TensorBoard(str(folder), write_graph=False, update_freq="epoch")]


def _as_float32(
    model: keras.Model,
    member: MemberRun,
    class_count: int,
    features: NDArray[np.float32],
    feed: TrainingFeed,
) -> keras.Model:
    """The same weights in a float32 network, whatever precision it was trained in: what is shipped is one thing."""
    plain = _plain(member, class_count, features)
    plain.set_weights(model.get_weights())
    if member.average:
        twin = native(plain)
        estimate_norms(twin, (feed.at(member.epochs, step)[0] for step in range(min(NORM_STEPS, feed.steps))))
        plain.set_weights(twin.get_weights())
    return plain


def _plain(member: MemberRun, class_count: int, features: NDArray[np.float32]) -> keras.Model:
    """The member's network in Keras' layers and float32."""
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        return build(member.network, member.side, class_count, features, member.name, member.seed)
    finally:
        keras.config.set_dtype_policy(usual)
