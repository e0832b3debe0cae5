"""What a member takes over from another, and what it must not."""

from pathlib import Path

import numpy as np
import pytest

from bundle.errors import BadConfig
from trainer.config import Network
from trainer.network.architectures import build
from trainer.start import start_from

FEATURES = np.random.default_rng(0).normal(3.0, 2.0, (50, 8)).astype(np.float32)


def network(classes: int = 3, side: int = 24, seed: int = 1, architecture: str = "residual_cnn"):
    return build(Network(architecture, (4, 8), (1, 1)), side, classes, FEATURES, "a", seed)


def test_all_but_the_layer_of_the_classes_is_taken_at_any_side(tmp_path: Path):
    source, target = network(classes=5, side=32), network(classes=3, side=24)
    source.save(tmp_path / "source.keras")
    own_head = target.get_layer("logits").get_weights()[0].copy()
    taken, layers = start_from(target, tmp_path / "source.keras", network, [])
    assert taken == layers - 1
    for layer in target.layers:
        if layer.name == "logits":
            np.testing.assert_array_equal(layer.get_weights()[0], own_head)
        else:
            for mine, theirs in zip(layer.get_weights(), source.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(mine, theirs)


def test_a_network_with_nothing_in_common_is_refused(tmp_path: Path):
    import keras

    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="other")]).save(tmp_path / "other.keras")
    with pytest.raises(BadConfig, match="no layer in common with this member"):
        start_from(network(), tmp_path / "other.keras", network, [])


def test_a_file_that_is_no_model_is_refused(tmp_path: Path):
    (tmp_path / "x.keras").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(BadConfig, match=r"x\.keras: start_from is not a Keras model"):
        start_from(network(), tmp_path / "x.keras", network, [])
