"""A small run and the processes that train it."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

RUN = """
name = "shapes"
[split]
validation = 0.2
test = 0.2
[[members]]
name = "residual"
side = 24
network = {{ architecture = "residual_cnn", widths = [8, 16], blocks = [1, 1] }}
epochs = {epochs}
batch = 16
seed = 3
learning_rate = {rate}
"""

# Two devices on one processor, as TensorFlow makes them; JAX takes its own from the environment.
DIVIDED = (
    "import tensorflow as tf; tf.config.set_logical_device_configuration(tf.config.list_physical_devices('CPU')[0], "
    "[tf.config.LogicalDeviceConfiguration()] * 2); from trainer.cli import app; app()"
)
_compiled = tempfile.TemporaryDirectory(
    prefix="planktow-jax-"
)  # by the processes of this one: each saves the next 10 s
JAX = {
    "KERAS_BACKEND": "jax",
    "JAX_COMPILATION_CACHE_DIR": _compiled.name,
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
JAX_DIVIDED = JAX | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


def write_run(folder: Path, epochs: int = 6, rate: float = 0.05, more: str = "") -> Path:
    """The run file; `more` are further lines of its member, or further members."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.toml"
    path.write_text(RUN.format(epochs=epochs, rate=rate) + more)
    return path


def command(run: Path, data: Path, out: Path, *options: str, divided: bool = False) -> list[str]:
    """divided: TensorFlow sees two devices."""
    begin = ["-c", DIVIDED] if divided else ["-m", "trainer.cli"]
    return [sys.executable, *begin, "train", str(run), "--data", str(data), "--out", str(out), *options]


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """Of a process that is not to know what this one was told of back ends, hosts and trackers."""
    own = ("KERAS_", "JAX_", "XLA_", "TF_CONFIG", "MLFLOW_")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)} | (more or {})


def train(
    run: Path, data: Path, out: Path, *options: str, divided: bool = False, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(run, data, out, *options, divided=divided),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=environment(env),
    )


def cut(
    arguments: list[str], log: Path, when: Callable[[str], bool], how: int, env: dict[str, str] | None = None
) -> int:
    """Runs the command until its lines, in `log`, are such, and ends it by the signal `how`; returns its exit code."""
    with log.open("w") as lines:
        # Whoever starts the tests in the background of a shell has them ignore Ctrl-C, and what they start as well.
        heeding = ["env", "--default-signal=INT", *arguments]
        process = subprocess.Popen(heeding, stderr=lines, env=environment(env))
        deadline = time.monotonic() + 200
        while not when(log.read_text()):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        os.kill(process.pid, how)
        return process.wait(60)


def kill_after_epoch(
    epoch: int,
    run: Path,
    data: Path,
    out: Path,
    *options: str,
    divided: bool = False,
    env: dict[str, str] | None = None,
) -> None:
    """kill -9 once the line of this epoch is said; no member is written then."""
    arguments = command(run, data, out, *options, divided=divided)
    cut(arguments, out.parent / "log", lambda lines: f"  epoch {epoch}/" in lines, signal.SIGKILL, env)
    assert not (out / "members").exists()


def weights(file: Path) -> list[np.ndarray]:
    import keras

    return keras.saving.load_model(file, compile=False).get_weights()
