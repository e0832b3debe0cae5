"""From the bytes of an image file to what members see: S x S grey pixels, for each member's S, and a row of features.

Written once, here: the trainer calls it too, so that training and the camera host cannot drift apart. The boundary to the
models is uint8 pixels and raw features; scaling both is the models' first layer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from bundle.errors import BadBundle, BadImage
from bundle.imagefile import ImageFile, inspect

Pixels = NDArray[np.uint8]

MAX_IMAGE_PIXELS = 64_000_000  # an 8k x 8k frame; a header that asks for more is refused before anything is allocated
WHITE_BELOW = 12  # grey levels below the background that may still be water
INK_STEP = 26  # grey levels darker than the background that count as ink: a tenth of the range, above sensor noise

cv2.setNumThreads(1)  # a resize of a small image gains nothing from threads, and they would fight the interpreters


@dataclass(frozen=True)
class InputSpec:
    """How an image becomes the members' input, whatever the side they see it at; part of the bundle's manifest."""

    fit: Literal["long_side"] = "long_side"  # the long side is scaled to a member's S, the aspect ratio kept
    pad: Literal["white", "border"] = "white"  # what fills the rest: white, or the median of the image's own border
    polarity: Literal["dark_on_light", "light_on_dark"] = "dark_on_light"  # light_on_dark images are inverted first
    # white: the greys are scaled so that the image's own background, as its border shows it, is white, whatever light and noise.
    background: Literal["as_is", "white"] = "as_is"
    max_image_pixels: int = MAX_IMAGE_PIXELS

    def __post_init__(self) -> None:
        for name, known in (("fit", FITS), ("pad", PADS), ("polarity", POLARITIES), ("background", BACKGROUNDS)):
            if getattr(self, name) not in known:
                raise BadBundle(f"input {name} must be one of {', '.join(known)}, found {getattr(self, name)!r}")
        if self.max_image_pixels < 1:
            raise BadBundle(f"input max_image_pixels must be positive, found {self.max_image_pixels}")


def check_side(side: int) -> None:
    """Raises BadBundle for a side, in pixels, that no member can have."""
    if not 8 <= side <= 1024:
        raise BadBundle(f"side must be from 8 to 1024 pixels, found {side}")


FITS = ("long_side",)
PADS = ("white", "border")
POLARITIES = ("dark_on_light", "light_on_dark")
BACKGROUNDS = ("as_is", "white")

# The features, in the order in which `features` gives them; F = 8. Lengths in pixels of the original image, so that true
# size, which the fit to S takes away, reaches the model.
FEATURES = (
    "log_width",  # ln pixels
    "log_height",  # ln pixels
    "log_long_side",  # ln pixels
    "aspect",  # short side / long side, 0..1
    "ink_mean",  # mean darkness below the background, 0..1
    "ink_spread",  # its standard deviation, 0..1
    "ink_share",  # share of pixels darker than the background by INK_STEP, 0..1
    "log_ink_area",  # ln (1 + number of such pixels)
)


@dataclass(frozen=True)
class Prepared:
    """One image, ready for the members."""

    pixels: Mapping[int, Pixels]  # for each side S: (S, S) uint8, dark on light
    features: NDArray[np.float32]  # (F,) float32, in the order of FEATURES
    width: int  # pixels of the original
    height: int  # pixels of the original


@dataclass(frozen=True)
class Inputs:
    """B images, ready for the members."""

    pixels: Mapping[int, Pixels]  # for each side S: (B, S, S) uint8, dark on light
    features: NDArray[np.float32]  # (B, F)

    @staticmethod
    def of(images: Sequence[Prepared]) -> Inputs:
        """The images of a batch, B >= 1, all prepared for the same sides."""
        sides = images[0].pixels
        return Inputs(
            {side: np.stack([image.pixels[side] for image in images]) for side in sides},
            np.stack([image.features for image in images]),
        )

    def __len__(self) -> int:
        return len(self.features)

    def at(self, which: slice | NDArray[np.intp]) -> Inputs:
        """Some of them; of a slice without a copy."""
        return Inputs({side: pixels[which] for side, pixels in self.pixels.items()}, self.features[which])


def prepare(data: bytes, spec: InputSpec, sides: Collection[int]) -> Prepared:
    """The whole way from a file's bytes to the input of members that see it at these sides, in pixels. Raises BadImage."""
    return prepare_grey(decode(data, spec.max_image_pixels), spec, sides)


def prepare_grey(grey: Pixels, spec: InputSpec, sides: Collection[int]) -> Prepared:
    """From an image as `decode` gives it, (H, W) uint8, to the members' input."""
    if spec.polarity == "light_on_dark":
        grey = 255 - grey
    quartile, background = border_levels(grey)
    if spec.background == "white" and (white := white_level(quartile, background)) < 255:
        grey, background = whitened(grey, white), 255
    height, width = grey.shape
    pixels = {side: fit(grey, side, 255 if spec.pad == "white" else background) for side in sides}
    return Prepared(pixels, features(grey, background), width, height)


