"""`planktow-edge classify`: files at once, by the real members, with the known classes of the folder to score against."""

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from bundle.errors import BadConfig
from edge.cli import app
from edge.oneoff import BATCH, Target, classify
from edge.shipped import shipped_bundle

from .images import KINDS, SIZES, TINY_BUNDLE, image_bytes, kind_of


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """images/ in the working directory: two images of each kind in a folder of that name, and a jelly among the spheres."""
    top = tmp_path / "images"
    for kind in KINDS:
        (top / kind).mkdir(parents=True)
        for number in range(2):
            (top / kind / f"{number}.png").write_bytes(image_bytes(kind, number))
    monkeypatch.chdir(tmp_path)
    (top / "sphere" / "9.png").write_bytes(image_bytes("jelly", 9))
    return top


def run(*arguments, bundle=TINY_BUNDLE):
    given = ["classify", *map(str, arguments)] + (["--bundle", str(bundle)] if bundle else [])
    return CliRunner().invoke(app, given, prog_name="planktow-edge")


def rows_of(done):
    return [(row["path"], row["label"], row["reason"]) for row in csv.DictReader(io.StringIO(done.stdout))]


def test_a_table_has_a_row_for_each_of_a_few_files(folder):
    (folder / "chain" / "torn.png").write_bytes(image_bytes("chain")[:-20])
    done = run("images")
    assert done.exit_code == 0
    assert (
        done.stdout
        == """\
Verdicts

  file                    label                 votes   score
 ─────────────────────────────────────────────────────────────
  images/chain/0.png      chain                   3/3    1.00
  images/chain/1.png      chain                   3/3    1.00
  images/chain/torn.png   rejected: truncated
  images/jelly/0.png      jelly                   3/3    1.00
  images/jelly/1.png      jelly                   3/3    1.00
  images/sphere/0.png     sphere                  3/3    1.00
  images/sphere/1.png     sphere                  3/3    1.00
  images/sphere/9.png     jelly                   3/3    1.00

files 8 = classified 7 + rejected 1
  images/chain/torn.png: truncated: the PNG file ends before its image does (280 bytes)
""".replace("(280 bytes)", f"({len(image_bytes('chain')) - 20} bytes)")
    )


def test_the_csv_has_every_file_rejects_included(folder):
    (folder / "chain/empty.jpg").write_bytes(b"")
    done = run("images/chain", "images/sphere/9.png", "--format", "csv")
    assert done.exit_code == 0
    assert (
        done.stdout
        == """\
path,truth,label,votes,members,score,reason,detail
images/chain/0.png,,chain,3,3,1.0000,,
images/chain/1.png,,chain,3,3,1.0000,,
images/chain/empty.jpg,,,,,,empty,the file has no bytes
images/sphere/9.png,,jelly,3,3,1.0000,,
"""
    )


def test_the_json_holds_scores_when_the_folders_are_the_truth(folder, tiny):
    (folder / "jelly/notes.jpg").write_text("no image")
    done = run("images", "--format", "json", "--truth", "folder")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["bundle"] == {"name": "tiny-3", "digest": tiny.digest, "members": 3, "vote": "hard"}
    assert told["counts"] == {"chain": 2, "sphere": 2, "jelly": 3, "unclassified": 0}
    assert told["rejects"] == [
        {
            "path": "images/jelly/notes.jpg",
            "truth": "jelly",
            "reason": "not an image",
            "detail": "not a JPEG, PNG, TIFF, BMP or PGM file (it begins with 6e 6f 20 69)",
        }
    ]
    assert told["images"][-1] == {
        "path": "images/sphere/9.png",
        "truth": "sphere",
        "label": "jelly",
        "votes": 3,
        "score": 1.0,
    }
    assert len(told["images"]) == 7
    scores = told["scores"]
    assert scores.pop("classes")["sphere"] == {
        "images": 3,
        "verdicts": 2,
        "right": 2,
        "recall": pytest.approx(2 / 3),
        "precision": 1.0,
        "f1": pytest.approx(0.8),
    }
    assert scores == {
        "images": 7,
        "right": 6,
        "unclassified": 0,
        "accuracy": 0.857143,
        "accuracy_interval": [0.486872, 0.97432],
        "balanced_accuracy": 0.888889,
        "macro_f1": 0.866667,
    }


