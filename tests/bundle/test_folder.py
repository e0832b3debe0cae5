import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bundle.errors import BadBundle
from bundle.folder import open_bundle, write_bundle
from bundle.manifest import MANIFEST, HashedFile, VoteRule, format_manifest
from bundle.vote import NO_LABEL, has_majority
from bundle.whole import sha256_hex
from tests.bundle import wrong
from tests.bundle.rendered import file_of, organism

FILES = sorted(str(path.relative_to(wrong.TINY)) for path in wrong.TINY.rglob("*") if path.is_file())


def refusal(path):
    """What opening says of a bundle that must be refused, without the path it begins with."""
    with pytest.raises(BadBundle) as caught:
        open_bundle(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(path))
    return text.removeprefix(str(path))


def names_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def altered(tmp_path, contents=None, **fields):
    """The path of a copy of tiny-3 with other contents or manifest fields, all hashes right."""
    contents = wrong.tiny_contents() | (contents or {})
    manifest = wrong.with_contents(dataclasses.replace(wrong.tiny_manifest(), **fields), contents)
    return wrong.write_raw(tmp_path / "altered", manifest, contents)


# ---- opening


def test_a_bundle_opens_with_labels_digest_and_all_it_vouches_for():
    bundle = open_bundle(wrong.TINY)
    assert bundle.path == wrong.TINY
    assert bundle.labels == ("chain", "sphere", "jelly")
    assert bundle.digest == sha256_hex((wrong.TINY / MANIFEST).read_bytes())
    assert dict(bundle.contents) == wrong.tiny_contents()
    assert bundle.size_bytes == sum(map(len, wrong.tiny_contents().values()))
    assert [bundle.label_name(index) for index in (0, 1, 2, NO_LABEL)] == ["chain", "sphere", "jelly", "unclassified"]


def test_the_verdicts_of_the_tiny_bundle_are_the_foreseen_ones():
    bundle = open_bundle(wrong.TINY)
    images = [
        organism(10, 80),
        organism(80, 10),
        organism(20, 20),
        organism(80, 70),
        organism(36, 80),
        organism(35, 35),
    ]
    votes = bundle.classify(bundle.load(), [bundle.prepare(file_of(".png", image)) for image in images], True)
    # aspect 0.45 lies below one of the borders 0.3 0.4 0.5; a long side of 35 above one of 30 40 50
    assert [bundle.label_name(index) for index in votes.label] == [
        "chain",
        "chain",
        "sphere",
        "jelly",
        "jelly",
        "sphere",
    ]
    assert votes.votes.tolist() == [3, 3, 3, 3, 2, 2]
    assert np.allclose(votes.score[:4], 1.0, atol=1e-3)
    assert np.allclose(votes.score[4:], 2 / 3, atol=0.05)


def test_min_votes_of_the_manifest_leaves_a_divided_vote_unclassified(tmp_path):
    bundle = open_bundle(altered(tmp_path, vote=VoteRule("hard", "mean_score", 3)))
    votes = bundle.classify(bundle.load(), [bundle.prepare(file_of(".png", organism(36, 80)))])
    assert (bundle.label_name(int(votes.label[0])), int(votes.votes[0])) == ("unclassified", 2)


@pytest.mark.parametrize("name", [name for name in FILES if name != MANIFEST])
def test_one_flipped_bit_in_any_file_is_refused_with_the_file_s_name(tmp_path, name):
    path = wrong.copy_of_tiny(tmp_path)
    whole = (path / name).read_bytes()
    for position in {0, len(whole) // 2, len(whole) - 1}:
        damaged = bytearray(whole)
        damaged[position] ^= 1
        (path / name).write_bytes(damaged)
        assert refusal(path) == f"/{name}: damaged, its sha-256 is not the manifest's; copy the bundle anew"


def test_no_flipped_bit_in_the_manifest_leaves_the_same_bundle(tmp_path):
    # The manifest has no hash of its own: a flip that still reads well, as in a name, is another bundle by its digest.
    path = wrong.copy_of_tiny(tmp_path)
    whole, digest = (path / MANIFEST).read_bytes(), open_bundle(path).digest
    refused = opened = 0
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        (path / MANIFEST).write_bytes(damaged)
        try:
            assert open_bundle(path).digest != digest
            opened += 1
        except BadBundle as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
    assert refused > 10 * opened


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path, name):
    path = wrong.copy_of_tiny(tmp_path)
    (path / name).unlink()
    assert refusal(path) == f"/{name}: missing; copy the bundle anew"


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_named(tmp_path, name):
    path = wrong.copy_of_tiny(tmp_path)
    (path / name).write_bytes((path / name).read_bytes()[:-2])
    assert refusal(path).startswith(f"/{name}: ")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = wrong.copy_of_tiny(tmp_path)
    (path / "labels.txt").unlink()
    (path / "labels.txt").mkdir()
    assert refusal(path) == "/labels.txt: cannot be read (Is a directory); check its permissions"


