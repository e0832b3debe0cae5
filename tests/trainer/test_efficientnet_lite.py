"""EfficientNet-Lite is the published network, and takes its ImageNet weights for grey images."""

from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from bundle.errors import BadConfig, BadData
from trainer.network.efficientnet_lite import blocks, efficientnet_lite
from trainer.network.lite_weights import convert_weights, lite_backbone, read_weights

from .pthfile import write_pth

LITE = "efficientnet_lite0"
SIDE = 64

THEIRS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def colour_network() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    return keras.Model(image, efficientnet_lite(image, LITE))


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    """A colour network whose every weight is random, as if ImageNet had made it."""
    random = np.random.default_rng(5)
    model = colour_network()
    for variable in model.weights:
        values = random.normal(0, 1, variable.shape)
        if variable.name == "kernel":
            depthwise = "depthwise" in variable.path
            values /= np.sqrt(np.prod(variable.shape[: 2 if depthwise else 3]))  # as large out as in
        variable.assign({"gamma": 1 + 0.1 * values, "moving_variance": np.exp(0.3 * values)}.get(variable.name, values))
    return model


@pytest.fixture(scope="module")
def arrays(trained: keras.Model) -> dict[str, np.ndarray]:
    """The same weights under PyTorch's names and in its order of axes, written out by hand where it is not a block."""
    layers = {"stem_conv": "_conv_stem", "stem_norm": "_bn0", "top_conv": "_conv_head", "top_norm": "_bn1"}
    for number, block in enumerate(blocks(LITE)):
        for part, norm in (("expand", 0), ("depthwise", 1), ("project", 2)):
            layers[f"{block.name}_{part}_conv"] = f"_blocks.{number}._{part}_conv"
            layers[f"{block.name}_{part}_norm"] = f"_blocks.{number}._bn{norm}"
    found = {}
    for variable in trained.weights:
        layer, name = variable.path.split("/")
        values = keras.ops.convert_to_numpy(variable)
        if name == "kernel":
            out_in = (2, 3, 0, 1) if "depthwise" in layer else (3, 2, 0, 1)
            found[f"{layers[layer]}.weight"] = np.ascontiguousarray(values.transpose(out_in))
        else:
            found[f"{layers[layer]}.{THEIRS[name]}"] = values
    found["_bn0.num_batches_tracked"] = np.array(9, np.int64)
    found["_fc.weight"] = np.zeros((4, 1280), np.float32)
    return found


@pytest.fixture(scope="module")
def converted(arrays: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    out = folder / "new" / "lite0.npz"
    convert_weights(write_pth(folder / "lite0.pth", arrays), LITE, out)
    return out


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    # with ImageNet's 1000 classes, trainable: as the authors give them, 4.7 to 13 millions
    [("efficientnet_lite0", 4_652_008), ("efficientnet_lite2", 6_092_072), ("efficientnet_lite4", 13_006_568)],
)
def test_the_variants_have_the_published_numbers_of_parameters(architecture: str, parameters: int):
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, efficientnet_lite(image, architecture))
    trainable = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert trainable + 1280 * 1000 + 1000 == parameters


def test_the_blocks_of_lite0_are_those_of_the_paper_and_a_stage_begins_with_its_stride():
    found = [(block.kernel, block.stride, block.inputs, block.outputs) for block in blocks(LITE)]
    assert found[:4] == [(3, 1, 32, 16), (3, 2, 16, 24), (3, 1, 24, 24), (5, 2, 24, 40)]
    assert found[-2:] == [(5, 1, 192, 192), (3, 1, 192, 320)]
    assert len(found) == 16
    assert lite_backbone(LITE, SIDE, None).output.shape == (None, 2, 2, 1280)


def test_converted_weights_give_what_the_colour_network_gives_away_from_the_edge(trained: keras.Model, converted: Path):
    grey = lite_backbone(LITE, SIDE, converted)
    random = np.random.default_rng(1)
    images = np.full((2, SIDE, SIDE), 255, np.uint8)
    for image in images:
        cv2.ellipse(image, (30, 34), (20, 9), float(random.uniform(0, 90)), 0, 360, 60, -1)
        image -= random.integers(0, 9, image.shape, dtype=np.uint8)
    colour = np.repeat(images[..., np.newaxis], 3, axis=-1).astype(np.float32)

    def after_the_stem(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
        part = keras.Model(model.input, model.get_layer("stem_norm").output)
        return keras.ops.convert_to_numpy(part(inputs))

    expected = after_the_stem(trained, (colour - 127) / 128)
    found = after_the_stem(grey, (255 - images[..., np.newaxis].astype(np.float32)) / 256)
    np.testing.assert_allclose(found[:, :-1, :-1], expected[:, :-1, :-1], atol=2e-5)  # the padding is below and right
    assert np.abs(found - expected).max() > 0.1, "there zero means white, no longer grey"
    for theirs, ours in zip(trained.layers[4:], grey.layers[4:], strict=True):  # behind image, conv, norm, act
        for one, other in zip(theirs.get_weights(), ours.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_file_of_other_weights_is_refused_and_nothing_is_written(tmp_path: Path, arrays: dict[str, np.ndarray]):
    def refused(changed: dict[str, np.ndarray], message: str) -> None:
        source, out = write_pth(tmp_path / "other.pth", changed), tmp_path / "out.npz"
        with pytest.raises(BadData, match=message):
            convert_weights(source, LITE, out)
        assert not out.exists()

    missing = {name: array for name, array in arrays.items() if name != "_blocks.3._bn1.bias"}
    refused(missing, r"other\.pth: has no '_blocks\.3\._bn1\.bias', so it is not efficientnet_lite0")
    wide = arrays | {"_conv_head.weight": np.zeros((1280, 352, 1, 1), np.float32)}
    refused(wide, r"other\.pth: '_conv_head\.weight' is float32 \(1, 1, 352, 1280\); efficientnet_lite0 needs")
    with pytest.raises(BadConfig, match="architecture 'resnet' has no weights to convert; known: efficientnet_lite0, "):
        convert_weights(tmp_path / "other.pth", "resnet", tmp_path / "out.npz")
    broken = arrays | {"_bn0.bias": np.full(32, np.nan, np.float32)}
    refused(broken, r"'_bn0\.bias' is float32 \(32,\); efficientnet_lite0 needs finite float32 \(32,\)")


def test_weights_that_cannot_be_used_are_refused_with_what_to_do(tmp_path: Path, converted: Path):
    with pytest.raises(
        BadConfig, match=r"none\.npz: weights names no file; make it with planktow-trainer convert-weights"
    ):
        read_weights(tmp_path / "none.npz", LITE)
    with pytest.raises(
        BadConfig, match=r"the weights of efficientnet_lite0, and the architecture is efficientnet_lite1"
    ):
        read_weights(converted, "efficientnet_lite1")
    torn = tmp_path / "torn.npz"
    for content in (converted.read_bytes()[:-100], b"", b"text"):
        torn.write_bytes(content)
        with pytest.raises(BadConfig, match=r"torn\.npz: not a file of converted weights \("):
            read_weights(torn, LITE)
