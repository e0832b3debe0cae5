import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

from bundle.ensemble import MemberModel
from bundle.errors import BadData
from bundle.graph import (
    CONVOLUTIONS,
    Operator,
    convolutions,
    is_integer_convolution,
    is_per_channel,
    layer_of,
    operators,
)
from bundle.preprocess import FEATURES
from quantize.convert import Converter, load_member
from quantize.images import find_images, load_images
from quantize.mixed import rank_layers
from quantize.record import read_record

# TensorFlow warns of its own doings; in the product they go to the worker's log.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning"),
]

MEMBERS = {"01-residual": 32, "02-simple": 40}  # pixels on a side
SIDE, F, C = 32, len(FEATURES), 3


@pytest.fixture(scope="module", params=MEMBERS)
def stem(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def validation(tiny_run, stem) -> SimpleNamespace:
    """The images as the member sees them: `classes`, `pixels` and `features`."""
    record, _ = read_record(tiny_run.folder)
    found = find_images(tiny_run.data, record.labels)
    loaded = load_images(found, record.split.validation, record.input, [MEMBERS[stem]])
    pixels = loaded.inputs.pixels[MEMBERS[stem]]
    return SimpleNamespace(classes=loaded.classes, pixels=pixels, features=loaded.inputs.features)


@pytest.fixture(scope="module")
def original(tiny_run, stem) -> keras.Model:
    return load_member(tiny_run.folder / "members" / f"{stem}.keras", MEMBERS[stem], F, C)


@pytest.fixture(scope="module")
def converter(original, validation) -> Converter:
    return Converter(original, validation.pixels, validation.features, "member")


@pytest.fixture(scope="module")
def int8(converter) -> bytes:
    return converter.convert("int8")


@pytest.fixture(scope="module")
def keras_scores(original, validation) -> np.ndarray:
    return original.predict({"pixels": validation.pixels[..., np.newaxis], "features": validation.features}, verbose=0)


def dtypes(graph: list[Operator], name: str) -> list[tuple[set[str], set[str]]]:
    return [
        ({tensor.dtype for tensor in operator.inputs if tensor.dtype != "int32"}, {t.dtype for t in operator.outputs})
        for operator in graph
        if operator.name == name
    ]


def test_every_convolution_computes_in_int8_with_a_scale_for_each_channel(int8):
    found = convolutions(operators(int8))
    assert len(found) >= 3
    assert all(is_integer_convolution(operator) for operator in found)
    assert all(is_per_channel(operator) for operator in found)
    assert all(len(set(operator.inputs[1].scales)) > 1 for operator in found)


def test_dense_layers_and_softmax_compute_in_float(int8):
    graph = operators(int8)
    assert dtypes(graph, "FULLY_CONNECTED") == [({"float32"}, {"float32"})] * 2  # the features and the head
    assert dtypes(graph, "SOFTMAX") == [({"float32"}, {"float32"})]
    assert graph[-1].outputs[0].dtype == "float32"


def test_what_comes_before_the_first_convolution_computes_in_float(int8):
    graph = operators(int8)
    first = next(index for index, operator in enumerate(graph) if operator.name in CONVOLUTIONS)
    scaling = [operator for operator in graph[:first] if operator.name not in ("CAST", "QUANTIZE")]
    assert {tensor.dtype for operator in scaling for tensor in operator.outputs} <= {"float32"}
    assert dtypes(graph, "CAST") == [({"uint8"}, {"float32"})]


def test_batch_normalisation_is_folded_into_the_convolutions(int8):
    images = [operator.name for operator in operators(int8) if len(operator.outputs[0].shape) == 4]
    assert "SUB" not in images
    assert "RSQRT" not in images
    inverted = images.count("MUL") == images.count("ADD") == 1  # `simple` scales its pixels: MUL and ADD, once
    residual = images.count("MUL") == 0 and images.count("ADD") == 1  # the ADD of the block
    assert inverted or residual


def test_of_the_integer_schemes_the_weights_are_int8(converter, int8):
    as_trained = converter.convert("float32")
    assert len(int8) < len(as_trained)
    assert {tensor.dtype for operator in operators(as_trained) for tensor in operator.outputs} == {"float32"}
    for scheme, activations in (("int16x8", "int16"), ("dynamic", "float32")):
        of_convolutions = [
            (operator.inputs[0].dtype, operator.inputs[1].dtype)
            for operator in convolutions(operators(converter.convert(scheme)))
            if operator.inputs[1].dtype != "float32"  # dynamic leaves small kernels alone
        ]
        assert set(of_convolutions) <= {(activations, "int8")}
        assert scheme == "dynamic" or len(of_convolutions) >= 3


def test_float16_halves_the_weights_and_keeps_the_verdicts(converter, validation, keras_scores):
    model = converter.convert("float16")
    assert any(tensor.dtype == "float16" for operator in operators(model) for tensor in operator.inputs)
    scores = MemberModel(model, "member").scores(validation.pixels, validation.features)
    np.testing.assert_allclose(scores, keras_scores, atol=0.02)


def test_int16x8_gives_nearly_the_scores_of_keras(converter, validation, keras_scores):
    scores = MemberModel(converter.convert("int16x8"), "member").scores(validation.pixels, validation.features)
    assert np.abs(scores - keras_scores).mean() < 0.02
    assert (scores.argmax(axis=1) == keras_scores.argmax(axis=1)).mean() >= 35 / 36


def test_a_convolution_can_be_left_in_float_and_the_others_stay_integer(converter):
    names = [operator.outputs[0].name for operator in convolutions(operators(converter.calibrated))]
    model = converter.int8({names[1]})
    integer = {
        operator.outputs[0].name: is_integer_convolution(operator) for operator in convolutions(operators(model))
    }
    assert integer == {name: name != names[1] for name in names}


def test_the_layers_are_ranked_by_what_each_alone_does_to_the_scores(converter, validation):
    names = [operator.outputs[0].name for operator in convolutions(operators(converter.calibrated))]
    ranked = rank_layers(converter.calibrated, converter.uncorrected, validation.pixels, validation.features)
    assert sorted(ranked) == sorted(names)


def test_a_convolution_is_named_for_its_keras_layer(original, converter):
    named = {layer_of(operator.outputs[0].name) for operator in convolutions(operators(converter.calibrated))}
    assert named == {layer.name for layer in original.layers if "Conv" in type(layer).__name__}


def test_scores_do_not_depend_on_the_batch(int8, validation):
    model = MemberModel(int8, "member")
    pixels, features = validation.pixels[:16], validation.features[:16]
    at_once = model.scores(pixels, features)
    alone = np.concatenate([model.scores(pixels[i : i + 1], features[i : i + 1]) for i in range(16)])
    np.testing.assert_array_equal(at_once, alone)


def test_int8_names_the_class_that_keras_names(int8, validation, keras_scores):
    expected = keras_scores
    scores = MemberModel(int8, "member").scores(validation.pixels, validation.features)
    assert (expected.argmax(axis=1) == validation.classes).mean() > 0.8, "the member of the test has not learned"
    assert (scores.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 35 / 36
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_float32_with_its_norms_folded_gives_the_scores_of_keras(converter, validation, keras_scores):
    scores = MemberModel(converter.convert("float32"), "member").scores(validation.pixels, validation.features)
    np.testing.assert_allclose(scores, keras_scores, atol=1e-5)


def test_an_operation_that_tflite_lacks_is_refused_with_its_layer(validation):
    class Odd(layers.Layer):
        def call(self, x):
            return keras.ops.erf(x)

    image = keras.Input((SIDE, SIDE, 1), dtype="uint8", name="pixels")
    features = keras.Input((F,), dtype="float32", name="features")
    x = Odd(name="odd")(layers.Conv2D(4, 3, name="stem")(layers.Rescaling(1 / 255)(image)))
    joined = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), features])
    model = keras.Model([image, features], layers.Dense(C, activation="softmax")(joined))
    for scheme in ("float32", "int8"):
        with pytest.raises(BadData) as refused:
            Converter(model, validation.pixels, validation.features, "01-a.keras").convert(scheme)
        assert str(refused.value) == (
            "01-a.keras: TFLite has no operator for Erf (in odd); build the network without it, train the member anew"
        )


