"""`planktow-quantize combine` on real bundles that hold one or two of the three tiny members each."""

import dataclasses
import json
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from typer.testing import CliRunner

from bundle.errors import BadBundle, BadConfig, BadData
from bundle.folder import open_bundle
from bundle.pace import silent
from bundle.preprocess import InputSpec
from bundle.training import read_finished
from bundle.whole import sha256_hex
from quantize.cli import app
from quantize.combine import Candidate, combine
from quantize.halve import halve_dense
from quantize.recorded import FILE, read_recorded
from quantize.verify import split_of, verify
from tests.quantize.splitbundle import KERAS, Made, make, of_members


@pytest.fixture
def drawn(tmp_path) -> Made:
    """4 validation images of each label and one on which the members differ, 2 test images of each."""
    return make(tmp_path / "made", 4, 2)


def test_members_of_two_bundles_become_one_that_stands_every_check(drawn, tmp_path):
    old, new = of_members(drawn, tmp_path / "old", [2, 0]), of_members(drawn, tmp_path / "new", [1, 0])
    made = combine([old, new], drawn.data, tmp_path / "both", 3, "all three", silent)
    assert len(made.pool) == 3  # the member of both stands in the pool once
    opened = open_bundle(tmp_path / "both")
    manifest = opened.manifest
    assert (manifest.name, len(manifest.members)) == ("all three", 3)
    assert {member.sha256 for member in manifest.members} == {
        member.sha256 for member in open_bundle(drawn.bundle).manifest.members
    }
    assert [member.file[:10] for member in manifest.members] == ["members/01", "members/02", "members/03"]
    assert opened.contents["notes.txt"] == b"old"  # other records are those of the bundle named first
    record = json.loads(opened.contents[FILE])
    assert record["name"] == "all three"
    # The members voted together once more, and what was measured of each alone with Keras has come along under its new name.
    assert read_recorded(opened, split_of(opened)).class_images == (4, 4, 5)
    assert verify(tmp_path / "both", drawn.data, None, 1, silent).passed
    stems = [PurePosixPath(member.file).stem for member in manifest.members]
    assert [gate["subject"] for gate in record["gates"]] == stems
    sources = [made.pool[step.member] for step in made.steps]
    assert [gate["of"] for gate in record["gates"]] == [each.bundle.path.name for each in sources]
    assert [each["in_float"] for each in record["members"]] == [[each.bundle.path.name] for each in sources]
    assert all(each["keras"] == KERAS for part in ("validation", "test") for each in record[part]["members"])
    assert "keras" not in record["validation"]["hard"]
    assert [step["from"] for step in record["combined"]["steps"]] == [each.name for each in sources]
    # The seeds are the members' places in the tiny bundle: each member's own training has come along.
    table = read_finished(tmp_path / "both").table
    tiny = [member.sha256 for member in open_bundle(drawn.bundle).manifest.members]
    assert [tiny[each["seed"]] for each in table["members"]] == [member.sha256 for member in manifest.members]
    assert [PurePosixPath(each["file"]).stem for each in table["members"]] == stems
    assert table["hard_vote_test"] is None


def test_the_choice_is_the_best_on_validation_and_its_figures_are_those_recorded(drawn, tmp_path):
    bundles = [of_members(drawn, tmp_path / f"{place}", [place]) for place in range(3)]
    made = combine(bundles, drawn.data, tmp_path / "one", 1, None, silent)
    best = max(made.validation, key=lambda summary: summary.accuracy)
    record = json.loads(open_bundle(tmp_path / "one").contents[FILE])
    assert record["validation"]["hard"]["tflite"]["accuracy"] == pytest.approx(best.accuracy, abs=1e-6)
    assert made.steps[0].accuracy == pytest.approx(best.accuracy)
    assert made.hard_test is not None
    assert record["test"]["hard"]["tflite"]["accuracy"] == pytest.approx(made.hard_test.accuracy, abs=1e-6)
    confusion = np.array(record["confusion"])
    assert confusion.trace() / confusion.sum() == pytest.approx(best.accuracy)
    # Made again it is the same bundle: nothing in it depends on the clock.
    assert combine(bundles, drawn.data, tmp_path / "again", 1, None, silent).bundle.digest == made.bundle.digest


def test_an_int8_member_made_before_has_its_dense_layers_in_16_bits_from_now_on():
    older = open_bundle(Path(__file__).parents[2] / "bundles" / "flowcam-6")
    kept = older.manifest.members[0]
    candidate = Candidate(older, 0)
    assert candidate.model == halve_dense(older.contents[kept.file]) != older.contents[kept.file]
    assert candidate.member == dataclasses.replace(kept, sha256=sha256_hex(candidate.model))
    small = Candidate(older, 2)  # nothing in it is worth it
    assert (small.model, small.member) == (older.contents[small.member.file], older.manifest.members[2])


def test_bundles_that_cannot_vote_together_are_refused_and_nothing_is_written(drawn, tmp_path):
    one = of_members(drawn, tmp_path / "one", [0])
    out = tmp_path / "out"
    white = of_members(drawn, tmp_path / "white", [1], InputSpec(background="white"))
    with pytest.raises(
        BadBundle,
        match=r"white: has other input than .*one, .*or make its input the same with planktow-quantize rejudge",
    ):
        combine([one, white], drawn.data, out, 1, None, silent)
    foreign = of_members(make(tmp_path / "foreign", 3, 2), tmp_path / "other", [1])
    with pytest.raises(BadBundle, match="has other training, validation and test images than"):
        combine([one, foreign], drawn.data, out, 1, None, silent)
    with pytest.raises(BadConfig, match="--size is 2, but the bundles given have 1 different members"):
        combine([one, one], drawn.data, out, 2, None, silent)
    with pytest.raises(BadBundle, match="exists already"):
        combine([one], drawn.data, one, 1, None, silent)
    with pytest.raises(BadBundle, match=r"holds no validation\.json"):
        combine([one, drawn.bundle], drawn.data, out, 1, None, silent)
    next((drawn.data / "jelly").glob("0.png")).unlink()
    with pytest.raises(BadData, match="images are not there"):
        combine([one], drawn.data, out, 1, None, silent)
    assert not out.exists()
    assert not list(tmp_path.glob(".out*"))


def test_the_command_says_who_was_chosen_and_who_was_not(drawn, tmp_path):
    bundles = [
        str(of_members(drawn, tmp_path / name, [place])) for place, name in enumerate(("first", "second", "third"))
    ]
    asked = ["combine", *bundles, "--data", str(drawn.data), "--out", str(tmp_path / "out"), "--size", "2"]
    ran = CliRunner().invoke(app, asked)
    assert ran.exit_code == 0, ran.output
    assert "2 of 3 members, chosen by their hard vote on 13 validation images" in ran.output
    assert ran.output.count("left out: ") == 1
    assert "hard vote on 6 test images, looked at after the choice" in ran.output
    assert open_bundle(tmp_path / "out").digest in ran.output
