"""Augmentation keeps what matters of an image and changes the rest, reproducibly."""

import numpy as np
import pytest

from bundle.errors import BadConfig
from bundle.preprocess import InputSpec
from trainer.augment import affine_matrices, augment
from trainer.config import Augmentation

OFF = Augmentation(0.0, 1.0, 1.0, 0.0, 0.0, False, 0.0, 0.0)
SPEC = InputSpec(side=32)


def bars(count: int) -> np.ndarray:
    """Horizontal dark bars left of the middle, so that turns and mirrors show."""
    images = np.full((count, 32, 32), 255, np.uint8)
    images[:, 14:18, 4:20] = 0
    return images


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_with_everything_off_the_images_come_back_unchanged():
    images = bars(5)
    np.testing.assert_array_equal(augment(images, SPEC, OFF, generator()), images)


def test_the_same_draw_gives_the_same_images_and_another_draw_others():
    images = bars(8)
    once = augment(images, SPEC, Augmentation(), generator(1))
    np.testing.assert_array_equal(augment(images, SPEC, Augmentation(), generator(1)), once)
    assert (augment(images, SPEC, Augmentation(), generator(2)) != once).any(axis=(1, 2)).all()


def test_the_originals_are_left_as_they_are():
    images = bars(4)
    augment(images, SPEC, Augmentation(), generator())
    np.testing.assert_array_equal(images, bars(4))


def test_a_turn_keeps_the_ink_and_reaches_every_quarter():
    turned = augment(bars(400), SPEC, Augmentation(180.0, 1.0, 1.0, 0.0, 0.0, False, 0.0, 0.0), generator())
    ink = (255.0 - turned).sum(axis=(1, 2))
    assert abs(ink / (255 * 4 * 16) - 1).max() < 0.04  # interpolation at 32 pixels
    ys, xs = np.mgrid[:32, :32] - 15.5
    weight = (255.0 - turned) / ink[:, None, None]
    angle = np.arctan2((weight * ys).sum(axis=(1, 2)), (weight * xs).sum(axis=(1, 2)))
    quarters = np.bincount(((angle + np.pi) / (np.pi / 2)).astype(int) % 4, minlength=4)
    assert quarters.min() > 60  # of 100 expected


def test_a_mirror_turns_half_of_the_images():
    mirrored = augment(bars(400), SPEC, Augmentation(0.0, 1.0, 1.0, 0.0, 0.0, True, 0.0, 0.0), generator())
    right = mirrored[:, 15, 25] == 0
    left = mirrored[:, 15, 6] == 0
    assert (left ^ right).all()
    assert 150 < right.sum() < 250


def test_zoom_stretch_and_shear_stay_within_their_ranges():
    how = Augmentation(180.0, 1.25, 1.2, 10.0, 0.1, True)
    linear = affine_matrices(2000, 32, how, generator())[:, :, :2]
    zoom = np.sqrt(np.abs(np.linalg.det(linear)))
    assert 1 / 1.25 <= zoom.min() < 0.83
    assert 1.21 < zoom.max() <= 1.25
    lengths = np.linalg.svd(linear / zoom[:, None, None], compute_uv=False)
    assert lengths.max() < np.sqrt(1.2) * 1.1  # stretch along one axis, and what a shear of 10 degrees adds


def test_the_middle_moves_by_no_more_than_the_shift():
    matrices = affine_matrices(500, 32, Augmentation(shift=0.1), generator())
    moved = matrices[:, :, :2] @ np.full(2, 15.5) + matrices[:, :, 2] - 15.5
    assert 2.8 < np.abs(moved).max() <= 3.2


def test_what_comes_in_from_outside_is_white_or_the_images_own_ground():
    grey = np.full((3, 32, 32), 170, np.uint8)
    far = Augmentation(0.0, 1.0, 1.0, 0.0, 0.5, False, 0.0, 0.0)
    assert set(np.unique(augment(grey, InputSpec(side=32, pad="border"), far, generator()))) == {170}
    assert 255 in augment(grey, SPEC, far, generator())


def test_a_blur_softens_only_its_share_of_the_images():
    blurred = augment(bars(500), SPEC, Augmentation(0.0, 1.0, 1.0, 0.0, 0.0, False, 0.3, 2.0), generator())
    soft = (blurred != bars(1)).any(axis=(1, 2)).mean()
    assert 0.22 < soft < 0.38


def test_impossible_ranges_are_refused():
    with pytest.raises(BadConfig, match="zoom and stretch are factors of at least 1"):
        Augmentation(zoom=0.8)
    with pytest.raises(BadConfig, match="shift must not be negative"):
        Augmentation(shift=-0.1)
    with pytest.raises(BadConfig, match="leaves nothing to recognise"):
        Augmentation(shear_degrees=60)
