"""The state of a training run after each epoch, in one file that is whole or absent."""

from __future__ import annotations

from pathlib import Path

import keras

from bundle.errors import BadData
from bundle.whole import write_whole


class Checkpoint(keras.callbacks.Callback):
    """Writes weights, optimizer and random state after every epoch."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._scratch = path.with_name(f".partial-{path.name}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Called by Keras. A loss that is not a number is never written over a good state."""
        if logs is None or logs["loss"] != logs["loss"]:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.model.save(self._scratch)
        write_whole(self._path, self._scratch.read_bytes())
        self._scratch.unlink()


def resume(path: Path, steps_per_epoch: int) -> tuple[keras.Model | None, int]:
    """The model at `path`, compiled as it was, and how many epochs it has seen; (None, 0) where there is no such file.

    The optimizer counts its steps, so the epoch needs no second file that could disagree. Raises BadData.
    """
    if not path.exists():
        return None, 0
    try:
        model = keras.saving.load_model(path, safe_mode=True)
    except (ValueError, OSError, KeyError) as error:
        raise BadData(
            f"{path}: not a checkpoint that can be resumed ({error}); delete it to begin this member anew"
        ) from None
    steps = (
        int(model.optimizer.iterations.numpy())
        if hasattr(model.optimizer.iterations, "numpy")
        else int(model.optimizer.iterations)
    )
    if steps % steps_per_epoch:
        raise BadData(
            f"{path}: {steps} steps are no whole number of epochs of {steps_per_epoch} steps: the data or the batch size has "
            "changed since; delete it to begin this member anew"
        )
    return model, steps // steps_per_epoch
