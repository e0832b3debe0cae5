import subprocess
import sys

import numpy as np
import pytest

from bundle.ensemble import RUNTIME, Ensemble, MemberModel
from bundle.errors import BadBundle
from bundle.manifest import Quantisation
from bundle.preprocess import Inputs, InputSpec, prepare
from tests.bundle import wrong
from tests.bundle.rendered import file_of, organism, pattern

MODEL = (wrong.TINY / wrong.MEMBER).read_bytes()


def inputs_of(count):
    """`count` different images, thin and round, small and large, at the sides of the tiny members."""
    files = [file_of(".png", (organism if n % 2 else pattern)(5 + 3 * n, 8 + 40 * n % 71)) for n in range(count)]
    return Inputs.of([prepare(data, InputSpec(), [16, 24]) for data in files])


def batch_of(count):
    """(pixels, features) of them as the first member sees them."""
    inputs = inputs_of(count)
    return inputs.pixels[16], inputs.features


def refusal(model):
    with pytest.raises(BadBundle) as caught:
        MemberModel(model, "m.tflite").rehearse()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_litert_is_taken_where_it_is_installed():
    assert RUNTIME == "ai-edge-litert"


def test_a_member_tells_what_it_takes_and_gives():
    member = MemberModel(MODEL, "m.tflite")
    assert (member.side, member.feature_count, member.class_count) == (16, 8, 3)
    assert member.pixels_quantisation == Quantisation("uint8", 0.0, 0)
    assert member.output_quantisation == Quantisation("float32", 0.0, 0)


def test_scores_are_the_softmax_of_what_the_weights_say():
    # The first tiny member: logits 400 (0.3 - aspect), -20 (ln long side - ln 30), 20 (ln long side - ln 30).
    pixels, features = batch_of(16)
    aspect, log_long = features[:, 3].astype(float), features[:, 2].astype(float)
    logits = np.stack([400 * (0.3 - aspect), -20 * (log_long - np.log(30)), 20 * (log_long - np.log(30))], axis=1)
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    found = MemberModel(MODEL, "m.tflite").scores(pixels, features)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=2e-3)
    assert np.array_equal(found.argmax(axis=1), logits.argmax(axis=1))
    assert set(found.argmax(axis=1)) == {0, 1, 2}


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_has_the_bits_of_its_images_one_by_one(threads):
    pixels, features = batch_of(16)
    one, many = MemberModel(MODEL, "m.tflite"), MemberModel(MODEL, "m.tflite", threads)
    alone = np.concatenate([one.scores(pixels[n : n + 1], features[n : n + 1]) for n in range(16)])
    assert many.scores(pixels, features).tobytes() == alone.tobytes()
    assert many.scores(pixels[:5], features[:5]).tobytes() == alone[:5].tobytes()  # a shorter last batch
    assert many.scores(pixels, features).tobytes() == alone.tobytes()  # and a full one after it


def test_earlier_scores_are_not_overwritten_by_later_ones():
    pixels, features = batch_of(2)
    member = MemberModel(MODEL, "m.tflite")
    first = member.scores(pixels[:1], features[:1])
    kept = first.copy()
    member.scores(pixels[1:], features[1:])
    assert np.array_equal(first, kept)


def test_an_ensemble_gives_members_by_images_by_classes():
    inputs = inputs_of(3)
    members = [MemberModel((wrong.TINY / f"members/0{n}-tiny.tflite").read_bytes(), str(n)) for n in (1, 2, 3)]
    assert [member.side for member in members] == [16, 16, 24]
    found = Ensemble(members).scores(inputs)
    assert found.shape == (3, 3, 3)
    for index, member in enumerate(members):
        assert np.array_equal(found[index], member.scores(inputs.pixels[member.side], inputs.features))


def test_inputs_are_told_apart_by_their_kind_and_not_by_their_order():
    pixels, features = batch_of(4)
    swapped = MemberModel(wrong.altered_model(wrong.inputs_swapped), "m.tflite")
    assert np.array_equal(swapped.scores(pixels, features), MemberModel(MODEL, "m.tflite").scores(pixels, features))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (wrong.two_outputs, "the outputs are float32[1, 3], float32[1, 3]; expected one of scores (B, C)"),
        (wrong.output_of_pictures, "the outputs are float32[1, 16, 16, 1]; expected one of scores (B, C)"),
        (wrong.float_pixels, "the inputs are float32[1, 16, 16, 1], float32[1, 8]; expected uint8 pixels (B, S, S, 1) "
         "and float32 features (B, F)"),
        (wrong.oblong_pixels, "the pixels are 16 x 15 x 1; expected a grey square"),
        (wrong.no_numbers, "the model's scores of a blank batch of two are not 2 x 3 numbers"),
    ],
)  # fmt: skip
def test_a_model_of_another_shape_is_refused(change, text):
    assert refusal(wrong.altered_model(change)) == f"m.tflite: {text}"


def test_a_model_that_runs_one_image_at_a_time_is_refused_before_it_is_at_sea():
    model = wrong.altered_model(wrong.one_image_only)
    pixels, features = batch_of(1)
    assert MemberModel(model, "m.tflite").scores(pixels, features).shape == (1, 3)
    assert refusal(model).startswith("m.tflite: the model loads but does not run on a batch of two (")


@pytest.mark.parametrize("length", [0, 8, 100, len(MODEL) // 2, len(MODEL) - 1])
def test_a_cut_model_is_refused(length):
    # LiteRT verifies what it loads; tflite-runtime does not, and is given only what a hash vouches for.
    assert refusal(MODEL[:length]).startswith("m.tflite: ai-edge-litert cannot load this model (")


def test_what_is_no_model_is_refused():
    assert refusal(b"not a model at all") == (
        "m.tflite: ai-edge-litert cannot load this model (The model is not a valid Flatbuffer buffer)"
    )


def test_loading_members_prints_nothing_and_leaves_stderr_working():
    program = (
        "import sys; from pathlib import Path; from bundle.folder import open_bundle\n"
        f"open_bundle(Path({str(wrong.TINY)!r})).load(); print('still heard', file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("", "still heard\n")


def test_members_load_in_a_service_without_stderr():
    program = (
        "import os; from pathlib import Path; from bundle.folder import open_bundle\n"
        f"os.close(2); open_bundle(Path({str(wrong.TINY)!r})).load(); print('loaded')"
    )
    ran = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert ran.stdout == "loaded\n"
