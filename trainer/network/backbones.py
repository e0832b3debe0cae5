"""The networks of `keras.applications`, with ImageNet weights for colour turned into weights for our ink."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import applications, layers

from bundle.errors import BadConfig
from trainer.network.efficientnet_lite import MOMENTUM
from trainer.network.grey import Channels, add_constant, fold_grey

# ConvNeXt is left out: its stem is a model of its own, into which the folding of colours does not reach.
BACKBONES = tuple(name for name in dir(applications) if name[0].isupper() and not name.startswith("ConvNeXt"))

IMAGENET = "imagenet"


def backbone(architecture: str, side: int, weights: str | None) -> keras.Model:
    """`architecture`, one of BACKBONES, from ink (B, S, S, 1) to its last feature map, in the dtype policy in force.

    weights: "imagenet", which Keras downloads; a file of the network without its last layers, either as Keras offers it
    (.h5, .weights.h5) or a model with its own scaling (.keras); None: random. Raises BadConfig for a side that is too small
    and for weights that cannot be had or do not fit.
    """
    policy = keras.config.dtype_policy()
    with _float32():  # what the weights expect of a pixel is read off to the last bit
        colour, scaling = _colour(architecture, side, weights)
        seen = None if weights is None else _seen(scaling, architecture, weights)
    first = _first_convolution(colour)
    grey, copies = _rebuild(colour, first, keras.Input((side, side, 1), name="ink"), policy)
    if seen is not None:
        kernel, *bias = first.get_weights()
        folded, constant = fold_grey(kernel, *seen)
        for name, copy in copies.items():
            copy.set_weights([folded, *bias] if name == first.name else colour.get_layer(name).get_weights())
        add_constant(grey, copies[first.name], constant)
    return grey


def _colour(architecture: str, side: int, weights: str | None) -> tuple[keras.Model, keras.Model]:
    """The network for colour images of this side, with its weights, and the one whose first layers say how to scale."""
    build = getattr(applications, architecture)
    shape = (side, side, 3)
    try:
        if weights == IMAGENET:
            model = _downloaded(architecture, lambda: build(include_top=False, weights=IMAGENET, input_shape=shape))
            return model, model
        model = build(include_top=False, weights=None, input_shape=shape)
    except ValueError as error:
        raise BadConfig(f"{architecture} at a side of {side} pixels: {_line(error)}") from None
    if weights is None:
        return model, model
    if not Path(weights).is_file():
        raise BadConfig(
            f"{weights}: weights names no file; give one in Keras' format, 'imagenet', or take the line out"
        )
    try:
        if weights.endswith(".keras"):
            saved = keras.saving.load_model(weights, compile=False, safe_mode=True)
            model.set_weights(saved.get_weights())
            return model, saved
        model.load_weights(weights)
        return model, model
    except Exception as error:  # HDF5, zip, JSON or Keras: each raises its own
        raise BadConfig(
            f"{weights}: not the weights of {architecture} without its last layers, in Keras' format ({_line(error)})"
        ) from None


def _downloaded(architecture: str, build: Callable[[], keras.Model]) -> keras.Model:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that they were made for 224 pixels: they always were
            return build()
    except ValueError:
        raise
    except Exception as error:  # Keras raises a bare Exception for what the network refuses
        raise BadConfig(
            f"{architecture}: Keras could not download its ImageNet weights ({_line(error)}); download that file elsewhere "
            "and name it in weights"
        ) from None


def _seen(model: keras.Model, architecture: str, weights: str) -> tuple[Channels, Channels]:
    """What the first convolution of `model` is given on a white image, and what that gains per unit of ink; (3,) each.

    Found by showing it white, mid-grey and black, whatever it is that stands before the convolution.
    """
    before = keras.Model(model.input, _first_convolution(model).input)
    side = model.input.shape[1] or 64
    module = sys.modules[getattr(applications, architecture).__module__]
    levels = np.array([255, 127, 0], np.float32)
    images = np.broadcast_to(levels[:, np.newaxis, np.newaxis, np.newaxis], (3, side, side, 3)).copy()
    given = keras.ops.convert_to_numpy(before(module.preprocess_input(images))).astype(np.float64)
    white, grey, black = given[:, side // 2, side // 2]  # away from any padding
    if architecture.startswith("EfficientNetB") and weights.endswith(".h5"):
        # Keras builds the last step of its scaling only when it downloads the weights itself.
        white, grey, black = (level / np.sqrt(module.IMAGENET_STDDEV_RGB) for level in (white, grey, black))
    if not np.allclose(grey, black + (white - black) * 127 / 255, atol=1e-3):
        raise BadConfig(
            f"{architecture}: the scaling before its first convolution is not linear, so it cannot be folded"
        )
    return white, (black - white) * 256 / 255


def _first_convolution(model: keras.Model) -> Any:
    return next(layer for layer in model.layers if isinstance(layer, layers.Conv2D))


def _rebuild(colour: keras.Model, first: Any, ink: Any, policy: Any) -> tuple[keras.Model, dict[str, Any]]:
    """The same network on `ink`, and its layers by the names of the originals.

    Nothing is left before the first convolution but padding.
    """
    place = {layer.name: index for index, layer in enumerate(colour.layers)}
    copies: dict[str, Any] = {}
    left_out: list[Any] = []

    def copied(layer: Any) -> Any:
        if not isinstance(layer, layers.Layer):  # a sum or product written as such: it has no state
            return layer
        config = layer.get_config() | {"dtype": policy, "name": _name(layer, place[layer.name])}
        if isinstance(layer, layers.BatchNormalization):
            config["momentum"] = MOMENTUM
        copy = type(layer).from_config(config)
        if place[layer.name] < place[first.name] and not isinstance(layer, layers.ZeroPadding2D):
            left_out.append(copy)
        else:
            copies[layer.name] = copy
        return copy

    def called(copy: Any, x: Any, *others: Any, **settings: Any) -> Any:
        return x if any(copy is each for each in left_out) else copy(x, *others, **settings)

    grey = keras.models.clone_model(colour, input_tensors=ink, clone_function=copied, call_function=called)
    return keras.Model(grey.input, grey.output, name="backbone"), copies


def _name(layer: Any, place: int) -> str:
    """A name that is the same in every process, for a checkpoint knows its variables by name.

    Layers without a name of their own are numbered by Keras in the order in which the process made them.
    """
    base = re.sub(r"_\d+$", "", layer.name)
    return f"{base}_{place}" if base.replace("_", "") == type(layer).__name__.lower() else layer.name


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def _float32() -> Iterator[None]:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
