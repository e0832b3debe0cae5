"""Takes out the shift that rounding gives to each channel of an int8 model, by correcting the biases of its convolutions.

Most of a plankton image is empty water, where a channel has one and the same value at every pixel; rounding it is an error
that does not average out, the pooling keeps it and the next layers see it as signal. So the mean of each channel is
brought back to what it was in float (empirical bias correction: Nagel et al. 2019, "Data-Free Quantization Through Weight
Equalization and Bias Correction", section 4.2 and appendix D). Size and speed of the model stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from bundle.graph import convolutions, is_integer_convolution, operators

CORRECTION_IMAGES = 128  # 64 and more gave the same agreement to half a percent; each costs one run per convolution
BATCH = 32  # images


def correct_biases(model: bytes, original: bytes, pixels: NDArray[np.uint8], features: NDArray[np.float32]) -> bytes:
    """The int8 `model` with the channel means of `original`, the same graph in float32.

    pixels (M, S, S) and features (M, F) are the representative images, of which at most CORRECTION_IMAGES are used. Layer
    by layer, since each correction changes what the next layer sees. A convolution without a bias of its own is left.
    """
    chosen = np.unique(np.linspace(0, len(pixels) - 1, CORRECTION_IMAGES).astype(int))
    pixels, features = pixels[chosen], features[chosen]
    corrected = bytearray(model)  # patched in place: packing it anew would lose the alignment of its buffers
    root = schema.Model.GetRootAs(corrected, 0)
    integer = [operator for operator in convolutions(operators(model)) if is_integer_convolution(operator)]
    readers = Counter(tensor.buffer for operator in integer for tensor in operator.inputs[2:])
    in_float = {tensor.name for operator in operators(original) for tensor in operator.outputs}
    targets = [
        (operator.inputs[2], operator.outputs[0].name)
        for operator in integer
        if len(operator.inputs) > 2 and readers[operator.inputs[2].buffer] == 1 and operator.outputs[0].name in in_float
    ]
    wanted = _channel_means(original, [name for _, name in targets], pixels, features)
    for bias, name in targets:
        shift = wanted[name] - _channel_means(bytes(corrected), [name], pixels, features)[name]
        integers = root.Buffers(bias.buffer).DataAsNumpy().view("<i4")  # a view: writing to it writes to `corrected`
        integers += np.rint(shift / np.array(bias.scales)).astype(np.int32)
    return bytes(corrected)


def _channel_means(
    model: bytes, names: Sequence[str], pixels: NDArray[np.uint8], features: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    """The mean over images and positions, (channels,), of each named tensor of shape (B, H, W, channels)."""
    interpreter = Interpreter(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,  # XNNPACK hides inner tensors
        experimental_preserve_all_tensors=True,
    )
    details: dict[str, dict[str, object]] = {}
    sums: dict[str, NDArray[np.float64]] = {}
    size = 0
    for start in range(0, len(pixels), BATCH):
        batch = slice(start, start + BATCH)
        images = pixels[batch, ..., np.newaxis]
        inputs = [
            (detail["index"], images if len(detail["shape"]) == 4 else features[batch])
            for detail in interpreter.get_input_details()
        ]
        if len(images) != size:
            size = len(images)
            for index, values in inputs:
                interpreter.resize_tensor_input(index, values.shape)
            interpreter.allocate_tensors()
            details = {detail["name"]: detail for detail in interpreter.get_tensor_details()}
        for index, values in inputs:
            interpreter.set_tensor(index, values)
        interpreter.invoke()
        for name in names:
            values = interpreter.get_tensor(details[name]["index"]).astype(np.float64)
            scale, zero_point = details[name]["quantization"]  # type: ignore[misc]
            real = (values - zero_point) * scale if scale else values  # type: ignore[has-type]
            sums[name] = sums.get(name, 0) + real.mean(axis=(1, 2)).sum(axis=0)
    return {name: total / len(pixels) for name, total in sums.items()}
