"""The state of a training run after each epoch, in one file that is whole or absent."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np

from bundle.errors import BadData, PlanktowError
from bundle.whole import json_bytes, write_whole, write_whole_with

History = list[dict[str, float]]  # one entry an epoch

REMEDY = "delete it to begin this member anew"


class CannotSave(PlanktowError):
    """The disk refused a checkpoint or a member; what was saved before is untouched."""


class Checkpoint(keras.callbacks.Callback):
    """Writes the weights, the optimizer's and the dropout's state and the history after every epoch."""

    def __init__(self, path: Path, of: str, history: History, keep_best: bool) -> None:
        """of: what the state belongs to, as `resume` will ask. history: the list that the progress display extends, which
        comes before this callback. keep_best: the state with the lowest validation loss is kept beside, at `best(path)`.
        """
        super().__init__()
        self._path, self._of, self._history, self._keep_best = path, of, history, keep_best

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Called by Keras. A loss that is not a number is never written over a good state."""
        if logs is None or logs["loss"] != logs["loss"]:
            return
        notes = {"of": self._of, "history": self._history, "shapes": _shapes(self.model)}
        arrays = {f"v{index:05d}": keras.ops.convert_to_numpy(v) for index, v in enumerate(_state(self.model))}
        losses = [entry["val_loss"] for entry in self._history]
        paths = [self._path]
        if self._keep_best and losses[-1] == min(losses):
            paths.insert(0, best(self._path))
        for path in paths:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole_with(path, lambda file: _savez(file, notes, arrays))
            except OSError as error:
                raise _cannot_save(path, error, "the state after the epoch before is still there") from None


def best(path: Path) -> Path:
    """Where the state with the lowest validation loss is kept for the checkpoint at `path`."""
    return path.with_name(f"{path.stem}-best{path.suffix}")


def sweep(path: Path) -> None:
    """Takes away what a process killed in the middle of a write has left beside the checkpoint at `path`."""
    for left in path.parent.glob(f".{path.stem}*.partial"):
        left.unlink(missing_ok=True)


def forget(path: Path) -> None:
    """Takes away the checkpoint of a member that is finished."""
    sweep(path)
    for state in (path, best(path)):
        state.unlink(missing_ok=True)


def save_whole(model: keras.Model, path: Path) -> None:
    """Saves `model` to the .keras file `path`, whole or not at all; its folder is made when missing. Raises CannotSave."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".partial-{path.name}")  # Keras writes only to a name that ends in .keras
    try:
        model.save(scratch)
        write_whole(path, scratch.read_bytes())
    except OSError as error:
        raise _cannot_save(path, error, "the last checkpoint is still there") from None
    finally:
        scratch.unlink(missing_ok=True)


def resume(model: keras.Model, path: Path, of: str) -> History:
    """Gives the compiled `model` the state at `path`; returns the history so far, empty where there is no such file.

    of: the digest of everything that decides the training; a checkpoint of anything else is refused. Raises BadData.
    """
    if not path.exists():
        return []
    notes, arrays = _read(path)
    if not model.optimizer.built:  # LossScaleOptimizer would add its own variables a second time
        model.optimizer.build(model.trainable_variables)
    if notes["of"] != of or notes["shapes"] != _shapes(model):
        raise BadData(
            f"{path}: the run's settings or the data have changed since this checkpoint was written; {REMEDY}"
        )
    for variable, value in zip(_state(model), arrays, strict=True):
        variable.assign(value)
    history: History = notes["history"]
    return history


def epochs_saved(path: Path) -> int:
    """How many epochs the checkpoint at `path` holds, 0 where there is none: what a resumed run will go on after."""
    return len(_read(path)[0]["history"]) if path.exists() else 0


def _read(path: Path) -> tuple[dict[str, Any], list[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            return json.loads(saved["notes"].tobytes()), [
                saved[name] for name in sorted(saved.files) if name != "notes"
            ]
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadData(f"{path}: not a checkpoint that can be resumed ({error}); {REMEDY}") from None


def _savez(file: BinaryIO, notes: dict[str, Any], arrays: dict[str, Any]) -> None:
    np.savez(file, allow_pickle=False, notes=np.frombuffer(json_bytes(notes), np.uint8), **arrays)


def _state(model: keras.Model) -> list[Any]:
    """Every variable that the next epoch depends on: model.variables has the dropout's random state too."""
    return [*model.variables, *model.optimizer.variables]


def _shapes(model: keras.Model) -> list[list[int]]:
    """Not the names: Keras numbers some of them by a counter of the process."""
    return [list(variable.shape) for variable in _state(model)]


def _cannot_save(path: Path, error: OSError, kept: str) -> CannotSave:
    return CannotSave(f"{path}: cannot be written ({error}); {kept}. Make room and run the same command again")
