"""A whole run on rendered images, in real processes: trained, cut with kill -9, resumed, recorded, refused."""

import json
import re
import signal
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from bundle.training import image_key
from bundle.whole import sha256_hex

from .conftest import write_shapes
from .trainings import command, cut, kill_after_epoch, train, weights, write_run

SECOND = """
[[members]]
name = "simple"
side = 16
network = { architecture = "simple_cnn", widths = [8, 16], blocks = [1, 1] }
epochs = 2
batch = 16
seed = 4
learning_rate = 0.02
imbalance = { class_weights = "inverse", power = 0.5 }
precision = "mixed_bfloat16"
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("data") / "shapes", per_class=60)


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, data: Path
) -> tuple[Path, Path, subprocess.CompletedProcess[str]]:
    """(run file, output folder, finished process) of an undisturbed run with two members."""
    folder = tmp_path_factory.mktemp("trained")
    run = write_run(folder, more=SECOND)
    return run, folder / "out", train(run, data, folder / "out")


def test_a_run_leaves_members_that_know_the_shapes_and_a_record_that_says_so(trained, data: Path):
    _, out, process = trained
    assert process.returncode == 0, process.stderr
    record = json.loads((out / "training.json").read_text())
    assert record["labels"] == ["disc", "ring", "rod"]
    assert [member["side"] for member in record["members"]] == [24, 16]
    assert record["data"]["images"] == 180
    assert record["data"]["images_per_class"] == [60, 60, 60]
    assert [member["file"] for member in record["members"]] == ["members/01-residual.keras", "members/02-simple.keras"]
    for member in record["members"]:
        assert sha256_hex((out / member["file"]).read_bytes()) == member["sha256"]
        assert len(member["history"]) == member["settings"]["epochs"]
    assert record["members"][0]["test"]["accuracy"] > 0.8  # a third is chance
    assert record["members"][0]["test"]["images"] == len(record["split"]["test"])
    parts = [key for part in ("train", "validation", "test") for key in record["split"][part]]
    assert sorted(parts) == sorted({image_key(sha256_hex(path.read_bytes())) for path in data.glob("*/*.png")})
    assert list((out / "tensorboard").rglob("events.out.tfevents.*"))
    assert not list((out / "checkpoints").glob("*"))


def test_a_person_can_read_how_it_goes(trained):
    _, _, process = trained
    lines = [line.split("  ", 1)[1] for line in process.stderr.splitlines() if line[2:3] == ":"]
    assert any(line.startswith("180 images in 3 classes: ") for line in lines)
    (third,) = [line for line in lines if line.startswith("residual  epoch 3/6  ")]
    assert all(word in third for word in ("loss ", "train ", "validation ", "images/s", " left"))
    assert lines[-1].startswith("next: planktow-quantize ")


def test_a_finished_member_is_left_alone_and_a_changed_one_is_trained_anew(trained, data: Path):
    run, out, _ = trained
    before = {path.name: path.stat().st_mtime_ns for path in (out / "members").glob("*.keras")}
    run.write_text(run.read_text().replace("power = 0.5", "power = 0.25"))
    process = train(run, data, out)
    assert process.returncode == 0, process.stderr
    after = {path.name: path.stat().st_mtime_ns for path in (out / "members").glob("*.keras")}
    assert "residual: finished before, left as it is" in process.stderr
    assert after["01-residual.keras"] == before["01-residual.keras"]
    assert after["02-simple.keras"] > before["02-simple.keras"]


def test_a_run_killed_and_resumed_ends_with_the_weights_of_an_undisturbed_one(trained, data: Path, tmp_path: Path):
    run, out = write_run(tmp_path), tmp_path / "out"
    kill_after_epoch(2, run, data, out)
    resumed = train(run, data, out)
    assert resumed.returncode == 0, resumed.stderr
    assert "residual: goes on after epoch " in resumed.stderr
    assert "epoch 1/6" not in resumed.stderr
    for ours, theirs in zip(
        weights(out / "members" / "01-residual.keras"),
        weights(trained[1] / "members" / "01-residual.keras"),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_ctrl_c_ends_in_one_line_that_says_how_it_goes_on(data: Path, tmp_path: Path):
    run, out, log = write_run(tmp_path, epochs=20), tmp_path / "out", tmp_path / "log"  # long enough to be cut
    code = cut(command(run, data, out), log, lambda lines: "epoch 2/20" in lines, signal.SIGINT)
    assert code == 130
    assert "Traceback" not in log.read_text()
    last = log.read_text().splitlines()[-1]
    (epochs,) = re.findall(r"residual: stopped; the same command goes on after epoch (\d+) of 20$", last)
    resumed = train(run, data, out)
    assert resumed.returncode == 0, resumed.stderr
    assert f"residual: goes on after epoch {epochs} of 20" in resumed.stderr


@pytest.mark.parametrize("shipped", [False, True], ids=["keras", "tflite"])
def test_a_member_can_begin_with_what_another_has_learnt(trained, data: Path, tmp_path: Path, shipped: bool):
    learnt = trained[1] / "members" / "01-residual.keras"
    if shipped:
        model = keras.saving.load_model(learnt, compile=False)
        learnt = tmp_path / "01-residual.tflite"
        learnt.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    run = write_run(tmp_path, epochs=1, rate=1e-6)
    run.write_text(run.read_text() + f'start_from = "{learnt}"\n')
    process = train(run, data, tmp_path / "out")
    assert process.returncode == 0, process.stderr
    assert f"layers begin with the weights of {learnt}" in process.stderr
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["members"][0]["settings"]["start_from"] == str(learnt)
    assert record["members"][0]["test"]["accuracy"] > 0.8  # after one epoch that changes next to nothing


def test_a_beginning_that_is_not_there_is_refused(data: Path, tmp_path: Path):
    run = write_run(tmp_path)
    run.write_text(run.read_text() + 'start_from = "nowhere.keras"\n')
    process = train(run, data, tmp_path / "out")
    assert process.returncode == 2
    assert "nowhere.keras: start_from names no file" in process.stderr
    assert not (tmp_path / "out" / "members").exists()


def test_a_loss_that_is_no_number_stops_with_the_epoch_and_leaves_no_member(data: Path, tmp_path: Path):
    process = train(write_run(tmp_path, rate=1e30), data, tmp_path / "out")
    assert process.returncode == 2
    assert "residual: the loss is no longer a number in epoch 1, step " in process.stderr
    assert "Lower learning_rate" in process.stderr
    assert "Traceback" not in process.stderr
    assert not (tmp_path / "out" / "members").exists()
    assert not (tmp_path / "out" / "training.json").exists()


def test_a_checkpoint_of_other_data_is_refused(data: Path, tmp_path: Path):
    run, out = write_run(tmp_path, epochs=3), tmp_path / "out"
    checkpoint = out / "checkpoints" / "01-residual.npz"
    cut(command(run, data, out), tmp_path / "log", lambda _: checkpoint.exists(), signal.SIGKILL)
    run.write_text(run.read_text().replace("batch = 16", "batch = 33"))
    refused = train(run, data, out)
    assert refused.returncode == 2
    assert f"{checkpoint}: " in refused.stderr
    assert "delete it to begin this member anew" in refused.stderr
    assert checkpoint.exists()


def test_a_missing_data_set_is_refused_in_one_line(tmp_path: Path):
    process = train(write_run(tmp_path), tmp_path / "nowhere", tmp_path / "out")
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].endswith(
        f"{tmp_path / 'nowhere'}: not a folder; give a folder that has one sub-folder of images for each class"
    )
