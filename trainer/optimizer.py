"""Stochastic gradient descent that knows the backbone from the head."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from trainer.config import MemberRun
from trainer.network.architectures import HEAD


class BackboneSGD(keras.optimizers.SGD):
    """SGD with Nesterov momentum, decoupled decay of kernels, and a rate of its own for the backbone.

    The rate of a layer is a function of the step alone, so head-first training needs no second compilation and a resumed
    run no memory of where it was.
    """

    def __init__(
        self, learning_rate: Any, kernel_decay: float, head_steps: int, backbone_rate: float, **settings: Any
    ) -> None:
        """kernel_decay: a step takes rate * kernel_decay of each kernel, and nothing of norms and biases (Loshchilov and
        Hutter 2019). For the first `head_steps` steps the backbone rests, then it learns at `backbone_rate` of the rate.
        """
        super().__init__(learning_rate, **settings)
        self._kernel_decay, self._head_steps, self._backbone_rate = kernel_decay, head_steps, backbone_rate

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Called by Keras for each variable."""
        # Under TensorFlow it is the bare tf.Variable, whose name is the path with ':0' at its end.
        path = getattr(variable, "path", variable.name).split(":")[0].split("/")
        if not set(HEAD) & set(path):
            learning_rate = learning_rate * self._share()
        if self._kernel_decay and any("kernel" in part for part in path):
            self.assign_sub(variable, variable * ops.cast(learning_rate * self._kernel_decay, variable.dtype))
        super().update_step(gradient, variable, learning_rate)

    def _share(self) -> Any:
        if not self._head_steps:
            return self._backbone_rate
        return ops.where(self.iterations < self._head_steps, 0.0, self._backbone_rate)


def optimizer_for(member: MemberRun, steps: int) -> keras.optimizers.Optimizer:
    """The member's optimizer for epochs of `steps` steps: linear warm-up, then a cosine to zero."""
    warmup = round(min(member.warmup_epochs, member.epochs / 2) * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=member.learning_rate / 100,
        decay_steps=max(1, member.epochs * steps - warmup),
        warmup_target=member.learning_rate,
        warmup_steps=warmup,
    )
    return BackboneSGD(
        rate,
        kernel_decay=member.weight_decay,
        head_steps=round(member.head_epochs * steps),
        backbone_rate=member.backbone_rate,
        momentum=0.9,
        nesterov=True,
        use_ema=member.average > 0,
        ema_momentum=member.average or 0.99,
    )
