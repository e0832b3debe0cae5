from types import SimpleNamespace

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from bundle.ensemble import MemberModel
from bundle.graph import CONVOLUTIONS, convolutions, operators
from bundle.preprocess import FEATURES
from quantize.convert import Converter, load_member
from quantize.correct import correct_biases
from quantize.images import find_images, load_images
from quantize.record import read_record

pytestmark = [
    pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning"),
]


SIDE = 40  # pixels, of the member in these tests


@pytest.fixture(scope="module")
def images(tiny_run) -> SimpleNamespace:
    """The images as the member sees them: `pixels` and `features`."""
    record, _ = read_record(tiny_run.folder)
    inputs = load_images(find_images(tiny_run.data, record.labels), record.split.train, record.input, [SIDE]).inputs
    return SimpleNamespace(pixels=inputs.pixels[SIDE], features=inputs.features)


@pytest.fixture(scope="module")
def original(tiny_run) -> keras.Model:
    return load_member(tiny_run.folder / "members/02-simple.keras", SIDE, len(FEATURES), 3)


@pytest.fixture(scope="module")
def models(original, images) -> tuple[bytes, bytes]:
    """The int8 member as converted, and the same graph in float32."""
    converter = Converter(original, images.pixels, images.features, "member")
    return converter.convert("int8"), converter.convert("float32")


def scores(model: bytes, images: SimpleNamespace) -> np.ndarray:
    return MemberModel(model, "member").scores(images.pixels, images.features)


def with_shifted_biases(model: bytes, steps: int) -> bytes:
    """Every bias of every convolution moved by so many of its steps."""
    shifted = bytearray(model)
    root = schema.Model.GetRootAs(shifted, 0)
    for operator in operators(model):
        if operator.name in CONVOLUTIONS:
            root.Buffers(operator.inputs[2].buffer).DataAsNumpy().view("<i4")[:] += steps
    return bytes(shifted)


def test_shifted_biases_are_brought_back(models, images):
    int8, float32 = models
    expected = scores(float32, images)
    shifted = with_shifted_biases(int8, 3000)
    corrected = correct_biases(shifted, float32, images.pixels, images.features)
    harm, rest = (np.abs(scores(model, images) - expected).mean() for model in (shifted, corrected))
    assert harm > 0.001
    assert rest < harm / 5


def test_only_biases_change(models, images):
    int8, float32 = models
    corrected = correct_biases(with_shifted_biases(int8, 3000), float32, images.pixels, images.features)
    biases = sum(operator.outputs[0].shape[-1] * 4 for operator in operators(int8) if operator.name in CONVOLUTIONS)
    changed = np.frombuffer(corrected, np.uint8) != np.frombuffer(int8, np.uint8)
    assert len(corrected) == len(int8)
    assert changed.sum() <= biases
    assert operators(corrected) == operators(int8)


def test_correcting_twice_gives_the_same_bytes_from_the_same_bytes(models, images):
    int8, float32 = models
    shifted = with_shifted_biases(int8, 3000)
    once, again = (correct_biases(shifted, float32, images.pixels, images.features) for _ in range(2))
    assert once == again
    assert shifted == with_shifted_biases(int8, 3000), "the model that was given is not touched"


def test_one_image_is_enough_to_run(models, images):
    int8, float32 = models
    assert len(correct_biases(int8, float32, images.pixels[:1], images.features[:1])) == len(int8)


def test_a_convolution_in_float_is_left_alone(original, images):
    converter = Converter(original, images.pixels, images.features, "member")
    first, *_ = convolutions(operators(converter.calibrated))
    mixed = converter.uncorrected({first.outputs[0].name})
    corrected = correct_biases(mixed, converter.calibrated, images.pixels, images.features)
    assert operators(corrected) == operators(mixed)
