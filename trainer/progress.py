"""One line an epoch that a person can read: how good, how fast, how long still."""

from __future__ import annotations

import math
from collections.abc import Callable

import keras


class Progress(keras.callbacks.Callback):
    """Says a line after each epoch, keeps the history, and stops the fit when the loss is no longer a number."""

    def __init__(
        self, name: str, epochs: int, images: int, say: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        """images: of an epoch; clock: seconds, from any origin."""
        super().__init__()
        self._name, self._epochs, self._images = name, epochs, images
        self._say, self._clock = say, clock
        self._began = 0.0
        self.history: list[dict[str, float]] = []
        self.diverged_at: int | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Called by Keras."""
        self._began = self._clock()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Called by Keras when the epoch's training ends and its validation begins."""
        self._trained = self._clock()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Called by Keras."""
        if logs is not None and not math.isfinite(logs["loss"]):
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Called by Keras, with the epoch counted from 0."""
        assert logs is not None
        if not math.isfinite(logs["loss"]):
            self.diverged_at = epoch + 1
            self.model.stop_training = True
            return
        now = self._clock()
        rate = self._images / (self._trained - self._began)
        left = (self._epochs - epoch - 1) * (now - self._began)
        self.history.append({"epoch": epoch + 1, **{key: round(float(value), 5) for key, value in logs.items()}})
        self._say(
            f"{self._name}  epoch {epoch + 1}/{self._epochs}  loss {logs['loss']:.3f}  train {logs['accuracy']:.1%}  "
            f"validation {logs['val_accuracy']:.1%}  {rate:.0f} images/s  {_spelled(left)} left"
        )


def _spelled(seconds: float) -> str:
    """A duration as a person says it: 45 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
