"""One device or several, in real processes: the same images, the same steps, the same weights as far as arithmetic allows."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bundle.errors import BadConfig
from trainer.devices import HOSTS, Devices, find_devices, helps_xla

from .conftest import write_shapes
from .trainings import JAX_DIVIDED, environment, kill_after_epoch, train, weights, write_run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("data") / "shapes", per_class=60)


SAID = {
    "one": "2 devices can be used, one is: --devices all trains each member on all of them",
    "all": "2 devices share each batch: cpu:0, cpu:1",
}


def mirrored(which: str, folder: Path) -> dict[str, np.ndarray]:
    out = folder / f"{which}.npz"
    process = subprocess.run(
        [sys.executable, "-m", "tests.trainer.mirrored", which, str(out)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env=environment(),
    )
    assert process.returncode == 0, process.stderr
    with np.load(out) as saved:
        return dict(saved)


def test_without_batch_norms_two_mirrored_devices_learn_what_one_learns(tmp_path: Path):
    """Also momentum and average; backbone and head have rates of their own, kernels decay, on either device."""
    one, two = mirrored("one", tmp_path), mirrored("all", tmp_path)
    np.testing.assert_allclose(two.pop("loss"), one.pop("loss"), rtol=1e-5)
    for name, copies in two.items():
        assert len(copies) == 2, name
        np.testing.assert_array_equal(copies[0], copies[1], err_msg=name)
        np.testing.assert_allclose(copies[0], one[name][0], rtol=1e-5, atol=1e-6, err_msg=name)


def test_two_mirrored_devices_train_a_run_that_goes_on_where_it_was_cut(data: Path, tmp_path: Path):
    run = write_run(tmp_path, epochs=4, more="average = 0.8\n")
    whole = train(run, data, tmp_path / "whole", "--devices", "all", divided=True)
    assert whole.returncode == 0, whole.stderr
    assert "2 devices share each batch: /device:CPU:0, /device:CPU:1" in whole.stderr
    record = json.loads((tmp_path / "whole" / "training.json").read_text())
    assert record["members"][0]["test"]["accuracy"] > 0.8  # a third is chance
    kill_after_epoch(2, run, data, tmp_path / "cut", "--devices", "all", divided=True)
    resumed = train(run, data, tmp_path / "cut", "--devices", "all", divided=True)
    assert resumed.returncode == 0, resumed.stderr
    assert "residual: goes on after epoch " in resumed.stderr
    for ours, theirs in zip(
        weights(tmp_path / "cut" / "members" / "01-residual.keras"),
        weights(tmp_path / "whole" / "members" / "01-residual.keras"),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_under_jax_two_devices_train_as_one_batch_norms_too(data: Path, tmp_path: Path):
    run = write_run(tmp_path, epochs=2)
    histories = []
    for which in ("one", "all"):
        process = train(run, data, tmp_path / which, "--devices", which, env=JAX_DIVIDED)
        assert process.returncode == 0, process.stderr
        assert SAID[which] in process.stderr
        record = json.loads((tmp_path / which / "training.json").read_text())
        histories.append([[epoch["loss"], epoch["accuracy"]] for epoch in record["members"][0]["history"]])
    np.testing.assert_allclose(histories[1], histories[0], rtol=1e-3)
    for ours, theirs in zip(
        weights(tmp_path / "all" / "members" / "01-residual.keras"),
        weights(tmp_path / "one" / "members" / "01-residual.keras"),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_a_batch_that_cannot_be_shared_is_refused_before_anything_is_trained(data: Path, tmp_path: Path):
    run = write_run(tmp_path)
    run.write_text(run.read_text().replace("batch = 16", "batch = 17"))
    process = train(run, data, tmp_path / "out", "--devices", "all", divided=True)
    assert process.returncode == 2
    assert "residual: a batch of 17 images cannot be shared equally by 2 devices; set batch = 16" in process.stderr
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_every_validation_image_is_some_hosts_and_all_hosts_have_equally_many():
    images = np.arange(100, 131)
    hosts = [Devices(4, host, 2).own(images) for host in (0, 1)]
    assert [len(own) for own in hosts] == [16, 16]
    assert sorted(np.concatenate(hosts).tolist()) == [100, *images.tolist()]
    assert [Devices(4, host, 2).part(256) for host in (0, 1)] == [128, 128]
    np.testing.assert_array_equal(Devices().own(images), images)
    assert Devices().part(256) == 256


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (HOSTS, "a:1,b:1"),
        ("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'),
    ],
)
def test_several_hosts_under_tensorflow_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    with pytest.raises(BadConfig, match="several hosts train together under JAX only: set KERAS_BACKEND=jax"):
        find_devices("all", print)


def test_where_there_is_one_device_it_is_all():
    said: list[str] = []
    assert find_devices("all", said.append) == find_devices("one", said.append) == Devices()
    assert said == []


def test_xla_compiles_under_jax_and_on_one_gpu_only():
    assert helps_xla("jax", gpu=False, shared=True) == helps_xla("tensorflow", gpu=True, shared=False) == "auto"
    assert helps_xla("tensorflow", gpu=True, shared=True) is False  # fails in the first step
    assert helps_xla("tensorflow", gpu=False, shared=False) is False
