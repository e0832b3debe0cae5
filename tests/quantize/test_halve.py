import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from keras import layers

from bundle.ensemble import MemberModel
from bundle.graph import convolutions, is_integer_convolution, multiply_adds, operators
from bundle.preprocess import FEATURES
from quantize.convert import Converter
from quantize.halve import ALIGNMENT, halve_dense

pytestmark = [
    pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning"),
]

SIDE, WIDTH, CLASSES = 16, 96, 40
HEAD = (WIDTH + len(FEATURES)) * CLASSES  # weights


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A convolution, a small dense layer of the features, and a head that is worth halving."""
    keras.utils.set_random_seed(3)
    pixels = keras.Input((SIDE, SIDE, 1), dtype="uint8", name="pixels")
    features = keras.Input((len(FEATURES),), dtype="float32", name="features")
    ink = layers.Rescaling(-1 / 256, offset=255 / 256)(pixels)
    maps = layers.Conv2D(WIDTH, 3, strides=2, activation="relu")(ink)
    small = layers.Dense(len(FEATURES))(features)
    joined = layers.Concatenate()([layers.GlobalAveragePooling2D()(maps), small])
    return keras.Model([pixels, features], layers.Dense(CLASSES, activation="softmax", name="logits")(joined))


@pytest.fixture(scope="module")
def inputs() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    pixels = random.integers(0, 256, (24, SIDE, SIDE), dtype=np.uint8)
    return pixels, random.normal(size=(24, len(FEATURES))).astype(np.float32)


@pytest.fixture(scope="module")
def float32(network) -> bytes:
    return bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())


def test_the_head_takes_half_the_room_and_the_scores_stay(float32, inputs):
    halved = halve_dense(float32)
    assert len(float32) - 2 * HEAD <= len(halved) < len(float32) - 2 * HEAD + 1024
    before, after = (MemberModel(model, "net").scores(*inputs) for model in (float32, halved))
    assert 0 < np.abs(after - before).max() < 0.001


def test_only_the_weights_of_the_large_layer_are_halved(float32):
    halved = operators(halve_dense(float32))
    expanded = [operator for operator in halved if operator.name == "DEQUANTIZE"]
    assert [(each.inputs[0].dtype, each.inputs[0].shape) for each in expanded] == [
        ("float16", (CLASSES, WIDTH + len(FEATURES)))
    ]
    reads = [operator.inputs[1].name for operator in halved if operator.name == "FULLY_CONNECTED"]
    assert len(reads) == 2
    assert expanded[0].outputs[0].name in reads
    assert multiply_adds(halved) == multiply_adds(operators(float32))


def test_a_model_halved_is_left_as_it_is(float32):
    once = halve_dense(float32)
    assert halve_dense(once) is once


def test_each_buffer_stands_where_a_runtime_may_map_it(float32):
    model = np.frombuffer(halve_dense(float32), np.uint8)
    root = schema.Model.GetRootAs(model, 0)
    buffers = [
        root.Buffers(index).DataAsNumpy() for index in range(root.BuffersLength()) if root.Buffers(index).DataLength()
    ]
    places = [buffer.ctypes.data - model.ctypes.data for buffer in buffers]
    assert len(places) > 4
    assert not any(place % ALIGNMENT for place in places)


def test_int8_members_come_with_a_halved_head(network, inputs):
    converter = Converter(network, *inputs, "net")
    int8 = converter.convert("int8")
    graph = operators(int8)
    assert all(is_integer_convolution(operator) for operator in convolutions(graph))
    assert [operator.inputs[0].shape for operator in graph if operator.inputs[0].dtype == "float16"] == [
        (CLASSES, WIDTH + len(FEATURES))
    ]
    wanted = network.predict({"pixels": inputs[0][..., np.newaxis], "features": inputs[1]}, verbose=0)
    assert np.abs(MemberModel(int8, "net").scores(*inputs) - wanted).max() < 0.02
