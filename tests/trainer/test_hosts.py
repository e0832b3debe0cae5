"""Two hosts train one run: two processes that find each other by the addresses in their environment, under JAX."""

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bundle.preprocess import InputSpec
from trainer.config import MemberRun, Network
from trainer.data.dataset import load_dataset
from trainer.devices import HOSTS, _parts
from trainer.feed import TrainingFeed

from .conftest import write_shapes
from .trainings import JAX, JAX_DIVIDED, command, environment, train, weights, write_run

SECONDS = 200  # after which a process that waits for another is ended


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("data") / "shapes", per_class=60)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """The folder with host0/ and host1/ of an undisturbed run of both."""
    folder = tmp_path_factory.mktemp("hosts")
    for code, lines in both(write_run(folder, epochs=2), data, [folder / "host0", folder / "host1"]):
        assert code == 0, lines
        assert "2 devices of 2 hosts share each batch" in lines
    return folder


def both(run: Path, data: Path, outs: list[Path]) -> list[tuple[int, str]]:
    """Trains on two hosts, each with its own output folder: (exit code, lines) of each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    processes = []
    for host, out in enumerate(outs):
        hosts = {
            HOSTS: address,
            "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
            "KERAS_DISTRIBUTION_PROCESS_ID": str(host),
        }
        processes.append(
            subprocess.Popen(command(run, data, out), stderr=subprocess.PIPE, text=True, env=environment(JAX | hosts))
        )
    ended = []
    try:
        for process in processes:
            _, lines = process.communicate(timeout=SECONDS)
            ended.append((process.returncode, lines))
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return ended


def history(out: Path) -> list[dict[str, float]]:
    return json.loads((out / "training.json").read_text())["members"][0]["history"]


def test_two_hosts_end_with_the_same_weights_and_the_loss_falls(trained: Path):
    first, second = (weights(trained / host / "members" / "01-residual.keras") for host in ("host0", "host1"))
    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert history(trained / "host0") == history(trained / "host1")
    losses = [epoch["loss"] for epoch in history(trained / "host0")]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 1.5


def test_two_hosts_learn_what_two_devices_of_one_host_learn(trained: Path, data: Path, tmp_path: Path):
    process = train(write_run(tmp_path, epochs=2), data, tmp_path / "out", "--devices", "all", env=JAX_DIVIDED)
    assert process.returncode == 0, process.stderr
    for ours, theirs in zip(
        weights(trained / "host0" / "members" / "01-residual.keras"),
        weights(tmp_path / "out" / "members" / "01-residual.keras"),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_hosts_that_stand_at_different_points_refuse_to_go_on(trained: Path, data: Path, tmp_path: Path):
    shutil.copytree(trained / "host0", tmp_path / "host0")  # has the member, the other host has not
    for code, lines in both(trained / "run.toml", data, [tmp_path / "host0", tmp_path / "host1"]):
        assert code == 2, lines
        told = r"the hosts disagree: host 0 has trained residual \(data (\w+)\); host 1 has to train residual \(data \1\)\."
        assert re.search(told, lines), lines
        assert "copy checkpoints/ and members/ of the one that is further" in lines
    assert not (tmp_path / "host1" / "members").exists()


def test_the_hosts_parts_of_an_epoch_are_every_image_once(data: Path, tmp_path: Path):
    dataset = load_dataset(data, InputSpec(), 24, tmp_path, print)
    features = np.arange(len(dataset.hashes), dtype=np.float32)[:, np.newaxis]  # an image is known by its feature
    dataset = type(dataset)(**(vars(dataset) | {"features": features}))
    member = MemberRun("a", 1, 1, Network("residual_cnn"), batch=20)
    feed = TrainingFeed(dataset, np.arange(len(features)), member, InputSpec())
    seen = []
    for host in (0, 1):
        parts = _parts(feed.from_epoch(0), host, 2)
        seen += [image for _ in range(feed.steps) for image in next(parts)[0]["features"][:, 0].astype(int).tolist()]
    assert len(seen) == 180
    assert sorted(seen) == list(range(180))
    whole, (first, _, _) = feed.at(0, 0)[0], next(_parts(feed.from_epoch(0), 0, 2))
    np.testing.assert_array_equal(first["pixels"], whole["pixels"][:10])
