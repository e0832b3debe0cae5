"""The state of a training run after each epoch, in one file that is whole or absent."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from bundle.errors import BadData
from bundle.whole import write_whole


class Checkpoint(keras.callbacks.Callback):
    """Writes the weights and the optimizer's state after every epoch."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Called by Keras. A loss that is not a number is never written over a good state."""
        if logs is None or logs["loss"] != logs["loss"]:
            return
        save_whole(self.model, self._path)


def save_whole(model: keras.Model, path: Path) -> None:
    """Saves `model` to the .keras file `path`, whole or not at all; its folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".partial-{path.name}")  # Keras writes only to a name that ends in .keras
    model.save(scratch)
    write_whole(path, scratch.read_bytes())
    scratch.unlink()


def resume(model: keras.Model, path: Path, steps_per_epoch: int) -> int:
    """Gives the compiled `model` the state at `path`; returns how many epochs it has seen, 0 where there is no such file.

    State is copied into a model that was built and compiled anew, since a loaded one forgets which weights its optimizer
    does not decay. The optimizer counts its steps, so the epoch needs no second file that could disagree. Raises BadData.
    """
    if not path.exists():
        return 0
    remedy = "delete it to begin this member anew"
    try:
        saved = keras.saving.load_model(path, safe_mode=True)
    except (ValueError, OSError, KeyError) as error:
        raise BadData(f"{path}: not a checkpoint that can be resumed ({error}); {remedy}") from None
    steps = int(keras.ops.convert_to_numpy(saved.optimizer.iterations))
    if steps % steps_per_epoch:
        raise BadData(
            f"{path}: {steps} steps are no whole number of epochs of {steps_per_epoch} steps: the data or the batch size "
            f"has changed since; {remedy}"
        )
    model.optimizer.build(model.trainable_variables)
    for mine, theirs in ((model.variables, saved.variables), (model.optimizer.variables, saved.optimizer.variables)):
        if [variable.shape for variable in mine] != [variable.shape for variable in theirs]:
            raise BadData(f"{path}: the checkpoint of another network than the run now asks for; {remedy}")
        for variable, value in zip(mine, theirs, strict=True):
            variable.assign(value)
    # Keras saves no random state. A dropout layer draws once a step, so its generator (seed, draws) is known all the same.
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            seed = keras.ops.convert_to_numpy(layer.seed_generator.state)[0]
            layer.seed_generator.state.assign(np.array([seed, steps]))
    return steps // steps_per_epoch
