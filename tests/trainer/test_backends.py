"""The same run under JAX, PyTorch, and in half precision: trained, cut, resumed, and read by what comes after."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bundle.preprocess import InputSpec
from trainer.data.dataset import load_dataset
from trainer.feed import plain_inputs

from .conftest import write_shapes
from .trainings import JAX, environment, kill_after_epoch, train, weights, write_run

SCORES = """
import sys, keras, numpy as np
model = keras.saving.load_model(sys.argv[1], compile=False)
np.save(sys.argv[3], model.predict(dict(np.load(sys.argv[2])), verbose=0))
"""
# What PyTorch trains with gives what Keras' own layers give: at a side that strides divide and at one that they do not, in
# training and after it, and to the gradients.
NATIVE = """
import keras, numpy as np, torch
from bundle.preprocess import FEATURES
from trainer.averaging import estimate_norms
from trainer.config import Network
from trainer.network.architectures import build
from trainer.network.native import TorchConvolution, TorchDepthwise, TorchNorm, native

keras.utils.set_random_seed(1)
random = np.random.default_rng(0)
small = Network("residual_cnn", widths=(8, 16), blocks=(1, 2), dropout=0.0)
lite = Network("efficientnet_lite0", dropout=0.0)
for network, side, counts in ((small, 32, [8, 0, 8]), (small, 25, [8, 0, 8]), (lite, 50, [33, 16, 49])):
    features = random.random((40, len(FEATURES)), dtype=np.float32)
    plain = build(network, side, 5, features, "plain")
    fast = native(plain)
    for kept, made in zip(fast.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, made)  # such as those of ImageNet
    layers = (fast if network is small else fast.get_layer("backbone")).layers
    kinds = [type(layer) for layer in layers]
    assert [kinds.count(kind) for kind in (TorchConvolution, TorchDepthwise, TorchNorm)] == counts, kinds
    batch = {"pixels": random.integers(0, 256, (40, side, side, 1), np.uint8), "features": features}
    truth = torch.from_numpy(random.integers(0, 5, 40))
    for training in (True, True, False):
        scores = [model(batch, training=training) for model in (plain, fast)]
        np.testing.assert_allclose(*(each.detach().numpy() for each in scores), atol=1e-4)
    losses = [torch.nn.functional.nll_loss(model(batch, training=True).log(), truth) for model in (plain, fast)]
    for loss in losses:
        loss.backward()
    largest = max(np.linalg.norm(variable.value.grad.numpy()) for variable in plain.trainable_variables)
    for ours, theirs in zip(fast.trainable_variables, plain.trainable_variables, strict=True):
        one, other = ours.value.grad.numpy(), theirs.value.grad.numpy()
        # A rounding may turn one ReLU of thousands, and a shift that a norm takes away again has no gradient but roundings.
        assert np.linalg.norm(one - other) < 0.05 * np.linalg.norm(other) + 1e-5 * largest, ours.path
    for ours, theirs in zip(fast.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    kept = []
    fast.register_forward_hook(lambda model, given, scores: kept.append(scores.requires_grad))
    estimate_norms(fast, [batch, batch])
    fast(batch, training=True)
    assert kept == [False, False, True], kept  # what a batch computed is kept for the way back only where there is one
"""
MEMBER = Path("members") / "01-residual.keras"
TORCH = {"KERAS_BACKEND": "torch"}
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="PyTorch is not installed: gigabytes on most machines (docs/training.md)",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("data") / "shapes", per_class=60)


def scores(member: Path, inputs: Path, backend: dict[str, str]) -> np.ndarray:
    out = inputs.with_name("scores.npy")
    asked = [sys.executable, "-c", SCORES, str(member), str(inputs), str(out)]
    subprocess.run(asked, check=True, capture_output=True, timeout=200, env=environment(backend))
    return np.load(out)


@pytest.mark.parametrize(
    ("env", "more"),
    [
        pytest.param(JAX, "average = 0.9\n", id="jax"),
        pytest.param(TORCH, "average = 0.9\n", id="torch", marks=needs_torch),
        pytest.param({}, 'average = 0.9\nprecision = "mixed_float16"\nstop_after = 3\n', id="mixed_float16"),
    ],
)
def test_a_run_learns_and_is_resumed_to_the_bit(data: Path, tmp_path: Path, env: dict[str, str], more: str):
    run = write_run(tmp_path, epochs=4, more=more)
    whole = train(run, data, tmp_path / "whole", env=env)
    assert whole.returncode == 0, whole.stderr
    record = json.loads((tmp_path / "whole" / "training.json").read_text())["members"][0]
    assert record["versions"]["backend"] == env.get("KERAS_BACKEND", "tensorflow")
    assert record["history"][-1]["loss"] < record["history"][0]["loss"] / 1.5
    assert record["test"]["accuracy"] > 0.8  # a third is chance
    kill_after_epoch(2, run, data, tmp_path / "cut", env=env)
    resumed = train(run, data, tmp_path / "cut", env=env)
    assert resumed.returncode == 0, resumed.stderr
    assert "residual: goes on after epoch " in resumed.stderr
    for ours, theirs in zip(weights(tmp_path / "cut" / MEMBER), weights(tmp_path / "whole" / MEMBER), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs)
    if env:
        dataset = load_dataset(data, InputSpec(), 24, tmp_path / "whole" / "cache", print)
        inputs = tmp_path / "inputs.npz"
        np.savez(inputs, allow_pickle=False, **plain_inputs(dataset, np.arange(180)))
        under = [scores(tmp_path / "whole" / MEMBER, inputs, backend) for backend in (env, {})]
        np.testing.assert_allclose(under[0], under[1], atol=1e-4)


@needs_torch
def test_what_pytorch_trains_with_gives_what_keras_own_layers_give():
    ran = subprocess.run(
        [sys.executable, "-c", NATIVE], check=False, capture_output=True, text=True, timeout=200, env=environment(TORCH)
    )
    assert ran.returncode == 0, ran.stderr
