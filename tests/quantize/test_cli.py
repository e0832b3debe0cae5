"""The command as a person types it: real members, real conversion, a real bundle."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from bundle.folder import open_bundle
from bundle.manifest import VoteRule
from bundle.training import image_key
from bundle.whole import sha256_hex
from quantize.config import Settings
from quantize.run import quantize

COMMAND = [str(Path(sys.executable).with_name("planktow-quantize"))]


def planktow_quantize(run, out: Path, *options: str, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    arguments = [str(run.folder), "--data", str(data or run.data), "--out", str(out), *options]
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tiny_run, tmp_path_factory):
    """The command's output and the bundle that it wrote."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "quantize.toml").write_text(
        "representative_images = 40\ncompare = ['dynamic', 'float32']\n[vote]\nmin_votes = 2\n"
    )
    done = planktow_quantize(tiny_run, folder / "tiny", "--config", str(folder / "quantize.toml"))
    assert done.returncode == 0, done.stderr
    return done, open_bundle(folder / "tiny")


def refused(done: subprocess.CompletedProcess[str], out: Path) -> str:
    """The one line of a refusal; nothing may be left of the bundle."""
    assert done.returncode == 2
    assert done.stdout == ""
    assert not out.exists()
    assert list(out.parent.glob(f".{out.name}*")) == []
    assert list(out.parent.glob(f"{out.name}*")) == []
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
    assert [member.side for member in manifest.members] == [32, 40]
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
    by_key = {image_key(sha256_hex(path.read_bytes())): path for path in tiny_run.data.rglob("*.png")}
    counts = np.zeros((3, 4), int)
    for key in tiny_run.record["split"]["validation"]:
        verdict = bundle.classify(ensemble, [bundle.prepare(by_key[key].read_bytes())])
        counts[bundle.labels.index(by_key[key].parent.name), verdict.label[0]] += 1  # NO_LABEL, -1, is the last
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
    assert "40 training images of 3 of 3 classes set the ranges; 36 validation images decide, 36 test" in done.stderr
    assert "member 2 of 2: 02-simple to int8" in done.stderr
    assert "int8 throughout: the gates hold" in done.stderr
    assert "Traceback" not in done.stderr
    assert "01-residual" in done.stdout
    assert f"digest  {bundle.digest}" in done.stdout
    assert f"bundle  {bundle.path} ({bundle.size_bytes / 1000:.0f} kB)" in done.stdout
    assert "hard vote of 2 on 36 test images: " in done.stdout
    assert f"report  {bundle.path}-report/report.html" in done.stdout


def test_the_report_compares_every_member_in_every_scheme_and_every_choice_of_them(finished):
    _, bundle = finished
    report = json.loads(Path(f"{bundle.path}-report/report.json").read_text())
    assert report["digest"] == bundle.digest
    variants = {(entry["member"], entry["scheme"]): entry for entry in report["variants"]}
    assert variants.keys() == {(m, s) for m in ("01-residual", "02-simple") for s in ("int8", "dynamic", "float32")}
    for member in bundle.manifest.members:
        shipped = variants[Path(member.file).stem, "int8"]
        assert (shipped["size_bytes"], shipped["agreement"]) == (
            len(bundle.contents[member.file]),
            member.checks.agreement,
        )
    assert len(report["choices"]) == 3 * 3  # two members make three ensembles
    record = json.loads(bundle.contents["validation.json"])
    assert report["keras_test"]["images"] == record["test"]["images"] == 36
    assert "<html" in Path(f"{bundle.path}-report/report.html").read_text()


