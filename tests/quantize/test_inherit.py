"""`planktow-quantize inherit`: one bundle of tiny members has learnt most of another's validation images."""

import dataclasses
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from bundle.errors import BadBundle
from bundle.folder import open_bundle, write_bundle
from bundle.manifest import HashedFile
from bundle.pace import silent
from bundle.preprocess import InputSpec
from bundle.reference import REFERENCE, read_reference, write_reference
from bundle.whole import json_bytes, sha256_hex
from edge.estimates.validated import read_validated
from quantize.cli import app
from quantize.inherit import inherit
from quantize.recorded import FILE, read_recorded
from quantize.reference import make_reference
from quantize.rejudge import rejudge
from quantize.verify import split_of, verify
from tests.quantize.splitbundle import make, of_members

ELDER, HEIR = (0, 1, 2), (1, 2, 0)  # places in the tiny bundle; the third is the one that sees 24 pixels


@pytest.fixture
def drawn(tmp_path):
    """13 validation and 6 test images."""
    return make(tmp_path / "made", 4, 2)


@pytest.fixture
def elder(drawn, tmp_path):
    """A bundle whose members learnt no validation image, with its reference."""
    folder = of_members(drawn, tmp_path / "elder", ELDER)
    write_reference(folder / REFERENCE, make_reference(folder, drawn.data, silent), "elder")
    return folder


@pytest.fixture
def heir(tmp_path):
    """One that learnt 10 of the 13."""
    return of_members(make(tmp_path / "again", 4, 2, released=10), tmp_path / "heir", HEIR)


def record_of(folder):
    return json.loads(open_bundle(folder).contents[FILE])


def rewritten(folder, out, **changed):
    """The bundle with other entries in its validation.json."""
    opened = open_bundle(folder)
    data = json_bytes(record_of(folder) | changed)
    records = tuple(
        HashedFile(each.file, sha256_hex(data)) if each.file == FILE else each for each in opened.manifest.records
    )
    write_bundle(out, dataclasses.replace(opened.manifest, records=records), {**opened.contents, FILE: data})
    return out


def test_what_was_said_of_images_not_learnt_is_taken_over_and_the_rest_is_its_own(elder, heir, tmp_path):
    made = inherit(heir, elder, tmp_path / "out", None)
    mine, theirs, now = record_of(heir), record_of(elder), record_of(tmp_path / "out")
    assert made.bundle.manifest.name == open_bundle(elder).manifest.name
    assert (made.images, made.before, made.now) == (13, 1.0, 1.0)
    for key in ("confusion", "classes", "by_score", "by_votes"):
        assert now[key] == theirs[key] != mine[key]
    for key in ("validation", "test", "verdicts", "members", "gates"):
        assert now[key] == mine[key]
    # The elder's third member, alone at its side, is the heir's second; the two that are alike take their places in order.
    assert now["ballots"] == [theirs["ballots"][place] for place in (0, 2, 1)]
    files = [member["file"] for member in mine["members"]]
    temperatures = [each["temperature"] for each in theirs["calibration"]["members"]]
    assert [(each["file"], each["temperature"]) for each in now["calibration"]["members"]] == [
        (files[0], temperatures[0]),
        (files[1], temperatures[2]),
        (files[2], temperatures[1]),
    ]
    order = open_bundle(elder).manifest.order
    assert [(0, 2, 1)[member] for member in made.bundle.manifest.order] == list(order)
    assert tuple(now["turns"]["order"]) == made.bundle.manifest.order
    assert now["inherited"]["digest"] == open_bundle(elder).digest
    # What runs is the heir's, byte for byte; the camera host corrects counts by what the elder confused.
    for member in open_bundle(heir).manifest.members:
        assert made.bundle.contents[member.file] == open_bundle(heir).contents[member.file]
    validated = read_validated(tmp_path / "out")
    assert validated is not None
    assert validated.confusion.sum() == 13
    assert np.array_equal(validated.confusion, theirs["confusion"])
    reference = read_reference(tmp_path / "out")
    assert reference is not None
    assert (reference.images.sum(), reference.order) == (13, made.bundle.manifest.order)


