"""The loss: cross entropy, with a margin for rare classes where the run asks for one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray


class AdjustedCrossentropy(keras.losses.Loss):
    """Cross entropy of soft labels against scores whose logits are raised by tau log(share of the class).

    A common class so starts ahead and a rare one must win by a margin; at inference, without the margin, rare classes are
    found more often (logit-adjusted loss: Menon et al. 2021, equation 10). tau 0 is plain cross entropy.
    """

    def __init__(self, shares: NDArray[np.float64], tau: float) -> None:
        """shares: (C,) of the training images, summing to 1; a class without any is given half of the rarest one's share."""
        super().__init__(name="loss")
        floor = shares[shares > 0].min() / 2
        self._margin = (tau * np.log(np.maximum(shares, floor))).astype(np.float32) if tau else None

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """(B,) losses from (B, C) soft labels and (B, C) scores, each row summing to 1."""
        logits = ops.log(ops.clip(ops.cast(y_pred, "float32"), 1e-7, 1.0))
        if self._margin is not None:
            logits = ops.log_softmax(logits + self._margin, axis=-1)
        return -ops.sum(ops.cast(y_true, "float32") * logits, axis=-1)
