"""What a member sees, checked against numbers worked out by hand and against bits that must never change unnoticed."""

import hashlib
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundle.errors import BadBundle, BadImage
from bundle.preprocess import (
    FEATURES,
    INK_STEP,
    Inputs,
    InputSpec,
    border_levels,
    border_median,
    check_side,
    decode,
    features,
    fit,
    prepare,
    white_level,
    whitened,
)
from tests.bundle.rendered import every_format, file_of, organism, pattern, tiff

WHITE = InputSpec()
SIDE = 16  # pixels


def prepared_png(image, spec=WHITE, side=SIDE):
    """The image as a member sees it."""
    return prepare(file_of(".png", image), spec, [side])


# ---- decoding


def test_sixteen_bits_become_eight_by_rounding_a_257th():
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = ((every.astype(np.uint32) + 128) // 257).astype(np.uint8)  # no 16-bit value lies half way: 257 is odd
    for name, data in {
        "png": file_of(".png", every),
        "tiff": file_of(".tiff", every),
        "pgm": file_of(".pgm", every),
    }.items():
        assert np.array_equal(decode(data), expected), name
    assert np.array_equal(decode(tiff(every, order=">")), expected)


@pytest.mark.parametrize(("suffix", "green"), [(".png", 149), (".bmp", 150), (".tiff", 150)])
def test_colour_becomes_luma_to_within_the_rounding_of_the_decoder(suffix, green):
    # 0.587 x 255 = 149.7: libpng cuts it, OpenCV rounds it. Both did so in every version tried.
    blue_green_red = np.zeros((1, 4, 3), np.uint8)
    blue_green_red[0, 1, 0] = blue_green_red[0, 2, 1] = blue_green_red[0, 3, 2] = 255
    assert decode(file_of(suffix, blue_green_red)).tolist() == [[0, 29, green, 76]]


def test_a_grey_image_stored_in_colour_or_with_transparency_keeps_its_greys():
    grey = pattern(9, 14)
    assert np.array_equal(decode(file_of(".png", np.dstack([grey] * 3))), grey)
    assert np.array_equal(decode(file_of(".png", np.dstack([grey] * 3 + [255 - grey]))), grey)
    assert np.array_equal(decode(file_of(".bmp", np.dstack([grey] * 3))), grey)


def test_a_float_tiff_is_refused_as_unsupported():
    with pytest.raises(BadImage) as caught:
        prepare(tiff(pattern(4, 4).astype(np.float32)), WHITE, [SIDE])
    assert caught.value.reason == "unsupported"
    assert str(caught.value) == "float32 pixels; write the images with 8 or 16 bits a pixel"


# ---- background


@pytest.mark.parametrize(
    ("image", "median"),
    [
        ([[7]], 7),  # the one pixel is top, bottom, left and right
        ([[1, 2, 3, 4]], 2),  # each twice, the ends twice more: 1 1 1 1 2 2 3 3 4 4 4 4
        ([[9, 9, 9], [9, 0, 9], [9, 9, 9]], 9),  # the middle does not count
        ([[10, 20], [30, 40]], 20),  # an even number of pixels: the lower of the two middle ones
        ([[0, 0, 0], [5, 5, 5], [255, 255, 255]], 5),  # the corners twice: four 0, two 5, four 255
    ],
)
def test_the_background_is_the_lower_median_of_the_border(image, median):
    assert border_median(np.array(image, np.uint8)) == median


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.randoms(use_true_random=False))
def test_the_background_agrees_with_sorting(height, width, random):
    image = np.array([[random.randrange(256) for _ in range(width)] for _ in range(height)], np.uint8)
    ring = sorted([*image[0].tolist(), *image[-1].tolist(), *image[:, 0].tolist(), *image[:, -1].tolist()])
    assert border_median(image) == ring[(len(ring) + 1) // 2 - 1]


# ---- fitting


@pytest.mark.parametrize(
    ("height", "width", "box"),  # box: top, left, height, width of the image in the square of 16
    [
        (64, 64, (0, 0, 16, 16)),
        (16, 16, (0, 0, 16, 16)),
        (32, 64, (4, 0, 8, 16)),
        (64, 32, (0, 4, 16, 8)),
        (8, 4, (0, 4, 16, 8)),  # a small image is enlarged
        (1, 1, (0, 0, 16, 16)),
        (1, 4, (6, 0, 4, 16)),
        (4, 1, (0, 6, 16, 4)),
        (1, 64, (7, 0, 1, 16)),  # a quarter of a pixel high: one all the same
        (1, 1000, (7, 0, 1, 16)),
        (1000, 1, (0, 7, 16, 1)),
        (5, 32, (7, 0, 2, 16)),  # 2.5 rounds to the even 2, and 14 left over go 7 above, 7 below
        (7, 32, (6, 0, 4, 16)),  # 3.5 rounds to the even 4
        (6, 32, (6, 0, 3, 16)),  # an odd rest: the smaller half above
        (32, 6, (0, 6, 16, 3)),
    ],
)
def test_an_image_keeps_its_aspect_and_lies_in_the_middle(height, width, box):
    top, left, box_height, box_width = box
    expected = np.full((16, 16), 255, np.uint8)
    expected[top : top + box_height, left : left + box_width] = 100
    assert np.array_equal(fit(np.full((height, width), 100, np.uint8), SIDE, 255), expected)
    on_border = np.where(expected == 255, 200, expected)
    assert np.array_equal(fit(np.full((height, width), 100, np.uint8), SIDE, 200), on_border)


def test_shrinking_averages_whole_areas():
    image = np.array([[0, 100], [50, 250]], np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    blocks = np.array([[0, 100], [50, 250]], np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    assert np.array_equal(fit(image, 8, 255), blocks)
    checks = (np.indices((32, 32)).sum(axis=0) % 2 * 200).astype(np.uint8)
    assert np.array_equal(fit(checks, 16, 255), np.full((16, 16), 100, np.uint8))


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(8, 40), st.sampled_from([199, 255]))
def test_the_fitted_image_fills_its_long_side_and_nothing_else_is_touched(height, width, side, around):
    square = fit(np.zeros((height, width), np.uint8), side, around)
    rows, columns = np.flatnonzero((square == 0).any(axis=1)), np.flatnonzero((square == 0).any(axis=0))
    assert square.shape == (side, side)
    assert max(len(rows), len(columns)) == side
    assert min(len(rows), len(columns)) == max(1, round(min(height, width) * (side / max(height, width))))
    assert len(rows) * len(columns) == np.count_nonzero(square == 0)
    assert set(np.unique(square)) <= {0, around}
    for run in (rows, columns):  # in the middle, the odd pixel below or to the right
        assert run[0] == (side - len(run)) // 2


@pytest.mark.parametrize(("pad", "around"), [("white", 255), ("border", 200)])
def test_what_is_around_a_long_image_is_white_or_its_own_background(pad, around):
    image = np.full((10, 40), 200, np.uint8)
    image[4:6, 10:30] = 30
    found = prepared_png(image, InputSpec(pad=pad)).pixels[SIDE]
    assert set(np.unique(found[:6])) == set(np.unique(found[-6:])) == {around}


# ---- features


def test_the_features_of_a_rectangle_are_those_worked_out_by_hand():
    image = np.full((20, 50), 200, np.uint8)
    image[5:15, 10:30] = 149  # 200 pixels, darker by 51 = 255 / 5
    image[0:2, 0:2] = 255  # lighter than the background is no ink
    expected = {
        "log_width": math.log(50),
        "log_height": math.log(20),
        "log_long_side": math.log(50),
        "aspect": 0.4,
        "ink_mean": 0.2 * 0.2,  # a fifth of the pixels, a fifth of the range
        "ink_spread": math.sqrt(0.2 * 0.04 - 0.04**2),  # of the population, not of a sample
        "ink_share": 0.2,
        "log_ink_area": math.log(201),
    }
    found = features(image, background=200)
    assert found.dtype == np.float32
    assert dict(zip(FEATURES, found.tolist(), strict=True)) == pytest.approx(expected, rel=1e-6)


def test_ink_begins_at_the_step():
    image = np.array([[200, 200 - INK_STEP + 1, 200 - INK_STEP, 0]], np.uint8)
    found = dict(zip(FEATURES, features(image, 200).tolist(), strict=True))
    assert INK_STEP == 26
    assert found["ink_share"] == 0.5
    assert found["log_ink_area"] == pytest.approx(math.log(3))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), (4, 1), (1, 2000)])