def test_a_bundle_behind_a_closed_door_is_refused(tmp_path):
    path = wrong.copy_of_tiny(tmp_path)
    (path / "labels.txt").chmod(0)
    if os.geteuid() != 0:
        assert refusal(path) == "/labels.txt: cannot be read (Permission denied); check its permissions"
    assert "cannot be looked at (File name too long)" in refusal(tmp_path / ("x" * 300))


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "missing", tmp_path / "file"):
        assert refusal(path) == ": not a folder; give the path of a bundle (a folder with manifest.json)"
    assert refusal(tmp_path) == "/manifest.json: missing; copy the bundle anew"


def test_a_file_beside_those_of_the_manifest_is_nobody_s_business(tmp_path):
    path = wrong.copy_of_tiny(tmp_path)
    (path / "notes.txt").write_text("tow 3")
    assert open_bundle(path).digest == open_bundle(wrong.TINY).digest


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"labels": 4}, "/labels.txt: 3 labels, the manifest says 4"),
        ({"min_votes": 4}, "/manifest.json: vote.min_votes is 4, but there are 3 members; set it from 1 to that"),
        ({"features": []}, "/manifest.json: the features are none, this version computes log_width, log_height, "
         "log_long_side, aspect, ink_mean, ink_spread, ink_share, log_ink_area; make the bundle anew"),
    ],
)  # fmt: skip
def test_a_manifest_that_does_not_fit_its_files_is_refused(tmp_path, change, text):
    path = wrong.copy_of_tiny(tmp_path)
    table = json.loads((path / MANIFEST).read_bytes())
    if "labels" in change:
        table["labels"]["count"] = change["labels"]
    if "min_votes" in change:
        table["vote"]["min_votes"] = change["min_votes"]
    if "features" in change:
        table["features"] = change["features"]
    (path / MANIFEST).write_text(json.dumps(table))
    assert refusal(path) == text


def test_members_of_another_class_count_than_the_labels_are_refused(tmp_path):
    manifest = wrong.tiny_manifest()
    labels = dataclasses.replace(manifest.labels, count=4)
    path = altered(tmp_path, {"labels.txt": b"chain\nsphere\njelly\nshrimp\n"}, labels=labels)
    assert refusal(path) == (
        "/members/01-tiny.tflite: the model has 3 classes, the bundle says 4; make the bundle anew"
    )


def test_a_member_of_another_side_than_the_manifest_says_is_refused(tmp_path):
    first, *others = wrong.tiny_manifest().members
    path = altered(tmp_path, members=(dataclasses.replace(first, side=32), *others))
    assert refusal(path) == (
        "/members/01-tiny.tflite: the model has 16 pixels on a side, the bundle says 32; make the bundle anew"
    )


def test_a_member_of_fewer_features_is_refused(tmp_path):
    path = altered(tmp_path, {wrong.MEMBER: wrong.altered_model(wrong.seven_features)})
    assert refusal(path) == f"/{wrong.MEMBER}: the model has 7 features, the bundle says 8; make the bundle anew"


def test_a_member_that_cannot_run_a_batch_is_refused(tmp_path):
    path = altered(tmp_path, {wrong.MEMBER: wrong.altered_model(wrong.one_image_only)})
    assert refusal(path).startswith(f"/{wrong.MEMBER}: the model loads but does not run on a batch of two (")


def test_a_member_that_is_no_model_is_refused_though_its_hash_is_right(tmp_path):
    path = altered(tmp_path, {wrong.MEMBER: b"TFL3"})
    assert refusal(path).startswith(f"/{wrong.MEMBER}: ai-edge-litert cannot load this model (")


@pytest.mark.parametrize("field", ["pixels", "output"])
def test_a_quantisation_that_is_not_the_model_s_is_refused(tmp_path, field):
    first, *others = wrong.tiny_manifest().members
    stated = dataclasses.replace(getattr(first, field), scale=0.5)
    path = altered(tmp_path, members=(dataclasses.replace(first, **{field: stated}), *others))
    what = "input" if field == "pixels" else "output"
    found = refusal(path)
    assert found.startswith(f"/members/01-tiny.tflite: the model's {what} is Quantisation(")
    assert found.endswith("; make the bundle anew")


# ---- writing


def test_a_written_bundle_is_the_bundle_that_opens(tmp_path):
    path = tmp_path / "new" / "folder" / "tiny-3"
    written = write_bundle(path, wrong.tiny_manifest(), wrong.tiny_contents())
    assert written == open_bundle(path)
    assert written.path == path
    assert written.digest == open_bundle(wrong.TINY).digest
    assert [name for name in names_in(path) if (path / name).is_file()] == FILES
    assert names_in(path.parent) == ["tiny-3", *sorted(f"tiny-3/{name}" for name in names_in(path))]


