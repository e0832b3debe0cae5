"""One augmented copy at its own resolution: nothing of the organism is lost, and its size stays true."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from bundle.preprocess import border_median
from trainer.config import Augmentation
from trainer.data.varied import varied

OFF = Augmentation(0.0, 1.0, 1.0, 0.0, 0.0, False, 0.0, 0.0)
TURN = replace(OFF, rotation_degrees=180.0)


def rod(ground: int = 230) -> np.ndarray:
    """(40, 200): a dark rod of 180 x 16 pixels, ten and twelve from the border."""
    image = np.full((40, 200), ground, np.uint8)
    image[12:28, 10:190] = 20
    return image


def copies(image: np.ndarray, how: Augmentation, count: int = 40) -> list[np.ndarray]:
    return [varied(image, "dark_on_light", how, np.random.default_rng(number)) for number in range(count)]


def long_side_of_ink(image: np.ndarray) -> float:
    points = np.argwhere(image < 128).astype(np.float32)
    return max(cv2.minAreaRect(points)[1])


def test_with_everything_off_the_image_comes_back_as_it_is():
    image = rod()
    image[12:28, 12:188] = 90
    image[10:30, 12:188] = 90  # margins of ten on every side
    np.testing.assert_array_equal(varied(image, "dark_on_light", OFF, np.random.default_rng(0)), image)


def test_a_turn_cuts_nothing_off_and_keeps_the_size_of_the_organism():
    ink = (230.0 - rod()).sum()
    for copy in copies(rod(), TURN):
        assert abs((230.0 - copy).sum() / ink - 1) < 0.02
        assert abs(long_side_of_ink(copy) - 180) < 3


def test_the_canvas_is_what_the_turned_organism_needs_with_the_margin_it_had():
    sizes = [copy.shape for copy in copies(rod(), TURN, 200)]
    assert max(height for height, _ in sizes) <= 180 + 16 + 2 * 11 + 2
    assert min(height for height, _ in sizes) < 45  # nearly level: no larger than the original
    for copy in copies(rod(), TURN):
        rows, columns = np.nonzero(copy < 230 - 26)
        margins = (rows.min(), columns.min(), copy.shape[0] - 1 - rows.max(), copy.shape[1] - 1 - columns.max())
        assert max(margins) <= 12


def test_the_ground_outside_is_the_images_own_at_either_polarity():
    for copy in copies(rod(170), TURN):
        assert border_median(copy) == 170
        assert copy.max() == 170
    light = 255 - rod(170)
    for number, copy in enumerate(copies(rod(170), TURN)):
        turned = varied(light, "light_on_dark", TURN, np.random.default_rng(number))
        np.testing.assert_array_equal(turned, 255 - copy)


def test_zoom_changes_the_true_size_within_its_range():
    lengths = [long_side_of_ink(copy) / 180 for copy in copies(rod(), replace(OFF, zoom=1.5), 100)]
    assert 0.65 < min(lengths) < 0.72
    assert 1.4 < max(lengths) < 1.52


@pytest.mark.parametrize("how", [{"noise_chance": 1.0, "noise_sigma": 8.0}, {"intensity": 1.5}, {"blur_chance": 1.0}])
def test_blur_intensity_and_noise_each_change_the_greys(how: dict[str, float]):
    settings = replace(OFF, blur_sigma=2.0, **how)
    found = {copy.tobytes() for copy in copies(rod(), settings, 10)}
    assert len(found) == 10


def test_an_image_without_ink_is_kept_whole():
    blank = np.full((20, 30), 200, np.uint8)
    np.testing.assert_array_equal(varied(blank, "dark_on_light", OFF, np.random.default_rng(0)), blank)
    assert set(np.unique(varied(blank, "dark_on_light", TURN, np.random.default_rng(0)))) == {200}


def test_the_smallest_image_survives():
    dot = np.array([[0]], np.uint8)
    for number in range(20):
        assert varied(dot, "dark_on_light", Augmentation(), np.random.default_rng(number)).size >= 1
