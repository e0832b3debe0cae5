"""The batches of an epoch: a pure function of seed, epoch and step."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from bundle.preprocess import InputSpec
from trainer.config import Augmentation, MemberRun
from trainer.dataset import Dataset, load_dataset
from trainer.feed import TrainingFeed, class_weights

SPEC = InputSpec(side=16)
OFF = Augmentation(0.0, 1.0, 1.0, 0.0, 0.0, False, 0.0, 0.0)


@pytest.fixture
def dataset(shapes: Path) -> Dataset:
    return load_dataset(shapes, SPEC, shapes.parent / "cache", print)


def feed(dataset: Dataset, augmentation: Augmentation = OFF) -> TrainingFeed:
    member = MemberRun("a", "residual_cnn", epochs=1, seed=5, batch=7, augmentation=augmentation)
    return TrainingFeed(dataset, np.arange(50), member, SPEC)


def test_an_epoch_gives_whole_batches_of_different_training_images(dataset: Dataset):
    batches = feed(dataset)
    assert (batches.batch, batches.steps) == (7, 7)
    seen = set()
    for step in range(batches.steps):
        inputs, truth, weights = batches.at(0, step)
        assert inputs["pixels"].shape == (7, 16, 16, 1)
        assert inputs["pixels"].dtype == np.uint8
        assert inputs["features"].shape == (7, 8)
        assert truth.shape == (7, 3)
        assert weights.tolist() == [1.0] * 7
        for pixels, features, label in zip(inputs["pixels"], inputs["features"], truth, strict=True):
            where = np.flatnonzero((dataset.features == features).all(axis=1) & (dataset.classes == label.argmax()))
            (at,) = [image for image in where if (dataset.pixels[image] == pixels[..., 0]).all()]
            seen.add(int(at))
    assert len(seen) == 49
    assert max(seen) < 50


def test_a_feed_begun_at_an_epoch_repeats_the_one_that_ran_up_to_it(dataset: Dataset):
    running = islice(feed(dataset, Augmentation()).from_epoch(0), 2 * 7, 4 * 7)
    resumed = islice(feed(dataset, Augmentation()).from_epoch(2), 2 * 7)
    for ours, theirs in zip(running, resumed, strict=True):
        np.testing.assert_array_equal(ours[0]["pixels"], theirs[0]["pixels"])
        np.testing.assert_array_equal(ours[0]["features"], theirs[0]["features"])
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_each_epoch_shuffles_and_warps_anew(dataset: Dataset):
    plain, warped = feed(dataset), feed(dataset, Augmentation())
    assert (plain.at(0, 3)[0]["features"] != plain.at(1, 3)[0]["features"]).any()
    assert (warped.at(0, 3)[0]["pixels"] != warped.at(1, 3)[0]["pixels"]).any()


def test_a_data_set_smaller_than_a_batch_is_one_batch(dataset: Dataset):
    member = MemberRun("a", "simple_cnn", epochs=1, seed=1, batch=128)
    small = TrainingFeed(dataset, np.arange(9), member, SPEC)
    assert (small.batch, small.steps) == (9, 1)
    assert len(small.at(0, 0)[2]) == 9


def test_class_weights_balance_the_classes_and_average_to_one():
    classes = np.repeat([0, 1, 3], [80, 15, 5]).astype(np.int32)
    weights = class_weights(classes, 4, 1.0)
    np.testing.assert_allclose(weights * [80, 15, 0, 5], [100 / 3, 100 / 3, 0, 100 / 3], rtol=1e-6)
    assert weights[2] == 0
    half = class_weights(classes, 4, 0.5)
    np.testing.assert_allclose(half[[1, 3]] / half[0], [(80 / 15) ** 0.5, 4.0], rtol=1e-6)
    assert abs(half[classes].mean() - 1) < 1e-6
    assert class_weights(classes, 4, 0.0).tolist() == [1, 1, 0, 1]
