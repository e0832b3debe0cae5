"""Augmentation keeps what matters of an image and changes the rest, reproducibly."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest

from bundle.errors import BadConfig
from bundle.preprocess import InputSpec, border_median
from trainer.config import Augmentation
from trainer.data.augment import affine_matrices, augment, border_medians

OFF = Augmentation(0.0, 1.0, 1.0, 0.0, 0.0, False, 0.0, 0.0)
SPEC = InputSpec()


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
    assert set(np.unique(augment(grey, InputSpec(pad="border"), far, generator()))) == {170}
    assert 255 in augment(grey, SPEC, far, generator())


def test_a_blur_softens_only_its_share_of_the_images():
    blurred = augment(bars(500), SPEC, Augmentation(0.0, 1.0, 1.0, 0.0, 0.0, False, 0.3, 2.0), generator())
    soft = (blurred != bars(1)).any(axis=(1, 2)).mean()
    assert 0.22 < soft < 0.38


def test_what_intensity_and_noise_do_when_off_is_nothing_at_all():
    """Images and generator are left as they were before these two came, so that a run begun then can go on now."""

    def as_it_was(pixels: np.ndarray, pad: str, how: Augmentation, random: np.random.Generator) -> np.ndarray:
        batch, side, _ = pixels.shape
        matrices = affine_matrices(batch, side, how, random)
        blurred = random.random(batch) < how.blur_chance
        sigmas = random.uniform(0.3, max(0.3, how.blur_sigma), batch)
        warped = np.empty_like(pixels)
        for image in range(batch):
            ground = 255 if pad == "white" else border_median(pixels[image])
            at = {"dst": warped[image], "flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_CONSTANT}
            cv2.warpAffine(pixels[image], matrices[image], (side, side), borderValue=ground, **at)
            if blurred[image]:
                cv2.GaussianBlur(warped[image], (0, 0), sigmas[image], dst=warped[image])
        return warped

    images = generator().integers(0, 256, (40, 32, 32), dtype=np.uint8)
    for pad in ("white", "border"):
        for how in (Augmentation(), Augmentation(blur_chance=0.5, shift=0.2, mirror=False), OFF):
            before, now = generator(3), generator(3)
            expected = as_it_was(images, pad, how, before)
            np.testing.assert_array_equal(augment(images, InputSpec(pad=pad), how, now), expected)
            assert now.bit_generator.state == before.bit_generator.state


def test_intensity_multiplies_the_ink_and_leaves_white_alone():
    ramp = np.tile(np.arange(100, 228, 4, dtype=np.uint8), (300, 32, 1))
    ramp[:, :4] = 255
    changed = augment(ramp, SPEC, replace(OFF, intensity=1.5), generator())
    assert (changed[:, :4] == 255).all()
    factors = (255.0 - changed[:, 4:]).sum(axis=(1, 2)) / (255.0 - ramp[:, 4:]).sum(axis=(1, 2))
    assert 0.66 < factors.min() < 0.7
    assert 1.45 < factors.max() < 1.51
    assert abs(np.median(factors) - 1) < 0.06  # as often paler as darker
    np.testing.assert_allclose(
        255.0 - changed[:, 4:], (255.0 - ramp[:, 4:]) * factors[:, None, None], atol=1
    )  # one factor for an image


def test_noise_has_no_bias_its_own_strength_for_each_image_and_only_its_share():
    grey = np.full((1000, 32, 32), 128, np.uint8)
    noisy = augment(grey, SPEC, replace(OFF, noise_chance=0.4, noise_sigma=10.0), generator())
    touched = noisy[(noisy != 128).any(axis=(1, 2))].astype(float) - 128
    assert 0.34 < len(touched) / 1000 < 0.46
    spreads = touched.std(axis=(1, 2))
    assert spreads.max() < 10.8  # at most 10, and what a sample of 1024 strays by
    assert spreads.max() > 9
    assert abs(np.median(spreads) - 5) < 1
    assert abs(touched.mean()) < 0.1


def test_noise_is_repeated_by_the_same_draw_whatever_opencv_drew_before():
    grey, how = np.full((6, 32, 32), 128, np.uint8), replace(OFF, noise_chance=1.0)
    once = augment(grey, SPEC, how, generator(1))
    cv2.randn(np.empty((5, 5), np.float32), 0, 1)
    np.testing.assert_array_equal(augment(grey, SPEC, how, generator(1)), once)
    assert len({image.tobytes() for image in once}) == 6
    assert (augment(grey, SPEC, how, generator(2)) != once).any(axis=(1, 2)).all()


def test_the_grounds_of_a_batch_are_those_of_its_images():
    random = generator()
    for side in (8, 9, 33):
        images = random.integers(0, 256, (50, side, side), dtype=np.uint8)
        assert border_medians(images).tolist() == [border_median(image) for image in images]


def test_impossible_ranges_are_refused():
    with pytest.raises(BadConfig, match="zoom, stretch and intensity are factors of at least 1"):
        Augmentation(zoom=0.8)
    with pytest.raises(BadConfig, match="shift must not be negative"):
        Augmentation(shift=-0.1)
    with pytest.raises(BadConfig, match="leaves nothing to recognise"):
        Augmentation(shear_degrees=60)


def test_batches_made_in_several_threads_are_those_made_one_after_another():
    how, images = replace(Augmentation(), intensity=1.3, noise_chance=1.0), bars(64)
    alone = [augment(images, SPEC, how, generator(seed)) for seed in range(24)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda seed: augment(images, SPEC, how, generator(seed)), range(24)))
    np.testing.assert_array_equal(together, alone)
