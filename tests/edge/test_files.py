"""What counts as an image file, and a walk over all of them."""

import os
from pathlib import Path

import pytest

from edge.intake.files import FARTHEST_NS, Found, is_image_name, is_shard_name, look, scan

skip_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


def put(file: Path, data: bytes = b"x") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.Png", "a.tif", "a.TIFF", "a.bmp", "x/y z/a.b.pgm", "ä.png"])
def test_names_with_an_image_suffix_are_images(name):
    assert is_image_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "a.txt",
        "a",
        "png",
        ".png",
        ".a.png",
        "a.png~",
        "a.png.part",
        "a.png.tmp",
        "a.png.partial",
        "a.png.",
        "a.gif",
        "x/.a.png",
        ".bin/a.png",
        "x/.y/a.png",
    ],
)
def test_hidden_and_temporary_names_are_not(name):
    assert not is_image_name(name)


@pytest.mark.parametrize("name", ["a.tar", "a.ZIP", "x/y z/a.b.Tar", "a.tar/b.zip"])
def test_tar_and_zip_files_are_archives_of_images(name):
    assert is_shard_name(name)
    assert not is_image_name(name)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.zip.part", ".a.zip", "x/.y/a.tar", "tar", ".tar", "a.png"])
def test_compressed_hidden_and_temporary_archives_are_none(name):
    assert not is_shard_name(name)


def test_a_scan_finds_archives_beside_images(tmp_path):
    for name in ("a.png", "b/tow.tar", "b/tow.zip", "b/tow.tar.gz", "b/.tow.zip", "b/tow.zip.part"):
        put(tmp_path / name)
    assert {found.path for found in scan(tmp_path, recursive=True)} == {"a.png", "b/tow.tar", "b/tow.zip"}


def test_a_scan_finds_images_at_any_depth(tmp_path):
    for name in ("a.png", "b/c.jpg", "b/d/e.TIF", "b/notes.txt", ".cache/f.png", "b/.g.png", "h.png.part"):
        put(tmp_path / name, name.encode())
    assert {found.path for found in scan(tmp_path, recursive=True)} == {"a.png", "b/c.jpg", "b/d/e.TIF"}
    assert {found.path for found in scan(tmp_path, recursive=False)} == {"a.png"}
    assert {found.path for found in scan(tmp_path, True, "b")} == {"b/c.jpg", "b/d/e.TIF"}


def test_a_scan_says_what_each_file_is(tmp_path):
    file = put(tmp_path / "a.png", b"12345")
    os.utime(file, ns=(1, 1_700_000_000_123_456_789))
    assert list(scan(tmp_path, True)) == [Found("a.png", 5, 1_700_000_000_123_456_789)]


def test_a_scan_follows_a_link_to_a_file_but_not_to_a_folder(tmp_path):
    put(tmp_path / "elsewhere" / "real.png", b"123")
    watch = tmp_path / "watch"
    watch.mkdir()
    (watch / "link.png").symlink_to(tmp_path / "elsewhere" / "real.png")
    (watch / "circle").symlink_to(watch)
    (watch / "dangling.png").symlink_to(tmp_path / "nothing.png")
    assert [(found.path, found.size) for found in scan(watch, True)] == [("link.png", 3)]


def test_what_is_not_a_regular_file_is_not_there(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    assert list(scan(tmp_path, True)) == []
    assert look(tmp_path, "pipe.png") is None
    assert look(tmp_path, "folder.png") is None
    assert look(tmp_path, "missing.png") is None


def test_a_time_too_far_away_for_the_ledger_is_taken_as_the_last_one_it_can_hold(tmp_path):
    file = put(tmp_path / "a.png")
    os.utime(file, ns=(0, 2**63 + 10**9))
    if file.stat().st_mtime_ns < 2**63:
        pytest.skip("this file system knows no later time itself")
    assert look(tmp_path, "a.png") == Found("a.png", 1, FARTHEST_NS)
    assert FARTHEST_NS < 2**63, "what SQLite can hold"


def test_a_folder_that_is_gone_ends_a_scan_quietly(tmp_path):
    assert list(scan(tmp_path / "missing", True)) == []


@skip_as_root
def test_a_folder_that_cannot_be_listed_is_reported_and_the_rest_is_found(tmp_path):
    put(tmp_path / "closed" / "a.png")
    put(tmp_path / "open" / "b.png")
    (tmp_path / "closed").chmod(0)
    refused = []
    try:
        found = list(scan(tmp_path, True, refused=lambda folder, error: refused.append((folder, error.strerror))))
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert [file.path for file in found] == ["open/b.png"]
    assert refused == [("closed", "Permission denied")]
