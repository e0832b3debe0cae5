"""The same run under JAX, and in half precision: trained, cut, resumed, and read by what comes after."""

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
MEMBER = Path("members") / "01-residual.keras"


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
    [(JAX, "average = 0.9\n"), ({}, 'average = 0.9\nprecision = "mixed_float16"\nstop_after = 3\n')],
    ids=["jax", "mixed_float16"],
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
        dataset = load_dataset(data, InputSpec(side=24), tmp_path / "whole" / "cache", print)
        inputs = tmp_path / "inputs.npz"
        np.savez(inputs, allow_pickle=False, **plain_inputs(dataset, np.arange(180)))
        under = [scores(tmp_path / "whole" / MEMBER, inputs, backend) for backend in (env, {})]
        np.testing.assert_allclose(under[0], under[1], atol=1e-4)