def test_an_image_of_hardly_any_pixels_has_features_all_the_same(height, width):
    found = prepared_png(np.full((height, width), 30, np.uint8))
    long, short = max(height, width), min(height, width)
    logs = [math.log(width), math.log(height), math.log(long)]
    assert found.features.tolist() == pytest.approx([*logs, short / long, 0, 0, 0, 0])
    assert (found.width, found.height) == (width, height)


def test_size_reaches_the_features_though_not_the_pixels():
    small, large = (prepared_png(np.full((side, side), 90, np.uint8)) for side in (20, 200))
    assert np.array_equal(small.pixels[SIDE], large.pixels[SIDE])
    assert np.exp(large.features[2] - small.features[2]) == pytest.approx(10)


def test_an_image_is_there_at_each_side_and_as_if_it_were_the_only_one():
    image = pattern(23, 31)
    both = prepare(file_of(".png", image), WHITE, [24, 16])
    assert {side: pixels.shape for side, pixels in both.pixels.items()} == {16: (16, 16), 24: (24, 24)}
    for side, pixels in both.pixels.items():
        assert np.array_equal(pixels, prepared_png(image, side=side).pixels[side])


def test_a_batch_holds_its_images_at_each_side():
    images = [prepare(file_of(".png", pattern(9 + n, 30)), WHITE, [16, 24]) for n in range(3)]
    batch = Inputs.of(images)
    assert len(batch) == 3
    assert {side: pixels.shape for side, pixels in batch.pixels.items()} == {16: (3, 16, 16), 24: (3, 24, 24)}
    last = batch.at(np.array([2]))
    assert np.array_equal(last.pixels[24][0], images[2].pixels[24])
    assert np.array_equal(last.features, [images[2].features])


