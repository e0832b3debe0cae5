"""The networks: uint8 pixels and raw features in, softmax scores out; all scaling is inside.

Our own are plain 3x3 convolutions with batch normalisation and ReLU, because those fold and quantise to int8 without surprises.
Those of others, which may begin with ImageNet weights, stand as one layer `backbone` with layers of its own.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from bundle.errors import BadConfig
from bundle.preprocess import FEATURES
from trainer.config import Network
from trainer.network.backbones import BACKBONES, backbone
from trainer.network.efficientnet_lite import SCALES
from trainer.network.lite_weights import lite_backbone

Tensor = Any

# The layers after the backbone, by name: those that learn first and at the full rate.
HEAD = ("pool", "feature_scale", "feature_dense", "join", "dropout", "logits", "scores")


def build(
    network: Network, side: int, class_count: int, train_features: NDArray[np.float32], name: str, seed: int = 0
) -> keras.Model:
    """The network for S x S images and C classes, in the dtype policy in force.

    train_features: (M, F) of the training images; the feature branch is scaled by their mean and variance. seed: of the
    dropout.
    """
    pixels = keras.Input((side, side, 1), dtype="uint8", name="pixels")
    features = keras.Input((len(FEATURES),), dtype="float32", name="features")
    # White becomes 0 and ink positive, so that a convolution's zero padding is more of the background. (255 - x) / 256 is
    # exact in every precision: with 1 - x / 255 in bfloat16 white came out as 1/256, most of an image is white, and the
    # float32 twin of a network so trained lost 3 points of accuracy.
    ink = layers.Rescaling(-1 / 256, offset=255 / 256, name="ink")(pixels)
    joined = layers.GlobalAveragePooling2D(name="pool")(body(network.architecture)(ink, network))
    if network.feature_units:
        scaled = layers.Normalization(
            mean=train_features.mean(axis=0), variance=train_features.var(axis=0) + 1e-6, name="feature_scale"
        )(features)
        size = layers.Dense(network.feature_units, activation="relu", name="feature_dense")(scaled)
        joined = layers.Concatenate(name="join")([joined, size])
    joined = layers.Dropout(network.dropout, seed=seed, name="dropout")(joined)
    logits = layers.Dense(class_count, name="logits")(joined)
    scores = layers.Activation("softmax", dtype="float32", name="scores")(logits)
    return keras.Model([pixels, features], scores, name=name.replace(".", "_"))


def simple_cnn(x: Tensor, network: Network) -> Tensor:
    """The course project's baseline: a convolution and a halving per stage."""
    for stage, width in enumerate(network.widths):
        x = _convolution(x, width, 3, 1, f"stage{stage}")
        x = layers.MaxPooling2D(name=f"stage{stage}_halve")(x)
    return x


def residual_cnn(x: Tensor, network: Network) -> Tensor:
    """A residual network (He et al. 2015) with a stem of stride 2, its widths and depths from the run."""
    x = _convolution(x, network.widths[0], 3, 2, "stem")
    for stage, (width, blocks) in enumerate(zip(network.widths, network.blocks, strict=True)):
        for block in range(blocks):
            stride = 2 if block == 0 and stage > 0 else 1
            name = f"stage{stage}_block{block}"
            y = _convolution(x, width, 3, stride, f"{name}_a")
            y = _convolution(y, width, 3, 1, f"{name}_b", relu=False)
            if stride != 1 or x.shape[-1] != width:
                x = _convolution(x, width, 1, stride, f"{name}_skip", relu=False)
            x = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))
    return x


def lite(x: Tensor, network: Network) -> Tensor:
    """An EfficientNet-Lite, for integer inference with ImageNet weights."""
    weights = None if network.weights is None else Path(network.weights)
    return lite_backbone(network.architecture, x.shape[1], weights)(x)


def application(x: Tensor, network: Network) -> Tensor:
    """A network of `keras.applications`."""
    return backbone(network.architecture, x.shape[1], network.weights)(x)


Body = Callable[[Tensor, Network], Tensor]

OWN: dict[str, Body] = {"simple_cnn": simple_cnn, "residual_cnn": residual_cnn}
BODIES: dict[str, Body] = OWN | dict.fromkeys(SCALES, lite) | dict.fromkeys(BACKBONES, application)


def body(architecture: str) -> Body:
    """What turns ink (B, S, S, 1) into a feature map (B, s, s, channels). Raises BadConfig for a name that is none."""
    if architecture in BODIES:
        return BODIES[architecture]
    near = difflib.get_close_matches(architecture, BODIES, n=1, cutoff=0.5)
    remedy = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(BODIES)}"
    raise BadConfig(f"architecture '{architecture}' is not known; {remedy}")


def check(network: Network, side: int) -> None:
    """Whether `network` can be built for S x S images: found out before hours of training, not after. Raises BadConfig."""
    build_body = body(network.architecture)
    if network.weights is not None and network.architecture in OWN:
        raise BadConfig(f"weights: there are none for {network.architecture}; take the line out, or use start_from")
    build_body(keras.Input((side, side, 1)), network)


def _convolution(x: Tensor, width: int, size: int, stride: int, name: str, relu: bool = True) -> Tensor:
    x = layers.Conv2D(
        width, size, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(momentum=0.95, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_act")(x) if relu else x