def test_the_table_with_truth_scores_each_class_and_then_all(folder):
    done = run(folder, "--truth", "folder")
    assert done.exit_code == 0
    assert (
        done.stdout
        == """\
Against the folder's classes

  class    images   verdicts   right   recall   precision       F1
 ──────────────────────────────────────────────────────────────────
  sphere        3          2       2    66.7%      100.0%    80.0%
  chain         2          2       2   100.0%      100.0%   100.0%
  jelly         2          3       2   100.0%       66.7%    80.0%

accuracy            85.7%   6 right of 7 images (95 % interval 48.7% to 97.4%); 1 wrong
balanced accuracy   88.9%   mean recall of the 3 classes in the folder
macro-F1            86.7%   mean F1 of the 3 classes in folder or verdicts
files 7 = classified 7 + rejected 0
A row for each file: --format csv
"""
    )


def test_with_csv_the_scores_go_to_standard_error(folder):
    done = run(folder, "--truth", "folder", "--format", "csv")
    assert len(done.stdout.splitlines()) == 1 + 7
    assert done.stderr.splitlines()[0].startswith("accuracy            85.7%   6 right of 7 images")
    assert done.stderr.splitlines()[-1] == "files 7 = classified 7 + rejected 0"


def test_a_verdict_short_of_votes_is_unclassified_and_counts_as_wrong(tmp_path, tiny):
    # An aspect of 0.35 lies between the borders of the members: two say chain, one jelly. Here all three must agree.
    strict = replace(tiny, manifest=replace(tiny.manifest, vote=replace(tiny.manifest.vote, min_votes=3)))
    file = tmp_path / "between.png"
    file.write_bytes(cv2.imencode(".png", np.full((28, 80), 200, np.uint8))[1].tobytes())
    (judged,) = classify(strict, [Target(file, "chain")])
    assert (judged.label, judged.votes) == ("unclassified", 2)


def test_many_files_are_summed_up_and_the_rows_are_in_the_csv(tmp_path):
    for number in range(BATCH + 7):
        (tmp_path / f"{number:03d}.png").write_bytes(image_bytes(kind_of(number), number))
    lines = run(tmp_path).stdout.splitlines()
    assert lines[0] == "Counts"
    assert [line.split() for line in lines[4:7]] == [
        ["chain", "24", "33.8%"],
        ["sphere", "24", "33.8%"],
        ["jelly", "23", "32.4%"],
    ]
    assert lines[-2:] == [
        f"files {BATCH + 7} = classified {BATCH + 7} + rejected 0",
        "A row for each file: --format csv",
    ]
    rows = rows_of(run(tmp_path, "--format", "csv"))
    assert rows == [(str(tmp_path / f"{n:03d}.png"), kind_of(n), "") for n in range(BATCH + 7)]


def test_rejects_in_the_middle_of_a_batch_do_not_shift_the_verdicts(tmp_path):
    wanted = []
    for number in range(BATCH * 2):
        file = tmp_path / f"{number:03d}.png"
        bad = number % 5 == 0
        file.write_bytes(b"" if bad else image_bytes(kind_of(number), number))
        wanted.append((str(file), "" if bad else kind_of(number), "empty" if bad else ""))
    assert rows_of(run(tmp_path, "--format", "csv")) == wanted