def test_it_verifies_with_its_own_images_and_can_be_judged_anew(drawn, elder, heir, tmp_path):
    out = inherit(heir, elder, tmp_path / "out", "new").bundle
    assert out.manifest.name == "new"
    assert read_recorded(out, split_of(out)).class_images == (4, 4, 5)
    checked = verify(out.path, drawn.data, None, 1, silent)
    assert checked.passed
    assert [part.images for part in checked.parts] == [3, 6]
    with pytest.raises(BadBundle, match="its members have learnt validation images"):
        make_reference(out.path, drawn.data, silent)
    # Judged anew its calibration is of its own three images, and nothing says otherwise.
    rejudge(out.path, drawn.data, tmp_path / "judged", InputSpec(background="white"), silent)
    assert "inherited" not in record_of(tmp_path / "judged")
    judged = open_bundle(tmp_path / "judged")
    assert sum(read_recorded(judged, split_of(judged)).class_images) == 3


def test_a_bundle_that_says_nothing_of_the_other_is_refused_and_nothing_is_written(elder, heir, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(BadBundle, match="has learnt no validation image of"):
        inherit(elder, elder, out, None)
    with pytest.raises(BadBundle, match="was trained on other images than"):
        inherit(elder, heir, out, None)  # the wrong way round: the heir knows images that it judged
    other = of_members(make(tmp_path / "fewer", 4, 1, released=10), tmp_path / "other", HEIR)
    with pytest.raises(BadBundle, match="has other test images than"):
        inherit(other, elder, out, None)
    two = of_members(make(tmp_path / "for-two", 4, 2, released=10), tmp_path / "two", [1, 0])
    with pytest.raises(BadBundle, match="not the same networks, schemes and sides"):
        inherit(two, elder, out, None)
    spec = InputSpec(background="white")
    white = of_members(make(tmp_path / "for-white", 4, 2, released=10), tmp_path / "white", HEIR, spec)
    with pytest.raises(BadBundle, match="has other input than"):
        inherit(white, elder, out, None)
    with pytest.raises(BadBundle, match="has its calibration from another bundle itself"):
        inherit(heir, rewritten(elder, tmp_path / "second", inherited={"digest": "0" * 64, "images": 13}), out, None)
    with pytest.raises(BadBundle, match="exists already"):
        inherit(heir, elder, elder, None)
    (elder / REFERENCE).write_bytes(b"torn")
    with pytest.raises(BadBundle, match=r"reference\.json: damaged"):
        inherit(heir, elder, out, None)
    assert not out.exists()


def test_bundles_too_far_apart_on_the_test_images_are_refused(elder, heir, tmp_path):
    test = record_of(heir)["test"]
    test["hard"]["tflite"]["accuracy"] = 0.9
    worse = rewritten(heir, tmp_path / "worse", test=test)
    with pytest.raises(
        BadBundle, match=r"90\.0% of the test images are right and 100\.0% of .*more than 3 points apart"
    ):
        inherit(worse, elder, tmp_path / "out", None)
    untested = rewritten(heir, tmp_path / "untested", test=None)
    with pytest.raises(BadBundle, match="untested: has no test images"):
        inherit(untested, elder, tmp_path / "out", None)
    assert not (tmp_path / "out").exists()


def test_the_command_says_how_far_the_two_are_apart(elder, heir, tmp_path):
    asked = ["inherit", str(heir), "--from", str(elder), "--out", str(tmp_path / "out")]
    ran = CliRunner().invoke(app, asked)
    assert ran.exit_code == 0, ran.output
    assert "said of 13 validation images" in ran.output
    assert "100.00% there, 100.00% now" in ran.output
    assert open_bundle(tmp_path / "out").digest[:12] in ran.output
    (elder / REFERENCE).unlink()
    ran = CliRunner().invoke(app, [*asked[:-1], str(tmp_path / "second")])
    assert "has no reference.json" in ran.output
