"""A network for colour images becomes one for our ink, and is the same function of a grey image."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from keras import applications, layers

from bundle.errors import BadConfig
from trainer.config import Network
from trainer.network.architectures import build
from trainer.network.backbones import BACKBONES, backbone

SIDE = 32
MEAN, STDDEV = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

Scaling = Callable[[np.ndarray], np.ndarray]


def images() -> np.ndarray:
    """(2, S, S) uint8: a dark ellipse on white with noise."""
    random = np.random.default_rng(1)
    drawn = np.full((2, SIDE, SIDE), 255, np.uint8)
    for image in drawn:
        cv2.ellipse(image, (15, 17), (10, 5), float(random.uniform(0, 90)), 0, 360, 60, -1)
        image -= random.integers(0, 9, image.shape, dtype=np.uint8)
    return drawn


def colour_network(architecture: str) -> keras.Model:
    """With random weights, and norms that are not at their start."""
    random = np.random.default_rng(2)
    model = getattr(applications, architecture)(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(random.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(np.exp(random.normal(0, 0.1, layer.moving_variance.shape)))
        if isinstance(layer, layers.Normalization):
            values = {"mean": MEAN, "variance": STDDEV, "count": 0}
            layer.set_weights([np.asarray(values[variable.name]) for variable in layer.weights])
            layer.finalize_state()
    return model


def after_the_first_convolution(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """And after the norm that belongs to it, where it has no bias."""
    first = next(layer for layer in model.layers if isinstance(layer, layers.Conv2D))
    behind = first if first.use_bias else next(layer for layer in model.layers if layer.input is first.output)
    return keras.ops.convert_to_numpy(keras.Model(model.input, behind.output)(inputs))


def as_published(architecture: str) -> Scaling:
    """What the ImageNet weights of `architecture` expect of a colour image, 0 to 255, before the network's own layers."""
    if (
        architecture == "EfficientNetB0"
    ):  # Keras divides by the root of the deviation after it has divided by the variance
        return lambda image: 255 * (MEAN + (image / 255 - MEAN) / np.sqrt(STDDEV))
    module = sys.modules[getattr(applications, architecture).__module__]
    return lambda image: module.preprocess_input(image.copy())


@pytest.mark.parametrize("architecture", ["MobileNet", "VGG16", "EfficientNetB0"])  # -1 to 1; BGR less its mean; inside
def test_on_a_grey_image_it_gives_what_the_colour_network_gives_away_from_the_edge(tmp_path: Path, architecture: str):
    colour = colour_network(architecture)
    file = tmp_path / "notop.weights.h5"
    colour.save_weights(file)
    grey = backbone(architecture, SIDE, str(file))
    assert not any(isinstance(layer, layers.Rescaling | layers.Normalization) for layer in grey.layers)
    drawn = images()[..., np.newaxis].astype(np.float32)
    expected = after_the_first_convolution(colour, as_published(architecture)(np.repeat(drawn, 3, axis=-1)))
    found = after_the_first_convolution(grey, (255 - drawn) / 256)
    np.testing.assert_allclose(
        found[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], rtol=1e-4, atol=1e-6 * np.abs(expected).max()
    )
    first = 5 if "Net" in architecture else 2  # arrays: kernel and norm, or kernel and bias
    theirs = [
        array for layer in colour.layers if not isinstance(layer, layers.Normalization) for array in layer.get_weights()
    ]
    for one, other in zip(theirs[first:], grey.get_weights()[first:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_saved_model_brings_its_own_scaling(tmp_path: Path):
    colour = colour_network("MobileNet")
    file, plain = tmp_path / "whole.keras", tmp_path / "notop.weights.h5"
    colour.save(file)
    colour.save_weights(plain)
    drawn = (255 - images()[..., np.newaxis].astype(np.float32)) / 256
    whole, from_weights = (backbone("MobileNet", SIDE, str(path))(drawn) for path in (file, plain))
    np.testing.assert_allclose(whole, from_weights, rtol=1e-5, atol=1e-5)


def test_a_member_with_such_a_backbone_loads_without_our_code_and_has_one_layer_for_it(tmp_path: Path):
    features = np.random.default_rng(0).normal(3.0, 2.0, (100, 8)).astype(np.float32)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(Network("MobileNetV3Small"), SIDE, 5, features, "a")
    finally:
        keras.config.set_dtype_policy("float32")
    inner = model.get_layer("backbone")
    norms = [layer for layer in inner.layers if isinstance(layer, layers.BatchNormalization)]
    assert {norm.momentum for norm in norms} == {0.95}
    assert {layer.compute_dtype for layer in inner.layers if layer.weights} == {"bfloat16"}
    again = [variable.path for variable in backbone("MobileNetV3Small", SIDE, None).weights]
    assert again == [variable.path for variable in inner.weights], "a name tells what was built before it"
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras", compile=False, safe_mode=True)
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_cannot_be_had_is_refused_with_what_to_do(tmp_path: Path):
    assert "ResNet50" in BACKBONES
    assert "ConvNeXtTiny" not in BACKBONES
    with pytest.raises(BadConfig, match="Xception at a side of 32 pixels: Input size must be at least 71x71"):
        backbone("Xception", SIDE, None)
    with pytest.raises(
        BadConfig, match=r"no/such\.h5: weights names no file; give one in Keras' format, 'imagenet', or"
    ):
        backbone("MobileNet", SIDE, "no/such.h5")
    other = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((4,)), layers.Dense(3)]).save_weights(other)
    with pytest.raises(BadConfig, match=r"other\.weights\.h5: not the weights of MobileNet without its last layers"):
        backbone("MobileNet", SIDE, str(other))
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(BadConfig, match=r"text\.h5: not the weights of MobileNet without its last layers"):
        backbone("MobileNet", SIDE, str(tmp_path / "text.h5"))


def test_a_download_that_fails_is_one_line_that_says_how_to_do_without(monkeypatch: pytest.MonkeyPatch):
    if any(Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"), "models").glob("weights_mobilenet_v3_large*")):
        pytest.skip("these weights are on this machine already")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nothing listens
    with pytest.raises(
        BadConfig, match=r"could not download its ImageNet weights \(URL fetch failure on .*name it in weights"
    ):
        backbone("MobileNetV3Large", SIDE, "imagenet")
