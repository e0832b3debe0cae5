"""EfficientNet-Lite 0 to 4: the EfficientNets (Tan and Le 2019) made for integer arithmetic.

The Lite variants leave out squeeze-and-excite, take ReLU6 for swish and do not widen the stem and the last convolution. Padding
("same", the odd pixel at the bottom and right) and the norms' epsilon are those of the published networks, so that their ImageNet
weights give here what they gave there. Without stochastic depth, which those were trained with: fine-tuning is short.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from keras import initializers, layers

Tensor = Any

SCALES = {  # width and depth multipliers
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
    "efficientnet_lite3": (1.2, 1.4),
    "efficientnet_lite4": (1.4, 1.8),
}
STEM, TOP = 32, 1280  # channels, whatever the width multiplier

# Tan and Le 2019, table 1: kernel, stride, expansion, channels and blocks of each stage, before the multipliers.
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)

# Moving means forget a batch after about twenty. The published 0.99 would still hold a third of ImageNet's statistics
# after a hundred batches, which is all that a small data set or the renewal of averaged weights (trainer/fit.py) has.
MOMENTUM = 0.95
EPSILON = 1e-3


@dataclass(frozen=True)
class Block:
    """An inverted residual block (Sandler et al. 2018): 1x1 expansion, depthwise convolution, 1x1 projection."""

    name: str
    kernel: int  # pixels
    stride: int
    expansion: int  # factor; 1 leaves the expansion out
    inputs: int  # channels
    outputs: int  # channels


def blocks(architecture: str) -> Iterator[Block]:
    """The blocks of "efficientnet_lite0" to "efficientnet_lite4" in order."""
    width, depth = SCALES[architecture]
    inputs = STEM
    for stage, (kernel, stride, expansion, channels, repeats) in enumerate(STAGES):
        outputs = _rounded(channels * width)
        at_an_end = stage in (0, len(STAGES) - 1)  # these stay at one block in every variant
        for block in range(repeats if at_an_end else math.ceil(repeats * depth)):
            name = f"stage{stage}_block{block}"
            yield Block(name, kernel, stride if block == 0 else 1, expansion, inputs, outputs)
            inputs = outputs


def efficientnet_lite(x: Tensor, architecture: str) -> Tensor:
    """From an image (B, S, S, any number of channels) to the last feature map (B, S / 32, S / 32, 1280)."""
    x = _norm(_convolution(x, STEM, 3, 2, "stem"), "stem", relu6=True)
    for block in blocks(architecture):
        x = _inverted_residual(x, block)
    return _norm(_convolution(x, TOP, 1, 1, "top"), "top", relu6=True)


def _inverted_residual(x: Tensor, block: Block) -> Tensor:
    y = x
    if block.expansion != 1:
        name = f"{block.name}_expand"
        y = _norm(_convolution(y, block.inputs * block.expansion, 1, 1, name), name, relu6=True)
    name = f"{block.name}_depthwise"
    y = layers.DepthwiseConv2D(
        block.kernel,
        strides=block.stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{name}_conv",
    )(y)
    y = _norm(y, name, relu6=True)
    name = f"{block.name}_project"
    y = _norm(_convolution(y, block.outputs, 1, 1, name), name, relu6=False)
    if block.stride == 1 and block.inputs == block.outputs:
        y = layers.Add(name=f"{block.name}_add")([x, y])
    return y


def _convolution(x: Tensor, channels: int, size: int, stride: int, name: str) -> Tensor:
    return layers.Conv2D(
        channels,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=f"{name}_conv",
    )(x)


def _norm(x: Tensor, name: str, relu6: bool) -> Tensor:
    x = layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}_norm")(x)
    return layers.ReLU(max_value=6, name=f"{name}_act")(x) if relu6 else x


def _initializer() -> initializers.Initializer:
    """By what goes out: Keras counts all channels as what goes into a depthwise kernel, and would make it far too small."""
    return initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")


def _rounded(channels: float) -> int:
    """To a multiple of 8, never more than a tenth down."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest
