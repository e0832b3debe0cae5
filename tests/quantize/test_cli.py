"""The command as a person types it: real members, real conversion, a real bundle."""

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from bundle.folder import open_bundle
from bundle.manifest import VoteRule
from bundle.whole import sha256_hex
from quantize.config import Settings
from quantize.run import quantize

COMMAND = [sys.executable, "-m", "quantize.cli"]


def planktow_quantize(run, out: Path, *options: str, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    arguments = [str(run.folder), "--data", str(data or run.data), "--out", str(out), *options]
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tiny_run, tmp_path_factory):
    """The command's output and the bundle that it wrote."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "quantize.toml").write_text("representative_images = 40\n[vote]\nmin_votes = 2\n")
    done = planktow_quantize(tiny_run, folder / "tiny", "--config", str(folder / "quantize.toml"))
    assert done.returncode == 0, done.stderr
    return done, open_bundle(folder / "tiny")


def refused(done: subprocess.CompletedProcess[str], out: Path) -> str:
    """The one line of a refusal; nothing may be left of the bundle."""
    assert done.returncode == 2
    assert done.stdout == ""
    assert not out.exists()
    assert list(out.parent.glob(f".{out.name}*")) == []
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("planktow-quantize: ")]
    assert len(lines) == 1
    assert done.stderr.splitlines()[-1] == lines[0]
    return lines[0].removeprefix("planktow-quantize: ")


def test_the_bundle_holds_what_the_run_and_the_settings_say(finished, tiny_run):
    _, bundle = finished
    manifest = bundle.manifest
    assert manifest.name == "tiny"
    assert manifest.created == tiny_run.record["created"]
    assert manifest.input.side == 32
    assert manifest.vote == VoteRule("hard", "mean_score", min_votes=2)
    assert bundle.labels == ("disc", "ring", "rod")
    assert [(m.file, m.architecture, m.scheme) for m in manifest.members] == [
        ("members/01-residual.tflite", "residual_cnn", "int8"),
        ("members/02-simple.tflite", "simple_cnn", "int8"),
    ]
    assert [(m.pixels.dtype, m.output.dtype) for m in manifest.members] == [("uint8", "float32")] * 2
    assert bundle.contents["training.json"] == (tiny_run.folder / "training.json").read_bytes()


def test_the_bundle_classifies_images_as_its_record_says(finished, tiny_run):
    _, bundle = finished
    ensemble = bundle.load()
    by_hash = {sha256_hex(path.read_bytes()): path for path in tiny_run.data.rglob("*.png")}
    counts = np.zeros((3, 4), int)
    for sha256 in tiny_run.record["split"]["validation"]:
        verdict = bundle.classify(ensemble, [bundle.prepare(by_hash[sha256].read_bytes())])
        counts[bundle.labels.index(by_hash[sha256].parent.name), verdict.label[0]] += 1  # NO_LABEL, -1, is the last
    record = json.loads(bundle.contents["validation.json"])
    assert record["confusion"] == counts.tolist()
    assert record["quantised"]["representative_images"] == 40
    assert np.trace(counts) / counts.sum() == pytest.approx(
        sum(entry["recall"] * entry["support"] for entry in record["classes"]) / 36, abs=1e-5
    )
    assert (record["validation"]["images"], record["test"]["images"]) == (36, 36)


def test_the_manifest_states_the_checks_of_each_member(finished):
    _, bundle = finished
    record = json.loads(bundle.contents["validation.json"])
    for member, stated in zip(bundle.manifest.members, record["validation"]["members"], strict=True):
        assert member.checks.images == 36
        assert member.checks.keras_accuracy == stated["keras"]["accuracy"] > 0.8
        assert member.checks.tflite_accuracy == stated["tflite"]["accuracy"]
        assert member.checks.agreement == stated["agreement"] >= 35 / 36 - 1e-6


def test_a_person_sees_progress_on_stderr_and_a_table_with_digest_and_path_on_stdout(finished):
    done, bundle = finished
    assert (
        "40 training images of 3 of 3 classes set the ranges; 36 validation images decide, 36 test images are"
        in done.stderr
    )
    assert "member 2 of 2: 02-simple to int8" in done.stderr
    assert "3 of 3 convolutions in integers" in done.stderr
    assert "Traceback" not in done.stderr
    assert "01-residual" in done.stdout
    assert f"digest  {bundle.digest}" in done.stdout
    assert f"bundle  {bundle.path} ({bundle.size_bytes / 1000:.0f} kB)" in done.stdout
    assert "hard vote of 2 on 36 test images: " in done.stdout


def test_the_same_members_and_settings_give_the_same_digest_again(finished, tiny_run, tmp_path):
    settings = Settings(representative_images=40, vote=VoteRule(min_votes=2))
    again = quantize(tiny_run.folder, tiny_run.data, tmp_path / "again", settings, None, say=lambda _: None)
    assert again.bundle.digest == finished[1].digest


def test_float32_and_a_name_can_be_asked_for(copy_of_run, tiny_run, tmp_path):
    run = copy_of_run(members=tiny_run.record["members"][1:], split=tiny_run.record["split"] | {"test": []})
    done = planktow_quantize(run, tmp_path / "out", "--scheme", "float32", "--name", "baseline")
    assert done.returncode == 0, done.stderr
    bundle = open_bundle(tmp_path / "out")
    assert (bundle.manifest.name, [member.scheme for member in bundle.manifest.members]) == ("baseline", ["float32"])
    assert bundle.manifest.members[0].checks.agreement == 1.0
    assert json.loads(bundle.contents["validation.json"])["test"] is None
    assert "test images:" not in done.stdout


def test_a_member_that_int8_ruins_is_refused_and_nothing_is_written(copy_of_run, tiny_run, tmp_path):
    """One channel of the stem is made a thousand times larger, and its readers as much smaller: in float the same function,
    but in int8 one scale serves all channels, and nothing is left of the others."""
    file = tiny_run.folder / "members/01-residual.keras"
    model = keras.saving.load_model(file)
    norm = model.get_layer("stem_norm")
    gamma, beta, mean, variance = norm.get_weights()
    norm.set_weights([gamma * factor(gamma.size), beta * factor(beta.size), mean, variance])
    for reader in ("a", "skip"):
        (kernel,) = model.get_layer(reader).get_weights()
        model.get_layer(reader).set_weights([kernel / factor(kernel.shape[2])[None, None, :, None]])
    run = copy_of_run()
    ruined = run.folder / "members/01-residual.keras"
    model.save(ruined)
    members = [tiny_run.record["members"][0] | {"sha256": sha256_hex(ruined.read_bytes())}]
    (run.folder / "training.json").write_text(json.dumps(run.record | {"members": members}))
    out = tmp_path / "out"
    line = refused(planktow_quantize(run, out), out)
    assert line.startswith("members/01-residual.keras: int8 has an accuracy of 0.")
    assert re.search(r"on 36 validation images, 0\.\d{4} below Keras \((1\.0|0\.[89])", line)
    assert "the limit is 0.01; give more representative_images (now 1000)" in line


def factor(channels: int) -> np.ndarray:
    return np.array([1e3] + [1] * (channels - 1), np.float32)


def test_a_corrupt_member_is_refused(copy_of_run, tiny_run, tmp_path):
    run = copy_of_run()
    file = run.folder / "members/01-residual.keras"
    file.write_bytes(file.read_bytes()[:5000])
    members = [tiny_run.record["members"][0] | {"sha256": sha256_hex(file.read_bytes())}]
    (run.folder / "training.json").write_text(json.dumps(run.record | {"members": members}))
    out = tmp_path / "out"
    line = refused(planktow_quantize(run, out), out)
    assert line.startswith(f"{file}: Keras cannot load this model (")
    assert line.endswith("); train the member anew")


def test_a_data_set_without_the_images_of_the_split_is_refused(copy_of_run, tiny_run, tmp_path):
    split = tiny_run.record["split"] | {"validation": ["f" * 64, *tiny_run.record["split"]["validation"]]}
    out = tmp_path / "out"
    line = refused(planktow_quantize(copy_of_run(split=split), out), out)
    assert "1 of the 37 validation images are not there, for example the one with sha-256 ffff" in line


def test_a_missing_data_folder_is_refused(tiny_run, tmp_path):
    out = tmp_path / "out"
    line = refused(planktow_quantize(tiny_run, out, data=tmp_path / "none"), out)
    assert line == f"{tmp_path / 'none'}: not a folder; give the data set that the members were trained on"


def test_more_votes_than_members_are_refused_before_any_work(tiny_run, tmp_path):
    (tmp_path / "q.toml").write_text("[vote]\nmin_votes = 3\n")
    out = tmp_path / "out"
    line = refused(planktow_quantize(tiny_run, out, "--config", str(tmp_path / "q.toml")), out)
    assert line == "vote.min_votes is 3, but the run has 2 members; set it from 1 to that"


def test_an_existing_folder_is_never_written_to(tiny_run, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    done = planktow_quantize(tiny_run, tmp_path)
    assert done.returncode == 2
    assert "exists already; a bundle is never changed in place" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_parent_process_never_loads_tensorflow():
    code = "import quantize.cli, sys; raise SystemExit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