def test_a_bundle_is_never_changed_in_place(tmp_path):
    path = wrong.copy_of_tiny(tmp_path)
    before = {name: (path / name).read_bytes() for name in FILES}
    with pytest.raises(BadBundle) as caught:
        write_bundle(path, dataclasses.replace(wrong.tiny_manifest(), name="other"), wrong.tiny_contents())
    assert str(caught.value) == f"{path}: exists already; a bundle is never changed in place, give another folder"
    assert {name: (path / name).read_bytes() for name in FILES} == before
    assert names_in(tmp_path)[0] == "tiny-3"


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ({"../escaped.txt": b"x"}, "../escaped.txt"),
        ({"/tmp/absolute.txt": b"x"}, "/tmp/absolute.txt"),
        ({"README.md": b"x"}, "README.md"),
        ({"labels.txt": None}, "labels.txt"),
        ({"labels.txt": None, "label.txt": b"x"}, "label.txt, labels.txt"),
    ],
)
def test_files_that_are_not_those_of_the_manifest_are_refused_before_anything_is_written(tmp_path, change, differing):
    contents = {name: data for name, data in (wrong.tiny_contents() | change).items() if data is not None}
    with pytest.raises(BadBundle) as caught:
        write_bundle(tmp_path / "new", wrong.tiny_manifest(), contents)
    assert str(caught.value) == f"{tmp_path / 'new'}: the manifest and the files given are not the same: {differing}"
    assert names_in(tmp_path) == []
    assert not Path("/tmp/absolute.txt").exists()


def test_a_manifest_cannot_name_a_file_outside():
    with pytest.raises(BadBundle, match=r"'\.\./labels\.txt' is not a path inside the bundle"):
        HashedFile("../labels.txt", "0" * 64)


def test_a_bundle_that_would_not_open_is_not_there_afterwards(tmp_path):
    contents = wrong.tiny_contents() | {wrong.MEMBER: wrong.altered_model(wrong.two_outputs)}
    manifest = wrong.with_contents(wrong.tiny_manifest(), contents)
    with pytest.raises(BadBundle) as caught:
        write_bundle(tmp_path / "new", manifest, contents)
    assert str(caught.value).startswith(f"{tmp_path / 'new' / wrong.MEMBER}: the outputs are ")  # not a hidden name
    assert names_in(tmp_path) == []


def test_a_failure_in_the_middle_of_writing_leaves_nothing(tmp_path):
    # A limit on the size of a file is the kernel's own refusal: labels.txt is written, the members are too large.
    program = (
        "import resource, signal, sys; from pathlib import Path; from bundle.folder import write_bundle\n"
        "from tests.bundle import wrong\n"
        "manifest, contents = wrong.tiny_manifest(), wrong.tiny_contents()\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_bundle(Path(sys.argv[1]), manifest, contents)\n"
        "except OSError as error: print(error.strerror)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "new")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert ran.stdout == "File too large\n"
    assert names_in(tmp_path) == []


def test_what_a_killed_writer_left_is_not_taken_into_the_new_bundle(tmp_path):
    left = tmp_path / f".new.{os.getpid()}.partial"
    left.mkdir()
    (left / "labels.txt.old").write_bytes(b"half")
    write_bundle(tmp_path / "new", wrong.tiny_manifest(), wrong.tiny_contents())
    assert [name for name in names_in(tmp_path / "new") if (tmp_path / "new" / name).is_file()] == FILES
    assert not left.exists()


def test_the_manifest_written_is_the_manifest_given(tmp_path):
    manifest = dataclasses.replace(wrong.tiny_manifest(), name="another", created="2026-12-01T12:00:00+00:00")
    write_bundle(tmp_path / "new", manifest, wrong.tiny_contents())
    assert (tmp_path / "new" / MANIFEST).read_bytes() == format_manifest(manifest)


def test_members_asked_in_turn_give_the_labels_of_all_together(tmp_path):
    rng = np.random.default_rng(3)
    sizes = [(rng.integers(5, 100), rng.integers(5, 100)) for _ in range(60)]
    for min_votes, order in [(1, (0, 1, 2)), (2, (2, 0, 1)), (3, (1, 2, 0))]:
        manifest = dataclasses.replace(wrong.tiny_manifest(), order=order, vote=VoteRule(min_votes=min_votes))
        bundle = open_bundle(wrong.write_raw(tmp_path / str(min_votes), manifest, wrong.tiny_contents()))
        batch = [bundle.prepare(file_of(".png", organism(*size))) for size in sizes]
        ensemble = bundle.load()
        whole, in_turn = (bundle.classify(ensemble, batch, everybody) for everybody in (True, False))
        assert in_turn.label.tolist() == whole.label.tolist()
        assert has_majority(in_turn, 3).tolist() == has_majority(whole, 3).tolist()
        assert whole.asked.tolist() == [3] * 60
        assert {2, 3} == set(in_turn.asked.tolist())