# ---- polarity


def test_light_on_dark_is_inverted_first_in_pixels_features_and_background():
    image = organism(21, 33)
    for pad in ("white", "border"):
        dark = prepared_png(image, InputSpec(pad=pad))
        light = prepared_png(255 - image, InputSpec(pad=pad, polarity="light_on_dark"))
        assert np.array_equal(dark.pixels[SIDE], light.pixels[SIDE])
        assert np.array_equal(dark.features, light.features)


# ---- the light


@pytest.mark.parametrize("light", [1.0, 0.99, 0.7, 0.5])
def test_with_a_white_background_an_image_looks_alike_whatever_the_light(light):
    image = organism(21, 33)
    spec = InputSpec(background="white")
    bright, dim = (prepared_png(np.rint(image * share).astype(np.uint8), spec) for share in (1.0, light))
    assert border_median(dim.pixels[SIDE]) == 255
    apart = np.abs(bright.pixels[SIDE].astype(int) - dim.pixels[SIDE].astype(int))
    assert apart.max() <= 2  # a grey level of the dim image is two
    assert dim.features == pytest.approx(bright.features, abs=0.02)


@pytest.mark.parametrize(
    ("quartile", "median", "white"),
    [
        (255, 255, 255),  # a white border of one level
        (200, 200, 200),  # a grey one
        (198, 200, 196),  # noise: twice the way to the lower quartile
        (190, 200, 188),  # at most 12: an organism reaches the border
        (0, 200, 188),
        (1, 3, 1),
        (0, 0, 255),  # a black border tells nothing
    ],
)
def test_white_is_below_the_background_by_twice_the_spread_of_the_border(quartile, median, white):
    assert white_level(quartile, median) == white


@pytest.mark.parametrize("noise", [1, 2, 4])
def test_noise_on_a_white_ground_is_taken_for_water(noise):
    random = np.random.default_rng(0)
    image = np.full((60, 60), 255, np.uint8)
    image[20:40, 20:40] = 90
    noisy = np.clip(np.rint(image + random.normal(0, noise, image.shape)), 0, 255).astype(np.uint8)
    water = np.ones(image.shape, bool)
    water[20:40, 20:40] = False
    assert (noisy[water] == 255).mean() < 0.8
    greys = whitened(noisy, white_level(*border_levels(noisy)))
    assert (greys[water] == 255).mean() > 0.85
    assert np.abs(greys[~water].mean() - 90) < 5


