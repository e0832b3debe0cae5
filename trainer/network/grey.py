"""Makes a network that was trained on colour images take our ink, by folding its preprocessing into the first convolution.

An ImageNet network wants three channels, each scaled and shifted in its own way. On a grey image all three are known functions of
the ink, so that the sum over the channels is one channel with other weights and a constant:

    sum_c W_c * (white_c + slope_c ink) + b  =  (sum_c slope_c W_c) * ink  +  (b + sum_c white_c W_c)

No layer before the convolution means nothing there to round: the ink is exact in bfloat16, the scaling in int8. Inside the image
this is the same function. At its edge zero padding now means white, more of the background, where it had meant mid-grey.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Channels = NDArray[np.float64]  # (3,) in the order of the convolution's input


def fold_grey(
    kernel: NDArray[np.floating[Any]], white: Channels, slope: Channels
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The kernel for ink and the constant that goes with it.

    kernel: (k, k, 3, channels). white: what each channel is on a white image; slope: what it gains per unit of ink. Returns
    (k, k, 1, channels) and (channels,).
    """
    wide = kernel.astype(np.float64)
    folded = np.einsum("hwcd,c->hwd", wide, slope)[:, :, np.newaxis]
    return folded.astype(np.float32), np.einsum("hwcd,c->d", wide, white).astype(np.float32)


def add_constant(model: keras.Model, convolution: keras.layers.Layer, constant: NDArray[np.float32]) -> None:
    """Adds (channels,) to what `convolution` of `model` gives: to its bias, or by way of the batch norm right behind it.

    Raises ValueError where there is neither.
    """
    if convolution.use_bias:
        convolution.bias.assign_add(constant)
        return
    behind = [layer for layer in model.layers if layer is not convolution and layer.input is convolution.output]
    if len(behind) != 1 or not isinstance(behind[0], keras.layers.BatchNormalization):
        raise ValueError(f"the convolution '{convolution.name}' has no bias and no batch norm behind it")
    behind[0].moving_mean.assign_sub(constant)
