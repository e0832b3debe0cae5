from pathlib import Path

import pytest

from bundle.graph import CONVOLUTIONS, Operator, Tensor, is_integer_convolution, layer_of, operators

TINY = Path(__file__).parents[1] / "data" / "tiny-3" / "members" / "01-tiny.tflite"


def tensor(dtype: str) -> Tensor:
    return Tensor("t", dtype, (1, 8, 8, 4), buffer=0, scales=())


def convolution(image: str, weights: str, bias: str, result: str) -> Operator:
    return Operator("CONV_2D", (tensor(image), tensor(weights), tensor(bias)), (tensor(result),))


def test_the_operators_of_a_file_stand_in_the_order_of_execution():
    names = [operator.name for operator in operators(TINY.read_bytes())]
    assert names[0] == "CAST"
    assert names[-2:] == ["FULLY_CONNECTED", "SOFTMAX"]
    assert not CONVOLUTIONS & set(names)


def test_a_tensor_has_the_type_and_the_shape_that_the_file_gives_it():
    graph = operators(TINY.read_bytes())
    (pixels,), (scores,) = graph[0].inputs, graph[-1].outputs
    assert (pixels.dtype, pixels.shape, pixels.scales) == ("uint8", (1, 16, 16, 1), ())
    assert (scores.dtype, scores.shape) == ("float32", (1, 3))


def test_the_result_of_one_operator_is_the_input_of_another():
    graph = operators(TINY.read_bytes())
    made = {tensor for operator in graph for tensor in operator.outputs}
    assert all(any(tensor in made for tensor in operator.inputs) for operator in graph[-2:])


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (convolution("int8", "int8", "int32", "int8"), True),
        (convolution("float32", "float32", "float32", "float32"), False),
        (convolution("float32", "int8", "float32", "float32"), False),  # weights alone: dynamic range
        (convolution("int8", "int8", "int32", "float32"), False),
    ],
)
def test_a_convolution_is_integer_if_image_weights_and_result_are(operator, expected):
    assert is_integer_convolution(operator) is expected


@pytest.mark.parametrize(
    ("tensor", "layer"),
    [
        ("net_1/stem_act_1/Relu;net_1/stem_norm_1/batchnorm/add_1;net_1/stem_conv_1/convolution;net_1/x", "stem_conv"),
        ("net_1/b_1/separable_conv2d/depthwise;net_1/b_1/separable_conv2d", "b"),
        ("net_1/block_depthwise_1/depthwise", "block_depthwise"),
        ("something else", "something else"),
    ],
)
def test_a_convolution_bears_the_name_of_its_layer(tensor, layer):
    assert layer_of(tensor) == layer