def test_verify_finds_the_verdicts_and_the_bits_unchanged(finished, tiny_run):
    _, bundle = finished
    done = subprocess.run(
        [*COMMAND, "verify", str(bundle.path), "--data", str(tiny_run.data)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "passed"
    assert bundle.digest in done.stdout


def test_the_same_members_and_settings_give_the_same_digest_again(finished, tiny_run, tmp_path):
    settings = Settings(representative_images=40, compare=(), vote=VoteRule(min_votes=2))  # compare changes nothing
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


def test_a_member_can_have_a_scheme_of_its_own(tiny_run, tmp_path):
    (tmp_path / "q.toml").write_text("compare = []\n[[members]]\nname = '02-simple'\nscheme = 'float16'\n")
    done = planktow_quantize(
        tiny_run, tmp_path / "out", "--config", str(tmp_path / "q.toml"), "--report", str(tmp_path / "r")
    )
    assert done.returncode == 0, done.stderr
    assert [member.scheme for member in open_bundle(tmp_path / "out").manifest.members] == ["int8", "float16"]
    choices = json.loads((tmp_path / "r" / "report.json").read_text())["choices"]
    assert [choice["scheme"] for choice in choices if choice["chosen"]] == ["as shipped"]


def test_of_a_member_that_int8_ruins_the_layers_at_fault_stay_in_float(ruined_for_int8, tmp_path):
    done = planktow_quantize(ruined_for_int8, tmp_path / "out", "--config", str(no_comparison(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert "int8 throughout: not good enough. 01-residual: " in done.stderr
    record = json.loads(open_bundle(tmp_path / "out").contents["validation.json"])
    (member,) = record["members"]
    assert 0 < len(member["in_float"]) < 5  # of the five there are
    assert set(member["in_float"]) & {"a", "skip"}, "the readers of the channel that outgrew the others"
    assert all(gate["passed"] for gate in record["gates"])
    assert f"01-residual keeps in float32: {', '.join(member['in_float'])}" in done.stdout


def test_a_member_that_int8_ruins_is_refused_where_no_layer_may_stay_in_float(ruined_for_int8, tmp_path):
    out = tmp_path / "out"
    config = no_comparison(tmp_path, "max_layers_in_float = 0\n[gates]\nclass_images = 10\n")
    line = refused(planktow_quantize(ruined_for_int8, out, "--config", str(config)), out)
    assert line.startswith("no bundle was written. 01-residual")
    assert re.search(
        r"01-residual, class (disc|ring|rod): recall drop of \d+\.\d\d points on 12 (validation|test) images", line
    )
    assert re.search(r"01-residual: top-1 drop of \d+\.\d\d points on 36 validation images \(\d+\.\d+ -> \d", line)
    assert "the limit is 1; " in line
    assert "Give more representative_images (now 1000), another scheme for the member, or leave it out" in line


@pytest.fixture
def ruined_for_int8(copy_of_run, tiny_run):
    """One channel of the stem is made a thousand times larger, and its readers as much smaller: in float the same function,
    but in int8 one scale serves all channels, and nothing is left of the others."""
    model = keras.saving.load_model(tiny_run.folder / "members/01-residual.keras")
    norm = model.get_layer("stem_norm")
    gamma, beta, mean, variance = norm.get_weights()
    norm.set_weights([gamma * factor(gamma.size), beta * factor(beta.size), mean, variance])
    for reader in ("a", "skip"):
        (kernel,) = model.get_layer(reader).get_weights()
        model.get_layer(reader).set_weights([kernel / factor(kernel.shape[2])[None, None, :, None]])
    return with_member(copy_of_run(), model)


def with_member(run, model: keras.Model):
    """The run with `model` as its only member, which its record vouches for."""
    file = run.folder / "members/01-residual.keras"
    model.save(file)
    members = [run.record["members"][0] | {"sha256": sha256_hex(file.read_bytes())}]
    (run.folder / "training.json").write_text(json.dumps(run.record | {"members": members}))
    return run


def no_comparison(folder: Path, more: str = "") -> Path:
    (folder / "q.toml").write_text(f"compare = []\n{more}")
    return folder / "q.toml"


def test_permuted_labels_are_refused_though_the_member_agrees_with_its_original(copy_of_run, tmp_path):
    run = copy_of_run(labels=["ring", "rod", "disc"])
    out = tmp_path / "out"
    line = refused(planktow_quantize(run, out, "--config", str(no_comparison(tmp_path))), out)
    assert re.search(r"01-residual: record difference of \d+\.\d\d points on 36 validation images", line)
    assert "Give the data set, the labels and the .keras files of this very run" in line


def test_a_member_whose_weights_were_scaled_after_its_training_is_refused(copy_of_run, tiny_run, tmp_path):
    model = keras.saving.load_model(tiny_run.folder / "members/01-residual.keras")
    stem = model.get_layer("stem")
    stem.set_weights([weights * 30 for weights in stem.get_weights()])
    norm = model.get_layer("stem_norm")
    norm.set_weights([weights * -1 for weights in norm.get_weights()[:2]] + norm.get_weights()[2:])
    out = tmp_path / "out"
    run = with_member(copy_of_run(), model)
    line = refused(planktow_quantize(run, out, "--config", str(no_comparison(tmp_path))), out)
    assert "01-residual: record difference of " in line


def test_a_full_disk_is_one_line_and_nothing_is_left(tiny_run, tmp_path):
    out = tmp_path / "out"
    done = subprocess.run(
        [*COMMAND, str(tiny_run.folder), "--data", str(tiny_run.data), "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)),  # bytes of a file
    )
    line = refused(done, out)
    assert "cannot be written (File too large" in line
    assert "free some space there or give another --out" in line


def test_representative_images_of_one_class_are_refused(tiny_run, tmp_path):
    out = tmp_path / "out"
    line = refused(
        planktow_quantize(tiny_run, out, "--config", str(no_comparison(tmp_path, "representative_images = 1"))), out
    )
    assert line == (
        f"{tiny_run.data}: the 1 representative images are of 1 class; raise representative_images, or give a run that was "
        "trained on more classes"
    )


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
    split = tiny_run.record["split"] | {"validation": ["f" * 16, *tiny_run.record["split"]["validation"]]}
    out = tmp_path / "out"
    line = refused(planktow_quantize(copy_of_run(split=split), out), out)
    assert "1 of the 37 validation images are not there, for example the one whose sha-256 begins with ffff" in line


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
    code = "import quantize.run, sys; raise SystemExit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