def saved(folder: Path, build: Callable[[], keras.Model]) -> Path:
    file = folder / "member.keras"
    build().save(file)
    return file


def with_inputs(pixels: tuple[int, int, int], dtype: str = "uint8", classes: int = C) -> keras.Model:
    image = keras.Input(pixels, dtype=dtype, name="pixels")
    features = keras.Input((F,), dtype="float32", name="features")
    ink = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(image))
    joined = layers.Concatenate()([ink, features])
    return keras.Model([image, features], layers.Dense(classes, activation="softmax", name="scores")(joined))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: with_inputs((16, 16, 1)), "pixels uint8 (None, 16, 16, 1); expected"),
        (lambda: with_inputs((32, 32, 3)), "pixels uint8 (None, 32, 32, 3); expected"),
        (lambda: with_inputs((32, 32, 1), "float32"), "pixels float32 (None, 32, 32, 1); expected"),
        (lambda: with_inputs((32, 32, 1), classes=4), "the output is (None, 4), but training.json has 3 labels"),
    ],
)
def test_a_model_of_another_shape_is_refused(tmp_path, build, message):
    file = saved(tmp_path, build)
    with pytest.raises(BadData) as refused:
        load_member(file, SIDE, F, C)
    assert str(refused.value).startswith(f"{file}: ")
    assert message in str(refused.value)


def test_a_model_that_computes_in_half_precision_is_refused(tmp_path):
    file = saved(tmp_path, lambda: with_inputs((32, 32, 1)))
    config = keras.saving.load_model(file).get_config()
    text = json.dumps(config).replace('"name": "float32"', '"name": "mixed_bfloat16"')
    saved(tmp_path, lambda: keras.Model.from_config(json.loads(text)))
    with pytest.raises(BadData, match="computes in bfloat16; save the member with the dtype policy float32"):
        load_member(file, SIDE, F, C)


def test_a_model_with_code_inside_is_refused(tmp_path):
    def build() -> keras.Model:
        plain = with_inputs((32, 32, 1))
        scores = layers.Lambda(lambda x: x * 1.0)(plain.output)
        return keras.Model(plain.inputs, scores)

    with pytest.raises(BadData, match=r"member\.keras: Keras cannot load this model \(.*train the member anew"):
        load_member(saved(tmp_path, build), SIDE, F, C)


@pytest.mark.parametrize("data", [b"", b"not a zip file", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_keras_model_is_refused(tmp_path, data):
    file = tmp_path / "member.keras"
    file.write_bytes(data)
    with pytest.raises(BadData, match=r"member\.keras: Keras cannot load this model \(.+\); train the member anew"):
        load_member(file, SIDE, F, C)