def decode(data: bytes, max_image_pixels: int = MAX_IMAGE_PIXELS) -> Pixels:
    """(H, W) uint8 grey from the bytes of a JPEG, PNG, TIFF, BMP or PGM file.

    Colour becomes luma, 16 bits are scaled by 1/257 and rounded, an orientation tag is ignored: pixels as stored.
    Raises BadImage with a reason: empty, not an image, truncated, corrupt, too large, unsupported.
    """
    return decode_as(inspect_within(data, max_image_pixels), data)


def inspect_within(data: bytes, max_image_pixels: int) -> ImageFile:
    """What the file says of itself, before anything is allocated. Raises BadImage as `decode` does."""
    header = inspect(data)
    if header.width * header.height > max_image_pixels:
        raise BadImage(
            "too large",
            f"{header.width} x {header.height} pixels, the limit is {max_image_pixels} (input.max_image_pixels)",
        )
    return header


def decode_as(header: ImageFile, data: bytes) -> Pixels:
    """The rest of `decode`, for a caller who wanted to know the size first."""
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        why = " ".join(str(error.err).split())  # some span lines
        raise BadImage("corrupt", f"OpenCV cannot decode the {header.format.upper()} file: {why}") from None
    if decoded is None:
        raise BadImage("corrupt", f"OpenCV cannot decode the {header.format.upper()} file")
    if decoded.dtype not in (np.uint8, np.uint16):
        raise BadImage("unsupported", f"{decoded.dtype} pixels; write the images with 8 or 16 bits a pixel")
    if decoded.dtype == np.uint16:
        decoded = cv2.convertScaleAbs(decoded, alpha=1 / 257)  # 65535 -> 255, without floats of the image's size
    decoded = _AS_STORED[header.tiff_orientation](decoded)
    if decoded.shape != (header.height, header.width):
        raise BadImage("corrupt", f"decodes to the shape {decoded.shape}, not {header.width} x {header.height} pixels")
    return np.ascontiguousarray(decoded, np.uint8)


# OpenCV turns a TIFF by its orientation tag even with IMREAD_IGNORE_ORIENTATION (4.11 to 5.0). These turn it back: tag
# value to the inverse of what TIFF 6.0, section 8, asks a viewer to do.
_AS_STORED: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.T,
    6: lambda image: image.T[::-1],
    7: lambda image: image.T[::-1, ::-1],
    8: lambda image: image.T[:, ::-1],
}


def border_levels(grey: Pixels) -> tuple[int, int]:
    """Lower quartile and median of the outermost ring of pixels, grey levels 0..255; the median is the background."""
    ring = np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    up_to = np.bincount(ring, minlength=256).cumsum()
    quartile, median = up_to.searchsorted(((len(ring) + 3) // 4, (len(ring) + 1) // 2))
    return int(quartile), int(median)


def border_median(grey: Pixels) -> int:
    """The background's grey level, 0..255."""
    return border_levels(grey)[1]


def white_level(quartile: int, median: int) -> int:
    """The grey level from which on all is water, 1..255: below the background by twice the border's own spread.

    The spread is from the median down to the lower quartile: noise and uneven light make it, and a border of one level, as
    most images have that were cut from a white ground, has none. At most WHITE_BELOW: beyond, it is an organism that reaches
    the border. A black border tells nothing, and all stays as it is.
    """
    return max(median - min(2 * (median - quartile), WHITE_BELOW), 1) if median else 255


def whitened(grey: Pixels, white: int) -> Pixels:
    """The greys times 255 / white, rounded; what is lighter is white. white: 1 to 255.

    Light is multiplied: half of it halves all greys, ink and water alike, and this takes it back. In whole numbers, so that every
    host gives the same bytes.
    """
    levels = (np.arange(256, dtype=np.int64) * 255 + white // 2) // white
    scaled: Pixels = cv2.LUT(grey, np.minimum(levels, 255).astype(np.uint8)).astype(np.uint8, copy=False)
    return scaled


def fit(grey: Pixels, side: int, around: int) -> Pixels:
    """(S, S) uint8: the long side scaled to S, the aspect ratio kept, the image in the middle and the grey `around` it."""
    height, width = grey.shape
    scale = side / max(height, width)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    shrinks = scale < 1
    resized = cv2.resize(grey, (new_width, new_height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    square = np.full((side, side), around, np.uint8)
    top, left = (side - new_height) // 2, (side - new_width) // 2
    square[top : top + new_height, left : left + new_width] = resized
    return square


def features(grey: Pixels, background: int) -> NDArray[np.float32]:
    """(F,) float32, in the order of FEATURES, of an original dark-on-light image."""
    height, width = grey.shape
    ink = np.subtract(background, np.minimum(grey, background), dtype=np.uint8)  # lighter than the background is 0
    mean, spread = cv2.meanStdDev(ink)
    area = int(np.count_nonzero(ink >= INK_STEP))
    long_side = max(width, height)
    return np.array(
        [
            np.log(width),
            np.log(height),
            np.log(long_side),
            min(width, height) / long_side,
            mean[0, 0] / 255,
            spread[0, 0] / 255,
            area / (width * height),
            np.log1p(area),
        ],
        np.float32,
    )
