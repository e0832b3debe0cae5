"""Norms of averaged weights: the plain mean over the batches given, and no trace of how they were set."""

import keras
import numpy as np

from trainer.averaging import AveragedValidation, estimate_norms
from trainer.config import MemberRun, Network
from trainer.network.architectures import build
from trainer.optimizer import optimizer_for

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(3.0, 2.0, (50, 8)).astype(np.float32)
MEMBER = MemberRun("a", 4, 1, Network("simple_cnn", (4,), (1,)), average=0.9, learning_rate=0.5)


def batches(count: int) -> list[dict[str, np.ndarray]]:
    return [
        {"pixels": RANDOM.integers(0, 256, (8, 16, 16, 1), dtype=np.uint8), "features": FEATURES[:8]}
        for _ in range(count)
    ]


def test_means_and_variances_are_the_average_over_the_batches_whatever_was_there():
    model = build(MEMBER.network, 16, 3, FEATURES, "a")
    norm = model.get_layer("stage0_norm")
    norm.set_weights([np.full(4, 99.0) for _ in norm.get_weights()])
    inputs = batches(5)
    estimate_norms(model, inputs)
    convolved = keras.Model(model.inputs, model.get_layer("stage0_conv").output)
    outputs = [convolved.predict(batch, verbose=0) for batch in inputs]
    np.testing.assert_allclose(norm.moving_mean, np.mean([o.mean(axis=(0, 1, 2)) for o in outputs], axis=0), rtol=1e-4)
    np.testing.assert_allclose(
        norm.moving_variance, np.mean([o.var(axis=(0, 1, 2)) for o in outputs], axis=0), rtol=1e-4
    )
    assert norm.momentum == 0.95


def test_validation_sees_the_average_with_its_norms_and_training_goes_on_with_its_own_weights():
    model = build(MEMBER.network, 16, 3, FEATURES, "a")
    model.compile(optimizer_for(MEMBER, 10), "categorical_crossentropy")
    inputs, truth = batches(3), np.eye(3)[np.arange(8) % 3]
    for _ in range(5):
        model.train_on_batch(inputs[0], truth)
    kernel = model.get_layer("stage0_conv").kernel
    trained = keras.ops.convert_to_numpy(kernel).copy()
    place = [variable.path for variable in model.trainable_variables].index(kernel.path)
    average = keras.ops.convert_to_numpy(model.optimizer._model_variables_moving_average[place]).copy()
    validation = AveragedValidation(inputs)
    validation.set_model(model)
    validation.on_test_begin()
    np.testing.assert_allclose(kernel, average, rtol=1e-5)
    seen = keras.ops.convert_to_numpy(model.get_layer("stage0_norm").moving_mean).copy()
    validation.on_test_end()
    np.testing.assert_allclose(kernel, trained, rtol=1e-5)
    model.get_layer("stage0_conv").kernel.assign(average)
    estimate_norms(model, inputs)
    np.testing.assert_allclose(model.get_layer("stage0_norm").moving_mean, seen, rtol=1e-4)
    assert np.abs(average - trained).max() > 1e-3
