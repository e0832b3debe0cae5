"""A member read back from the file that ships computes what the file does, and can go on learning."""

from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from bundle.ensemble import MemberModel
from bundle.errors import BadConfig
from bundle.graph import operators
from bundle.manifest import Scheme
from bundle.preprocess import FEATURES
from quantize.convert import Converter
from trainer.config import Network
from trainer.network.architectures import build
from trainer.readback import read_back
from trainer.start import start_from

pytestmark = [
    pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning"),
]

SHIPPED = Path(__file__).parents[2] / "bundles"
TRAINED_ON = np.random.default_rng(0).normal(3.0, 2.0, (50, len(FEATURES))).astype(np.float32)


def network(classes: int = 3, side: int = 24, seed: int = 1, architecture: str = "residual_cnn") -> keras.Model:
    keras.utils.set_random_seed(seed)
    return build(Network(architecture, (6, 10), (1, 1), dropout=0.0), side, classes, TRAINED_ON, "net", seed)


def batch(side: int = 24, images: int = 48) -> dict[str, np.ndarray]:
    """Dark discs on white, and features."""
    random = np.random.default_rng(5)
    rows, columns = np.mgrid[:side, :side]
    pixels = np.full((images, side, side, 1), 255, np.uint8)
    for image in pixels:
        row, column, radius, ink = random.uniform((6, 6, 2, 60), (side - 6, side - 6, 9, 250))
        image[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = ink
    return {"pixels": pixels, "features": random.normal(3.0, 2.0, (images, len(FEATURES))).astype(np.float32)}


def worn(model: keras.Model) -> keras.Model:
    """As after training: norms of every sign, with statistics of their own, and a channel that has died."""
    random = np.random.default_rng(6)
    layers = next((layer for layer in model.layers if isinstance(layer, keras.Model)), model).layers
    for layer in layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            channels = len(layer.get_weights()[0])
            gamma = random.uniform(0.5, 1.5, channels) * random.choice((-1, 1), channels)
            layer.set_weights([gamma, *random.normal(0, 0.2, (2, channels)), random.uniform(0.2, 2, channels)])
    kernel = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([3 * kernel[0], random.normal(size=kernel[1].shape)])
    return model


def as_tflite(model: keras.Model, path: Path) -> Path:
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return path


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> tuple[keras.Model, Path]:
    """A network as it was trained, and the file made of it."""
    model = worn(network())
    kernel = (stem := model.get_layer("stem_conv")).get_weights()[0]
    kernel[..., 2] = 0
    stem.set_weights([kernel])
    return model, as_tflite(model, tmp_path_factory.mktemp("shipped") / "net.tflite")


def taken(path: Path, like: keras.Model, *inputs: dict[str, np.ndarray]) -> keras.Model:
    for name, weights in read_back(path, like, inputs).items():
        like.get_layer(name).set_weights(weights)
    return like


def test_the_scores_are_those_of_the_member_as_it_was_trained(shipped):
    model, file = shipped
    again = taken(file, network(seed=2), batch())
    np.testing.assert_allclose(again.predict(batch(), verbose=0), model.predict(batch(), verbose=0), atol=1e-4)


@pytest.mark.parametrize("scheme", get_args(Scheme))
def test_a_member_of_each_scheme_is_read_back(shipped, tmp_path: Path, scheme: Scheme):
    model, inputs = shipped[0], batch()
    file = tmp_path / "net.tflite"
    file.write_bytes(Converter(model, inputs["pixels"][..., 0], inputs["features"], "net").convert(scheme))
    again = taken(file, network(seed=2), inputs)
    np.testing.assert_allclose(again.predict(inputs, verbose=0), model.predict(inputs, verbose=0), atol=0.05)


def test_in_training_where_a_norm_has_its_batch_alone_the_scores_stay(shipped):
    model, file = shipped
    fresh, again = network(seed=2), taken(file, network(seed=2), batch())
    wanted = model.predict(batch(), verbose=0)
    learning, at_random = (np.asarray(net(batch(), training=True)) for net in (again, fresh))
    assert np.abs(learning - wanted).max() < 0.01
    assert np.abs(at_random - wanted).max() > 0.1


def test_a_kernel_has_the_length_of_a_fresh_one_so_that_it_learns_as_fast(shipped):
    fresh, again = network(seed=2), taken(shipped[1], network(seed=2), batch())
    for name in ("stem_conv", "stage0_block0_a_conv", "stage1_block0_skip_conv"):
        lengths, usual = (
            np.linalg.norm(net.get_layer(name).get_weights()[0].reshape(-1, net.get_layer(name).filters), axis=0)
            for net in (again, fresh)
        )
        alive = lengths > 0
        assert alive.sum() >= len(alive) - 1
        np.testing.assert_allclose(lengths[alive], usual.mean(), rtol=1e-4)


def test_all_but_the_layer_of_other_classes_is_taken_at_another_side(shipped):
    target = network(classes=4, side=32, seed=2)
    own_head = target.get_layer("logits").get_weights()[0].copy()
    count, layers = start_from(target, shipped[1], lambda: network(classes=4, side=32, seed=2), [batch(32)])
    assert count == layers - 1
    np.testing.assert_array_equal(target.get_layer("logits").get_weights()[0], own_head)


def test_a_network_of_other_widths_or_blocks_is_refused(tmp_path: Path):
    other = as_tflite(network(architecture="simple_cnn"), tmp_path / "other.tflite")
    target = network()
    for layer in ("logits", "feature_dense"):  # those alone would fit
        target.get_layer(layer).name = f"own_{layer}"
    with pytest.raises(BadConfig, match=r"other\.tflite: start_from has no layer in common with this member"):
        start_from(target, other, network, [batch()])


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x00" * 64, b"\xff" * 64, b"PK\x03\x04 torn"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "x.tflite").write_bytes(content)
    with pytest.raises(BadConfig, match=r"x\.tflite: start_from is not a TFLite model"):
        start_from(network(), tmp_path / "x.tflite", network, [batch()])


@pytest.mark.parametrize(
    ("bundle", "settings"),
    [("flowcam-6", Network("residual_cnn")), ("planktonset-121-fast", Network("efficientnet_lite0"))],
)
def test_a_shipped_int8_member_answers_in_keras_as_in_tflite(bundle: str, settings: Network):
    member = min((SHIPPED / bundle / "members").iterdir())
    model = MemberModel(member.read_bytes(), member.name)
    inputs = batch(model.side, 24)
    mean, deviation = feature_scale(member)
    there = {**inputs, "features": (inputs["features"] - TRAINED_ON.mean(0)) / TRAINED_ON.std(0) * deviation + mean}
    wanted = model.scores(there["pixels"][..., 0], there["features"].astype(np.float32))
    like = build(settings, model.side, model.class_count, TRAINED_ON, "net")
    again = taken(member, like, inputs).predict(inputs, verbose=0)
    assert np.ptp(wanted.argmax(axis=1)) > 0  # not the same of every image
    # Discs are no plankton, so several classes may come near each other: the one that Keras names is among these.
    behind = wanted.max(axis=1) - wanted[np.arange(len(wanted)), again.argmax(axis=1)]
    assert behind.max() < 0.05
    assert np.abs(again - wanted).mean() < 0.2 / model.class_count


def feature_scale(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, (F,), by which the member in `file` scales the features."""
    graph = operators(file.read_bytes())
    (less,) = [operator for operator in graph if operator.name == "SUB"]
    (times,) = [operator for operator in graph if operator.name == "MUL" and operator.inputs[0] == less.outputs[0]]
    interpreter = Interpreter(str(file))
    interpreter.allocate_tensors()
    where = {detail["name"]: detail["index"] for detail in interpreter.get_tensor_details()}
    mean, inverse = (interpreter.get_tensor(where[operator.inputs[1].name])[0] for operator in (less, times))
    return mean, 1 / inverse
