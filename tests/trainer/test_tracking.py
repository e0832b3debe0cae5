"""A run followed in a real MLflow store: complete after a cut, and no reason to stop when the store is gone."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient

from .conftest import write_shapes
from .trainings import command, environment, kill_after_epoch, train, write_run

FILES = {"MLFLOW_ALLOW_FILE_STORE": "true"}  # a folder: the one store that needs no server and no database


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("data") / "shapes", per_class=40)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in FILES.items():
        monkeypatch.setenv(name, value)
    return (tmp_path / "store").as_uri()


def test_a_run_that_was_cut_is_one_mlflow_run_with_every_epoch_once(data: Path, tmp_path: Path, store: str):
    run, out = write_run(tmp_path, epochs=4), tmp_path / "out"
    kill_after_epoch(2, run, data, out, "--mlflow", store, env=FILES)
    resumed = train(run, data, out, env=FILES | {"MLFLOW_TRACKING_URI": store})
    assert resumed.returncode == 0, resumed.stderr
    assert "residual: goes on after epoch " in resumed.stderr
    client = MlflowClient(tracking_uri=store)
    (followed,) = client.search_runs([client.get_experiment_by_name("shapes").experiment_id])
    record = json.loads((out / "training.json").read_text())
    member = record["members"][0]
    assert followed.info.run_name == "residual"
    assert followed.info.status == "FINISHED"
    assert followed.data.params["data_digest"] == record["data"]["digest"]
    assert followed.data.params["network.widths"] == "(8, 16)"
    assert followed.data.params["learning_rate"] == "0.05"
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        sent = [(m.step, m.value) for m in client.get_metric_history(followed.info.run_id, name)]
        assert sorted(sent) == [(epoch["epoch"], epoch[name]) for epoch in member["history"]], name
    assert followed.data.metrics["test_accuracy"] == member["test"]["accuracy"]
    assert followed.data.metrics["validation_macro_f1"] == member["validation"]["macro_f1"]
    assert not list((out / "checkpoints").iterdir())


def test_a_store_that_fails_later_does_not_stop_the_training(data: Path, tmp_path: Path, store: str):
    run, out = write_run(tmp_path, epochs=2), tmp_path / "out"
    lines = []
    with subprocess.Popen(
        command(run, data, out, "--mlflow", store), stderr=subprocess.PIPE, text=True, env=environment(FILES)
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if "residual: residual_cnn" in line:
                (tmp_path / "store").rename(tmp_path / "gone")  # at once: the run is writing into it
                (tmp_path / "store").write_text("no folder any more")
    assert process.returncode == 0, lines
    assert any("MLflow did not take the scores of residual (" in line for line in lines), lines
    assert (out / "training.json").exists()


def test_a_server_that_is_not_there_is_refused_before_anything_is_read(data: Path, tmp_path: Path):
    process = train(write_run(tmp_path), data, tmp_path / "out", "--mlflow", "http://localhost:1")
    assert process.returncode == 2
    assert "--mlflow http://localhost:1: " in process.stderr.splitlines()[-1]
    assert "start the server, or leave the option out" in process.stderr
    assert "Traceback" not in process.stderr


def test_without_the_extra_the_remedy_is_one_line(data: Path, tmp_path: Path):
    (tmp_path / "mlflow.py").write_text("raise ImportError('as if it were not installed')")
    path = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])}
    asked = command(write_run(tmp_path), data, tmp_path / "out", "--mlflow", "http://localhost:1")
    process = subprocess.run(
        [asked[0], "-c", "from trainer.cli import app; app()", *asked[3:]],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env=environment(path),
    )
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].endswith("--mlflow needs the extra: pip install 'planktow[mlflow]'")
