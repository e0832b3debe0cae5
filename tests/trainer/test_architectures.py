"""The networks keep the contract with the quantize stage: names, types and shapes of inputs and output."""

import keras
import numpy as np
import pytest

from bundle.errors import BadConfig
from trainer.config import Network
from trainer.network.architectures import HEAD, body, build, check

FEATURES = np.random.default_rng(0).normal(3.0, 2.0, (100, 8)).astype(np.float32)


@pytest.mark.parametrize("architecture", ["simple_cnn", "residual_cnn"])
def test_uint8_pixels_and_raw_features_go_in_and_shares_come_out(architecture: str):
    model = build(Network(architecture, (4, 8), (1, 2)), 24, 5, FEATURES, "a.b")
    assert {tensor.name: (tensor.shape, tensor.dtype) for tensor in model.inputs} == {
        "pixels": ((None, 24, 24, 1), "uint8"),
        "features": ((None, 8), "float32"),
    }
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (3, 24, 24, 1), dtype=np.uint8)
    scores = model.predict({"pixels": pixels, "features": FEATURES[:3]}, verbose=0)
    assert scores.shape == (3, 5)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


def test_both_inputs_reach_the_scores():
    model = build(Network("residual_cnn", (4, 8), (1, 1)), 24, 5, FEATURES, "a")
    pixels = np.random.default_rng(1).integers(0, 256, (1, 24, 24, 1), dtype=np.uint8)

    def scores(image: np.ndarray, features: np.ndarray) -> list[float]:
        return model.predict({"pixels": image, "features": features}, verbose=0)[0].tolist()

    plain = scores(pixels, FEATURES[:1])
    assert scores(255 - pixels, FEATURES[:1]) != plain
    assert scores(pixels, FEATURES[1:2]) != plain


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_each_grey_level_is_the_same_ink_in_every_precision_and_white_is_none(precision: str):
    keras.config.set_dtype_policy(precision)
    try:
        model = build(Network("simple_cnn", (4,), (1,)), 16, 2, FEATURES, "a")
    finally:
        keras.config.set_dtype_policy("float32")
    levels = np.arange(256, dtype=np.uint8)
    ink = keras.ops.convert_to_numpy(model.get_layer("ink")(levels.reshape(1, 16, 16, 1))).astype(np.float64)
    np.testing.assert_array_equal(ink.ravel(), (255 - levels) / 256)


def test_widths_and_blocks_set_the_networks_size():
    def weights(**settings: tuple[int, ...]) -> int:
        return build(Network("residual_cnn", **settings), 32, 5, FEATURES, "a").count_params()

    assert (
        weights(widths=(4, 8), blocks=(1, 1))
        < weights(widths=(4, 8), blocks=(1, 2))
        < weights(widths=(8, 16), blocks=(1, 2))
    )


def test_without_units_for_the_features_only_the_pixels_count():
    model = build(Network("simple_cnn", (4,), (1,), feature_units=0), 16, 3, FEATURES, "a")
    pixels = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 1), dtype=np.uint8)
    first = model.predict({"pixels": pixels, "features": FEATURES[:2]}, verbose=0)
    second = model.predict({"pixels": pixels, "features": FEATURES[2:4]}, verbose=0)
    np.testing.assert_array_equal(first, second)


def test_the_heads_layers_are_named_and_the_rest_is_the_backbone():
    model = build(Network("residual_cnn", (4, 8), (1, 1)), 24, 5, FEATURES, "a")
    names = {layer.name for layer in model.layers}
    assert set(HEAD) <= names
    assert all(name.startswith(("stem", "stage", "ink", "pixels", "features")) for name in names - set(HEAD))


def test_an_architecture_that_is_not_known_is_refused_with_the_nearest_name():
    with pytest.raises(BadConfig, match=r"architecture 'residual_net' is not known; did you mean 'residual_cnn'\?"):
        body("residual_net")


def test_a_network_that_cannot_be_built_is_refused_before_anything_is_trained():
    check(Network("residual_cnn"), 32)
    check(Network("efficientnet_lite0"), 32)
    with pytest.raises(BadConfig, match=r"'efficientnet_lite9' is not known; did you mean 'efficientnet_lite"):
        check(Network("efficientnet_lite9"), 32)
    with pytest.raises(
        BadConfig, match="weights: there are none for residual_cnn; take the line out, or use start_from"
    ):
        check(Network("residual_cnn", weights="imagenet"), 32)
    with pytest.raises(BadConfig, match=r"no/such\.npz: weights names no file"):
        check(Network("efficientnet_lite0", weights="no/such.npz"), 32)
