"""The state after an epoch: all of it, whole or absent, bound to its run."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest

from bundle.errors import BadData
from trainer.checkpoint import CannotSave, Checkpoint, best, epochs_saved, resume, save_whole, sweep
from trainer.config import MemberRun, Network
from trainer.network.architectures import build
from trainer.optimizer import optimizer_for

FEATURES = np.random.default_rng(0).normal(3.0, 2.0, (50, 8)).astype(np.float32)
MEMBER = MemberRun("a", 4, 1, Network("residual_cnn", (4,), (1,)), average=0.9)


def model() -> keras.Model:
    made = build(MEMBER.network, 16, 3, FEATURES, "a")
    made.compile(optimizer_for(MEMBER, 10), "categorical_crossentropy")
    return made


@cache
def trained(steps: int = 3) -> keras.Model:
    """After so many steps; shared by the tests, which only read it."""
    made = model()
    pixels = np.random.default_rng(1).integers(0, 256, (8, 16, 16, 1), dtype=np.uint8)
    for _ in range(steps):
        made.train_on_batch({"pixels": pixels, "features": FEATURES[:8]}, np.eye(3)[np.arange(8) % 3])
    return made


def write(made: keras.Model, path: Path, losses: list[float], keep_best: bool = False) -> None:
    history = [{"epoch": float(number), "val_loss": loss} for number, loss in enumerate(losses, start=1)]
    checkpoint = Checkpoint(path, "this run", history, keep_best)
    checkpoint.set_model(made)
    checkpoint.on_epoch_end(len(losses) - 1, {"loss": losses[-1]})


def state(made: keras.Model) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable) for variable in [*made.variables, *made.optimizer.variables]]


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """What a full disk does to a write: the kernel refuses it in the middle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_weights_optimizer_average_dropout_and_history_come_back(tmp_path: Path):
    made, again = trained(), model()
    write(made, tmp_path / "a.npz", [0.5, 0.4])
    assert any((ours != theirs).any() for ours, theirs in zip(state(made), state(trained(2)), strict=True))
    history = resume(again, tmp_path / "a.npz", "this run")
    assert [entry["val_loss"] for entry in history] == [0.5, 0.4]
    for ours, theirs in zip(state(again), state(made), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    paths = " ".join(variable.path for variable in [*made.variables, *made.optimizer.variables])
    assert all(part in paths for part in ("seed_generator", "momentum", "average", "iteration")), paths


def test_where_there_is_none_a_run_begins(tmp_path: Path):
    assert resume(model(), tmp_path / "a.npz", "this run") == []


def test_the_state_of_the_lowest_validation_loss_is_kept_beside(tmp_path: Path):
    path = tmp_path / "a.npz"
    write(trained(1), path, [0.5], keep_best=True)
    write(trained(2), path, [0.5, 0.4], keep_best=True)
    write(trained(3), path, [0.5, 0.4, 0.45], keep_best=True)
    assert len(resume(model(), path, "this run")) == 3
    assert len(resume(model(), best(path), "this run")) == 2
    assert (epochs_saved(path), epochs_saved(best(path)), epochs_saved(tmp_path / "none.npz")) == (3, 2, 0)


def test_a_full_disk_leaves_the_state_of_the_epoch_before(tmp_path: Path):
    path = tmp_path / "a.npz"
    write(trained(1), path, [0.5])
    before = path.read_bytes()
    with (
        files_no_larger_than(len(before) // 2),
        pytest.raises(CannotSave, match=r"a\.npz: cannot be written .* Make room"),
    ):
        write(trained(2), path, [0.5, 0.4])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]


def test_what_a_killed_process_left_half_written_is_taken_away_and_nothing_else(tmp_path: Path):
    path = tmp_path / "01-a.npz"
    for name in ("01-a.npz", ".01-a.npz.4711.partial", ".01-a-best.npz.4711.partial", ".02-b.npz.4711.partial"):
        (tmp_path / name).write_bytes(b"")
    sweep(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".02-b.npz.4711.partial", "01-a.npz"]


def test_a_full_disk_leaves_no_half_member(tmp_path: Path):
    path = tmp_path / "members" / "a.keras"
    with files_no_larger_than(2000), pytest.raises(CannotSave, match=r"a\.keras: cannot be written"):
        save_whole(trained(1), path)
    assert list(path.parent.iterdir()) == []


def test_a_loss_that_is_no_number_is_not_written(tmp_path: Path):
    checkpoint = Checkpoint(tmp_path / "a.npz", "this run", [], keep_best=False)
    checkpoint.set_model(trained(1))
    checkpoint.on_epoch_end(0, {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spoil", "of", "message"),
    [
        (lambda data: data[: len(data) // 2], "this run", r"a\.npz: not a checkpoint that can be resumed .*delete it"),
        (lambda _: b"not an archive", "this run", r"a\.npz: not a checkpoint that can be resumed .*delete it"),
        (lambda data: data, "another run", r"a\.npz: the run's settings or the data have changed .*delete it"),
    ],
)
def test_what_cannot_be_resumed_is_refused_and_left(tmp_path: Path, spoil, of: str, message: str):
    path = tmp_path / "a.npz"
    write(trained(1), path, [0.5])
    path.write_bytes(spoil(path.read_bytes()))
    left = path.read_bytes()
    with pytest.raises(BadData, match=message):
        resume(model(), path, of)
    assert path.read_bytes() == left
