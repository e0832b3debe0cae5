"""Class folders: which files count, and which names would be trouble elsewhere."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundle.labels import format_labels, parse_labels
from trainer.data.classfolders import class_files, folder_faults, name_faults


def test_images_count_at_any_depth_and_other_files_and_hidden_folders_do_not(tmp_path: Path):
    for name in ("a/1.png", "a/deep/er/2.JPG", "a/notes.txt", "b/3.tif", ".hidden/4.png", "loose.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert class_files(tmp_path) == {
        "a": [tmp_path / "a/1.png", tmp_path / "a/deep/er/2.JPG"],
        "b": [tmp_path / "b/3.tif"],
    }


def test_images_without_class_folders_are_told_where_they_belong(tmp_path: Path):
    (tmp_path / "1.png").write_bytes(b"")
    assert folder_faults(tmp_path, class_files(tmp_path)) == [
        f"{tmp_path}: 0 class sub-folder(s), but a classifier needs at least two; "
        "the images lie loose in it: put them into a sub-folder for each class"
    ]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("tab\there", "has a character that cannot be printed"),
        ("line\nbreak", "has a character that cannot be printed"),
        ("M\udcfcller", "has a character that cannot be printed"),  # bytes that are not UTF-8
        (" copepod", "begins or ends with a space"),
        ("copepod ", "begins or ends with a space"),
        ("dead<copepod", "has a <, which cannot stand in a file name on every disk"),
        ("a/b", "has a /, which cannot stand in a file name on every disk"),
        ("what?", "has a ?, which cannot stand in a file name on every disk"),
        ("Tripos sp.", "ends with a dot, which Windows drops"),
        ("CON", "is the name of a device on Windows and cannot be a file name there"),
        ("lpt1.old", "is the name of a device on Windows and cannot be a file name there"),
        ("unclassified", "has the name that an open vote gives"),
    ],
)
def test_a_name_that_cannot_go_everywhere_is_refused_by_name(name: str, fault: str):
    assert name_faults(Path("data"), ["copepod", name]) == [f"data: the class folder {name!r} {fault}; rename it"]


@pytest.mark.parametrize("other", ["Copepod", "COPEPOD"])
def test_names_that_differ_by_capitals_alone_are_refused_together(other: str):
    assert name_faults(Path("data"), ["copepod", other, "rod"]) == [
        f"data: the class folders 'copepod' and '{other}' are one folder on disks that do not tell capital letters or "
        "accents apart; rename or join them"
    ]
    assert len(name_faults(Path("data"), ["M\u00fcll", "Mu\u0308ll"])) == 1  # the same letters, composed and not


def test_names_as_people_give_them_pass():
    names = ["copepod", "Copepoda_living", "chain diatom", "Müll", "Tripos sp. 2", "动物", "console", "a.b", "(other)"]
    assert name_faults(Path("data"), names) == []


@given(st.lists(st.text(max_size=8), min_size=2, max_size=4).map(tuple))
def test_names_without_a_fault_are_lines_of_a_label_file(names: tuple[str, ...]):
    if len(set(names)) == len(names) and not name_faults(Path("data"), names):
        assert parse_labels(format_labels(names), "labels.txt") == names
