"""The batches of an epoch: a pure function of seed, epoch and step."""

import threading
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundle.preprocess import InputSpec
from trainer.config import Augmentation, Imbalance, MemberRun, Network, Teacher
from trainer.data.dataset import Dataset, load_dataset
from trainer.feed import TrainingFeed

SPEC = InputSpec()
OFF = Augmentation(0.0, 1.0, 1.0, 0.0, 0.0, False, 0.0, 0.0)


@pytest.fixture
def dataset(shapes: Path) -> Dataset:
    return load_dataset(shapes, SPEC, 16, shapes.parent / "cache", print)


def feed(dataset: Dataset, augmentation: Augmentation = OFF) -> TrainingFeed:
    return TrainingFeed(dataset, np.arange(50), member(augmentation=augmentation), SPEC)


def member(**settings: Any) -> MemberRun:
    return MemberRun("a", 1, 5, Network("residual_cnn"), **{"batch": 7, "label_smoothing": 0.0, **settings})


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


def test_threads_made_the_batches_that_would_have_been_made_one_by_one(dataset: Dataset):
    batches = feed(dataset, Augmentation())
    for number, (inputs, labels, _) in enumerate(islice(batches.from_epoch(0), 15)):
        expected, truth, _ = batches.at(number // 7, number % 7)
        np.testing.assert_array_equal(inputs["pixels"], expected["pixels"])
        np.testing.assert_array_equal(labels, truth)


def test_a_feed_that_is_no_longer_wanted_leaves_no_thread(dataset: Dataset):
    before = set(threading.enumerate())
    batches = feed(dataset).from_epoch(0)
    next(batches)
    ours = set(threading.enumerate()) - before
    assert ours
    batches.close()
    for thread in ours:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in ours)


def test_each_epoch_shuffles_and_warps_anew(dataset: Dataset):
    plain, warped = feed(dataset), feed(dataset, Augmentation())
    assert (plain.at(0, 3)[0]["features"] != plain.at(1, 3)[0]["features"]).any()
    assert (warped.at(0, 3)[0]["pixels"] != warped.at(1, 3)[0]["pixels"]).any()


def test_a_data_set_smaller_than_a_batch_is_one_batch(dataset: Dataset):
    small = TrainingFeed(dataset, np.arange(9), member(batch=128), SPEC)
    assert (small.batch, small.steps) == (9, 1)
    assert len(small.at(0, 0)[2]) == 9


def test_labels_are_smoothed_and_share_their_place_with_what_the_teacher_says(dataset: Dataset):
    taught = np.tile([0.5, 0.25, 0.25], (50, 1))
    teacher = Teacher(("t.keras",), share=0.6)
    batches = TrainingFeed(dataset, np.arange(50), member(label_smoothing=0.3, teacher=teacher), SPEC, taught)
    _, labels, _ = batches.at(0, 0)
    _, plain, _ = TrainingFeed(dataset, np.arange(50), member(), SPEC).at(0, 0)
    np.testing.assert_allclose(labels, 0.4 * (plain * 0.7 + 0.1) + 0.6 * taught[:7], rtol=1e-6)
    assert labels.dtype == np.float32


def test_what_a_teacher_says_stays_with_its_image(dataset: Dataset):
    taught = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    teacher = Teacher(("t.keras",), share=1.0)
    images = np.arange(5, 55)
    batches = TrainingFeed(dataset, images, member(teacher=teacher, augmentation=OFF), SPEC, taught)
    inputs, labels, _ = batches.at(3, 2)
    for pixels, label in zip(inputs["pixels"], labels, strict=True):
        (image,) = np.flatnonzero((dataset.pixels == pixels[..., 0]).all(axis=(1, 2)))
        np.testing.assert_allclose(label, taught[image - 5], rtol=1e-6)


def test_balanced_sampling_draws_a_rare_class_as_often_as_a_common_one(dataset: Dataset):
    common, rare = (np.flatnonzero(dataset.classes == label) for label in (0, 1))
    images = np.concatenate([common, rare[:2]])
    how = member(batch=11, imbalance=Imbalance(balanced_sampling=1.0))
    batches = TrainingFeed(dataset, images, how, SPEC)
    drawn = sum(batches.at(epoch, step)[1][:, 1].sum() for epoch in range(50) for step in range(batches.steps))
    assert batches.steps == 2
    assert abs(drawn / 1100 - 0.5) < 0.06  # 4 standard errors of 1,100 draws
