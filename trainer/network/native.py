"""A network in the layers that the backend trains fastest.

Only PyTorch needs any: Keras 3.15 copies each convolution's input to channels-first memory there and writes a batch norm out
in float32 operations of its own, which on a CPU takes more than half of a training step. The layers below call PyTorch's
kernels on the memory as it lies. They have the weights of their parents in the same order, and are for training alone: what
is saved is built of Keras' layers.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras


def without_gradients() -> AbstractContextManager[Any]:
    """For a network that is run and not fitted: PyTorch would keep what each batch computed for a way back that is never gone.
    Norms estimated on 8 batches of 64 by an EfficientNet-Lite1 at 128 pixels took 6.2 GB so, and 2.6 GB without.
    """
    if keras.backend.backend() != "torch":
        return nullcontext()
    import torch

    return torch.no_grad()


def native(model: keras.Model) -> keras.Model:
    """The same network with the same weights, to be trained; `model` itself where its own layers are the fastest."""
    if keras.backend.backend() != "torch":
        return model
    fast = keras.models.clone_model(model, clone_function=_native_layer, recursive=True)
    fast.set_weights(model.get_weights())
    return fast


def _native_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    kind = type(layer)
    if kind is keras.layers.BatchNormalization and layer.axis in (-1, 3) and layer.center and layer.scale:
        kind = TorchNorm
    elif kind is keras.layers.Conv2D and _plain(layer) and layer.groups == 1:
        kind = TorchConvolution
    elif kind is keras.layers.DepthwiseConv2D and _plain(layer) and layer.depth_multiplier == 1:
        kind = TorchDepthwise
    return kind.from_config(layer.get_config())


def _plain(layer: keras.layers.Conv2D | keras.layers.DepthwiseConv2D) -> bool:
    return (
        layer.padding == "same"
        and not layer.use_bias
        and set(layer.dilation_rate) == {1}
        and layer.activation is keras.activations.linear
    )


class TorchConvolution(keras.layers.Conv2D):
    """Keras' convolution without a bias, padded "same" as TensorFlow pads."""

    def call(self, inputs: Any) -> Any:
        """(B, H, W, C) to (B, H', W', filters)."""
        return _convolve(self, inputs, keras.ops.convert_to_tensor(self.kernel).permute(3, 2, 0, 1))


class TorchDepthwise(keras.layers.DepthwiseConv2D):
    """Keras' depthwise convolution without a bias, one kernel a channel, padded "same" as TensorFlow pads."""

    def call(self, inputs: Any) -> Any:
        """(B, H, W, C) to (B, H', W', C)."""
        return _convolve(
            self, inputs, keras.ops.convert_to_tensor(self.kernel).permute(2, 3, 0, 1), groups=inputs.shape[-1]
        )


def _convolve(layer: Any, inputs: Any, kernel: Any, groups: int = 1) -> Any:
    """kernel: (filters, channels of a group, height, width), as PyTorch has it."""
    import torch

    x = inputs.permute(0, 3, 1, 2)
    (top, bottom), (left, right) = (
        _pads(*sizes) for sizes in zip(x.shape[2:], layer.kernel_size, layer.strides, strict=True)
    )
    if (top, left) != (bottom, right):  # what PyTorch's own padding cannot say
        x = torch.nn.functional.pad(x, [left, right, top, bottom])
        top = left = 0
    y = torch.nn.functional.conv2d(x, kernel, stride=layer.strides, padding=(top, left), groups=groups)
    return y.permute(0, 2, 3, 1)


def _pads(size: int, width: int, stride: int) -> tuple[int, int]:
    """How many zeros go before and after `size` pixels, so that a kernel of `width` gives ceil(size / stride)."""
    both = max(0, (-(-size // stride) - 1) * stride + width - size)
    return both // 2, both - both // 2


class TorchNorm(keras.layers.BatchNormalization):
    """Keras' batch norm over the last axis."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """(B, H, W, C) normalised, while it trains by the batch's own moments; the moving ones follow by `momentum`."""
        if not (training and self.trainable) or mask is not None or inputs.ndim != 4:
            return super().call(inputs, training=training, mask=mask)
        import torch

        x = inputs.permute(0, 3, 1, 2)
        mean, variance = self.moving_mean.value, self.moving_variance.value
        batch_mean, batch_variance = torch.zeros_like(mean), torch.zeros_like(variance)
        y = torch.nn.functional.batch_norm(
            x,
            batch_mean,
            batch_variance,
            self.gamma.value,
            self.beta.value,
            training=True,
            momentum=1.0,
            eps=self.epsilon,
        )
        seen = x.shape[0] * x.shape[2] * x.shape[3]
        with torch.no_grad():  # PyTorch's moving variance is a sample's, Keras' the batch's own
            mean.lerp_(batch_mean, 1 - self.momentum)
            variance.lerp_(batch_variance * ((seen - 1) / seen), 1 - self.momentum)
        return y.permute(0, 2, 3, 1)
