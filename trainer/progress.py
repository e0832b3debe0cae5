"""One line an epoch that a person can read: how good, how fast, how long still."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import keras

from bundle.pace import spelled
from trainer.checkpoint import History

SECONDS_BETWEEN_DRAWS = 0.5


class Progress(keras.callbacks.Callback):
    """Says a line after each epoch, extends the history, and stops the fit when the loss is no number or no longer falls."""

    def __init__(
        self,
        name: str,
        epochs: int,
        steps: int,
        batch: int,
        stop_after: int,
        history: History,
        say: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        """steps: of an epoch, of `batch` images each. stop_after: epochs without a lower validation loss; 0: never stops.
        history: of the epochs before, extended here. clock: seconds, from any origin.
        """
        super().__init__()
        self._name, self._epochs, self._steps, self._batch = name, epochs, steps, batch
        self._stop_after, self.history, self._say, self._clock = stop_after, history, say, clock
        self._began = self._trained = self._drawn = 0.0
        self.diverged_at: tuple[int, int] | None = None  # epoch and step, both counted from 1

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Called by Keras."""
        self._epoch = epoch + 1
        self._began = self._drawn = self._clock()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Called by Keras when the epoch's training ends and its validation begins."""
        self._trained = self._clock()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Called by Keras, with the step counted from 0."""
        if logs is not None and not math.isfinite(logs["loss"]) and self.diverged_at is None:
            self.diverged_at = self._epoch, batch + 1
            self.model.stop_training = True
        now = self._clock()
        if sys.stderr.isatty() and now - self._drawn > SECONDS_BETWEEN_DRAWS:
            self._drawn = now
            done = batch + 1
            rate = done * self._batch / (now - self._began)
            left = (self._steps - done) * (now - self._began) / done
            line = f"epoch {self._epoch}/{self._epochs}  {done / self._steps:4.0%}  {rate:.0f} images/s  {spelled(left)} left"
            print(f"\r\033[K{line} in this epoch", end="", file=sys.stderr, flush=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Called by Keras, with the epoch counted from 0."""
        assert logs is not None
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        if self.diverged_at is not None:
            return
        now = self._clock()
        rate = self._steps * self._batch / (self._trained - self._began)
        left = (self._epochs - epoch - 1) * (now - self._began)
        self.history.append({"epoch": epoch + 1, **{key: round(float(value), 5) for key, value in logs.items()}})
        self._say(
            f"{self._name}  epoch {epoch + 1}/{self._epochs}  loss {logs['loss']:.3f}  train {logs['accuracy']:.1%}  "
            f"validation {logs['val_accuracy']:.1%}  {rate:.0f} images/s  {spelled(left)} left"
        )
        if no_longer_falls(self.history, self._stop_after):
            self._say(f"{self._name}: the validation loss has not fallen for {self._stop_after} epochs; finished early")
            self.model.stop_training = True


def no_longer_falls(history: History, stop_after: int) -> bool:
    """Whether the lowest validation loss is `stop_after` epochs old or older; never, if that is 0."""
    losses = [entry["val_loss"] for entry in history]
    return bool(stop_after and losses) and len(losses) - 1 - losses.index(min(losses)) >= stop_after