@given(st.integers(1, 255))
def test_a_background_becomes_white_and_what_is_lighter_does_too(background):
    greys = whitened(np.arange(256, dtype=np.uint8).reshape(16, 16), background).ravel()
    assert set(greys[background:].tolist()) == {255}
    assert greys[0] == 0
    assert np.array_equal(greys[: background + 1], np.floor(np.arange(background + 1) * 255 / background + 0.5))


def test_a_black_background_is_left_as_it_is():
    image = np.zeros((9, 9), np.uint8)
    image[4, 4] = 77
    assert np.array_equal(
        prepared_png(image, InputSpec(background="white")).pixels[SIDE], prepared_png(image).pixels[SIDE]
    )


def test_the_same_pixels_give_the_same_input_whatever_lossless_file_they_come_in():
    found = {
        name: prepare(data, WHITE, [SIDE])
        for name, data in every_format(pattern(23, 31)).items()
        if not name.endswith("jpg")
    }
    pixels, numbers = found["grey.png"].pixels[SIDE], found["grey.png"].features
    assert [name for name, each in found.items() if not np.array_equal(each.pixels[SIDE], pixels)] == []
    assert [name for name, each in found.items() if not np.array_equal(each.features, numbers)] == []


# ---- the bits


def digest_of(prepared):
    (pixels,) = prepared.pixels.values()
    return hashlib.sha256(pixels.tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("height", "width", "side", "spec", "digest"),
    [
        (40, 70, 64, InputSpec(), "3965157c35e3baa9"),
        (150, 230, 64, InputSpec(), "27039fd8ac2b95e9"),
        (128, 128, 64, InputSpec(), "b80ada8a4706aee5"),
        (9, 200, 96, InputSpec(pad="border"), "611d9371c7fcfc87"),
        (200, 9, 96, InputSpec(polarity="light_on_dark"), "bd61f4f6efda1735"),
        (64, 64, 64, InputSpec(), "071f816ce443f9cd"),
        (64, 64, 64, InputSpec(background="white"), "ee0987c6c1ed4123"),
        (3, 5, 16, InputSpec(), "d6dee14a81c0c211"),
    ],
)
def test_preprocessing_has_not_changed_by_one_bit(height, width, side, spec, digest):
    """If this fails, every bundle made before sees other pixels than it was trained on.

    The digests are of OpenCV 4.11 and 5.0 alike (x86). A change that is meant needs a new schema_version.
    """
    assert digest_of(prepared_png(pattern(height, width), spec, side)) == digest


def test_decoding_a_jpeg_has_not_changed_by_one_bit():
    # The file itself is made by this OpenCV's encoder: its hash tells a change there from one in the decoder.
    data = file_of(".jpg", pattern(40, 56), cv2.IMWRITE_JPEG_QUALITY, 90)
    assert hashlib.sha256(data).hexdigest()[:16] == "faf70d25fc2a7d77"
    assert hashlib.sha256(decode(data).tobytes()).hexdigest()[:16] == "c199c237e3508800"


# ---- settings


@pytest.mark.parametrize("side", [7, 1025])
def test_a_side_that_no_member_can_have_is_refused(side):
    with pytest.raises(BadBundle, match=f"^side must be from 8 to 1024 pixels, found {side}$"):
        check_side(side)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"fit": "short_side"}, "input fit must be one of long_side, found 'short_side'"),
        ({"pad": "black"}, "input pad must be one of white, border, found 'black'"),
        ({"background": "grey"}, "input background must be one of as_is, white, found 'grey'"),
        ({"polarity": "dark"}, "input polarity must be one of dark_on_light, light_on_dark, found 'dark'"),
        ({"max_image_pixels": 0}, "input max_image_pixels must be positive, found 0"),
    ],
)
def test_an_input_that_cannot_be_meant_is_refused(wrong, text):
    with pytest.raises(BadBundle) as caught:
        InputSpec(**wrong)
    assert str(caught.value) == text