def test_images_are_read_batch_by_batch(tmp_path, tiny):
    files = []
    for number in range(BATCH + 1):
        files.append(tmp_path / f"{number:03d}.png")
        files[-1].write_bytes(image_bytes("jelly", number))
    outcomes = classify(tiny, (Target(file) for file in files))
    assert next(outcomes).label == "jelly"
    files[-1].unlink()  # the last one lies in the second batch, which is not yet read
    assert [each.reason for each in outcomes] == [None] * (BATCH - 1) + ["unreadable"]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".pgm", ".PNG"])
def test_every_format_we_take_is_found_in_a_folder_and_classified(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(image_bytes("sphere", suffix=suffix.lower()))
    assert rows_of(run(tmp_path, "--format", "csv")) == [(str(tmp_path / f"a{suffix}"), "sphere", "")]


def test_sub_folders_of_a_class_are_of_that_class(folder):
    (folder / "chain" / "tow-2" / "cam-b").mkdir(parents=True)
    (folder / "chain" / "tow-2" / "cam-b" / "a.png").write_bytes(image_bytes("chain", 7))
    told = json.loads(run("images", "--truth", "folder", "--format", "json").stdout)
    assert {image["truth"] for image in told["images"] if "tow-2" in image["path"]} == {"chain"}
    assert told["scores"]["classes"]["chain"]["images"] == 3


def test_several_folders_are_scored_together(folder):
    (folder.parent / "more" / "jelly").mkdir(parents=True)
    (folder.parent / "more" / "jelly" / "a.png").write_bytes(image_bytes("jelly", 8))
    told = json.loads(run("images", "more", "--truth", "folder", "--format", "json").stdout)
    assert told["scores"]["images"] == 8
    assert told["scores"]["classes"]["jelly"]["images"] == 3


@pytest.mark.parametrize("threads", [1, 2])
def test_the_verdicts_do_not_hang_on_batches_or_threads(tmp_path, tiny, threads):
    files = []
    for number in range(BATCH + 3):
        files.append(Target(tmp_path / f"{number:03d}.png"))
        files[-1].path.write_bytes(image_bytes(kind_of(number), number))
    together = list(classify(tiny, files, threads))
    assert together == [next(classify(tiny, [file], threads)) for file in files]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_reject_and_a_folder_a_refusal(folder):
    (folder / "chain" / "0.png").chmod(0)
    assert ("images/chain/0.png", "", "unreadable") in rows_of(run("images", "--format", "csv"))
    (folder / "chain").chmod(0)
    try:
        assert "cannot be read (Permission denied)" in refusal(run("images"))
    finally:
        (folder / "chain").chmod(0o700)


def test_a_folder_with_an_image_s_name_is_no_file_to_read(folder):
    (folder / "sphere" / "odd.png").mkdir()
    assert run("images").exit_code == 0
    assert "odd.png" not in run("images").stdout


def test_a_dangling_link_is_a_reject_with_its_reason(folder):
    (folder / "chain" / "gone.png").symlink_to("nowhere.png")
    done = run("images", "--format", "csv")
    assert ("images/chain/gone.png", "", "unreadable") in rows_of(done)
    assert "the file cannot be read: No such file or directory" in done.stdout


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_out_takes_what_would_have_been_printed(folder, form):
    printed = run("images", "--format", form).stdout
    done = run("images", "--format", form, "--out", folder.parent / "out")
    assert (done.exit_code, done.stdout, (folder.parent / "out").read_text()) == (0, "", printed)


def test_a_file_is_classified_once_however_often_it_is_named(folder):
    file = folder / "chain" / "0.png"
    assert len(rows_of(run(file, folder / "chain", file, "--format", "csv"))) == 2


def test_hidden_files_and_other_suffixes_in_a_folder_are_passed_by_but_a_named_file_is_tried(folder):
    (folder / "chain" / ".0.png").write_bytes(b"x")
    (folder / "chain" / "notes.txt").write_bytes(image_bytes("chain"))
    assert len(rows_of(run(folder / "chain", "--format", "csv"))) == 2
    assert rows_of(run(folder / "chain" / "notes.txt", "--format", "csv"))[0][1] == "chain"


def test_names_with_brackets_are_shown_as_they_are(folder):
    (folder / "[bold]a[red].png").write_bytes(image_bytes("chain"))
    assert "  images/[bold]a[red].png   chain " in run("images").stdout


def test_a_name_that_is_not_utf_8_is_shown_with_its_bytes(folder):
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(image_bytes("chain"))
    assert ["images/caf\\xe9.png", "chain", "3/3", "1.00"] in [
        line.split() for line in run("images").stdout.splitlines()
    ]
    assert ("images/caf\\xe9.png", "chain", "") in rows_of(run("images", "--format", "csv"))
    assert "images/caf\\xe9.png" in [
        image["path"] for image in json.loads(run("images", "--format", "json").stdout)["images"]
    ]


def test_when_not_one_file_can_be_classified_the_exit_code_is_1(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"no image")
    done = run(file, "--format", "csv")
    assert done.exit_code == 1
    assert rows_of(done) == [(str(file), "", "not an image")]


# Refusals: one line, exit code 2


def refusal(done):
    assert (done.exit_code, done.stdout) == (2, "")
    return done.stderr


def test_a_missing_path_is_refused(tmp_path):
    path = tmp_path / "none"
    assert refusal(run(path)) == f"planktow-edge: {path}: no such file or folder; check the path\n"


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    assert refusal(run(tmp_path)) == (
        f"planktow-edge: {tmp_path}: no images in this folder or below "
        "(files that end in .bmp .jpeg .jpg .pgm .png .tif .tiff)\n"
    )


def test_a_sub_folder_that_is_no_label_is_refused_with_the_nearest_one(folder):
    (folder / "chain").rename(folder / "chains")
    assert refusal(run(folder, "--truth", "folder")) == (
        f"planktow-edge: {folder / 'chains'}: the sub-folder 'chains' is not a label of the bundle; "
        "did you mean 'chain'? Rename the folder, or leave --truth out\n"
    )


def test_a_sub_folder_like_no_label_is_refused_with_the_labels(folder):
    (folder / "jelly").rename(folder / "zzz")
    assert refusal(run(folder, "--truth", "folder")) == (
        f"planktow-edge: {folder / 'zzz'}: the sub-folder 'zzz' is not a label of the bundle; "
        "its labels are: chain, sphere, jelly. Rename the folder, or leave --truth out\n"
    )


@pytest.mark.parametrize("given", ["chain", "chain/0.png"])
def test_with_truth_an_image_in_no_class_folder_is_refused(folder, given):
    assert refusal(run(folder / given, "--truth", "folder")) == (
        f"planktow-edge: {folder / 'chain' / '0.png'}: lies in no class sub-folder; "
        "with --truth folder give the folder above the classes, PATH/CLASS/image\n"
    )


def test_a_bundle_that_is_none_is_refused(folder, tmp_path):
    assert refusal(run(folder, bundle=tmp_path / "none")) == (
        f"planktow-edge: {tmp_path / 'none'}: not a folder; give the path of a bundle (a folder with manifest.json)\n"
    )


def test_a_shipped_bundle_that_is_not_there_asks_for_one():
    with pytest.raises(
        BadConfig, match=r"the bundle 'atlantis-9' that ships .* is not at .*; name one with --bundle DIR"
    ):
        shipped_bundle("atlantis-9")


def test_the_command_runs_as_a_process_with_nothing_but_the_csv_on_standard_output(folder):
    done = subprocess.run(
        [sys.executable, "-m", "edge", "classify", str(folder), "--bundle", str(TINY_BUNDLE), "--format", "csv"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.splitlines()) == 8
    assert "Classifying" not in done.stderr  # no progress bar where nobody watches


def test_the_rendered_kinds_are_what_the_bundle_takes_them_for(tiny):
    assert tuple(SIZES) == tiny.labels
