"""A finished run judged by the command, on real images and real members."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from bundle.greedy import Scored
from bundle.preprocess import Inputs, InputSpec, prepare
from trainer.cli import app
from trainer.judge.evaluate import evaluate_run, write_evaluation
from trainer.judge.evaluation import evaluate

from .conftest import write_shapes
from .finishedrun import SIDES, write_run

PLOTS = (
    "accuracy-by-class-size.png",
    "class-counts.png",
    "confident-mistakes.png",
    "confusion.png",
    "reliability.png",
    "training-curves.png",
)


def evaluate_command(run: Path, data: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["evaluate", str(run), "--data", str(data), *more])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("data") / "shapes", per_class=30)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Three members: one that learnt, two that remember it less well."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return write_run(folder, data, [("good", 0.0), ("fair", 0.4), ("poor", 2.0)])


@pytest.fixture(scope="module")
def judged(run: Path, data: Path) -> tuple[Path, Result]:
    result = evaluate_command(run, data)
    return run / "evaluation-test", result


def test_the_figures_are_those_of_the_members_on_the_recorded_test_images(judged, run: Path, data: Path):
    import keras

    out, result = judged
    assert result.exit_code == 0, result.output
    record = json.loads((out / "evaluation.json").read_text())
    assert (record["part"], record["images"]) == ("test", 24)
    assert [member["name"] for member in record["members"]] == ["01-good", "02-fair", "03-poor"]
    images, truth = inputs(run, data, "test")
    for member in record["members"]:
        model = keras.saving.load_model(run / "members" / f"{member['name']}.keras", compile=False)
        (side,) = {tensor.shape[1] for tensor in model.inputs if tensor.name == "pixels"}
        pixels = images.pixels[side][..., None]
        scores = model.predict({"pixels": pixels, "features": images.features}, verbose=0)
        assert member["accuracy"] == pytest.approx((scores.argmax(axis=1) == truth).mean(), abs=1e-6)
        loss = -np.log(scores[np.arange(24), truth]).mean()
        assert member["as_given"]["log_loss"] == pytest.approx(loss, rel=1e-4)
    assert record["members"][0]["accuracy"] > 0.7  # a third is chance
    low, high = record["hard"]["accuracy_interval"]
    assert low < record["hard"]["accuracy"] < high
    assert record["hard"]["temperature"] is None
    assert [(size["size"], size["tried"], size["of"]) for size in record["sizes"]] == [(1, 3, 3), (2, 3, 3), (3, 1, 1)]


def test_the_classes_of_the_table_add_up_to_the_images(judged):
    out, _ = judged
    rows = list(csv.DictReader((out / "per_class.csv").read_text().splitlines()))
    assert [row["label"] for row in rows] == ["disc", "ring", "rod"]
    assert [(row["train_images"], row["images"]) for row in rows] == [("14", "8")] * 3
    record = json.loads((out / "evaluation.json").read_text())
    recalls = [float(row["recall"]) for row in rows]
    assert np.mean(recalls) == pytest.approx(record["hard"]["balanced_accuracy"], abs=1e-5)
    for row in rows:
        assert (row["mostly_confused_with"] == "") == (row["recall"] == "1.0")


def test_every_plot_is_a_picture_of_something(judged):
    out, _ = judged
    assert sorted(path.name for path in out.iterdir()) == sorted([*PLOTS, "evaluation.json", "per_class.csv"])
    for name in PLOTS:
        image = cv2.imread(str(out / name))
        assert min(image.shape[:2]) > 150
        assert image.std() > 5


def test_a_person_reads_judges_sizes_and_where_the_files_are(judged):
    out, result = judged
    for words in ("shapes: 24 test images of 3 classes", "hard vote", "soft vote", "01-good", "chosen on validation"):
        assert words in result.stdout
    assert str(out) in result.stderr
    assert max(len(line) for line in result.stdout.splitlines()) < 100


def test_added_images_and_classes_change_nothing_but_are_said(judged, run: Path, data: Path, tmp_path: Path):
    more = shutil.copytree(data, tmp_path / "more")
    write_shapes(more, per_class=3, seed=7, first=100)
    (more / "aaa_new").mkdir()
    shutil.copy(more / "rod" / "101.png", more / "aaa_new" / "1.png")
    (more / "rod" / "101.png").unlink()
    said: list[str] = []
    write_evaluation(evaluate_run(run, more, "test", said.append), tmp_path / "out")
    assert any("has changed since" in line for line in said)
    before, after = (json.loads((out / "evaluation.json").read_text()) for out in (judged[0], tmp_path / "out"))
    for key in ("members", "hard", "soft", "sizes"):
        assert after[key] == before[key]
    assert after["data_digest_trained_on"] == before["data_digest"] != after["data_digest"]


def test_a_missing_test_image_is_refused_before_any_member_is_asked(run: Path, data: Path, tmp_path: Path):
    less = shutil.copytree(data, tmp_path / "less")
    for path in sorted((less / "ring").iterdir())[:20]:
        path.unlink()
    result = evaluate_command(run, less, "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if "cannot be used" in line]
    assert f"{less}: " in line
    assert "give the data set of the run" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda run: (run / "members" / "02-fair.keras").write_bytes(b"torn"), "02-fair.keras: its sha-256 is not"),
        (lambda run: (run / "members" / "02-fair.keras").unlink(), "02-fair.keras: cannot be read"),
        (lambda run: (run / "training.json").write_text("{"), "training.json: not valid JSON"),
        (lambda run: (run / "training.json").unlink(), "training.json: cannot be read"),
    ],
)
def test_a_damaged_run_is_refused_in_one_line(run: Path, data: Path, tmp_path: Path, fault, words: str):
    broken = shutil.copytree(run, tmp_path / "broken", ignore=shutil.ignore_patterns("cache"))
    fault(broken)
    result = evaluate_command(broken, data, "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.output
    assert not (broken / "cache").exists()


def test_a_soft_vote_that_no_ballot_names_is_wrong_but_keeps_its_score():
    # Mean (0.4, 0.36, 0.24) is for class 0, which neither member names.
    scores = np.array([[[0.4, 0.6, 0.0]], [[0.4, 0.12, 0.48]]], np.float32)
    found = evaluate(["x", "y"], ["a", "b", "c"], [1, 1, 1], *[Scored(np.zeros(1, np.int32), scores)] * 2)
    assert found.soft.summary.accuracy == 0
    assert [(each.mean_score, each.accuracy) for each in found.soft.as_given.bins] == [(pytest.approx(0.4), 0)]


def test_any_label_can_be_drawn_and_printed_and_the_validation_part_is_said_to_flatter(tmp_path: Path):
    names = {"disc": "$x_1$ [bold]", "ring": "渦鞭毛藻", "rod": "r" * 60}
    data = write_shapes(tmp_path / "data", per_class=30)
    for old, new in names.items():
        (data / old).rename(data / new)
    run = write_run(tmp_path / "run", data, [("only", 2.0)])
    result = evaluate_command(run, data, "--part", "validation", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert "$x_1$ [bold]" in result.stdout
    assert "on these very images" in result.stdout
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["part"] == "validation"
    assert cv2.imread(str(tmp_path / "out" / "confusion.png")) is not None


def inputs(run: Path, data: Path, part: str) -> tuple[Inputs, np.ndarray]:
    """The images of a part, read anew and prepared by the bundle's own code, and their true classes."""
    from bundle.training import image_key
    from bundle.whole import sha256_hex

    record = json.loads((run / "training.json").read_text())
    files = {image_key(sha256_hex(path.read_bytes())): path for path in data.glob("*/*.png")}
    found = [files[key] for key in record["split"][part]]
    prepared = [prepare(path.read_bytes(), InputSpec(), SIDES) for path in found]
    return Inputs.of(prepared), np.array([record["labels"].index(path.parent.name) for path in found])
