"""Rejected files set aside: on real folders and two real file systems, killed at every line, nothing lost."""

import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundle.errors import BadConfig
from bundle.settings import settings_from
from edge.daemon.rejects import RejectSettings, Why, check_reject_folder, put_aside

NOW = 1_795_600_800_000_000_000  # 2026-11-25T10:00:00Z
MTIME = NOW - 3_600_000_000_123
ROOT = Path(__file__).parents[2]


@pytest.fixture
def watch(tmp_path: Path) -> Path:
    (tmp_path / "watch").mkdir()
    return tmp_path / "watch"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rejects").mkdir()
    return tmp_path / "rejects"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than `tmp_path`."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here to write to")
    with tempfile.TemporaryDirectory(dir=memory) as made:
        yield Path(made)


def write(file: Path, content: bytes, mtime_ns: int = MTIME) -> Why:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, ns=(mtime_ns, mtime_ns))
    return why(content, mtime_ns)


def why(content: bytes, mtime_ns: int = MTIME, known: bool = True) -> Why:
    sha256 = hashlib.sha256(content).digest() if known else None
    return Why("truncated", "the PNG file ends before its image does", len(content), mtime_ns, sha256, "ab" * 32)


def lies(folder: Path) -> dict[str, bytes]:
    """All files below, JSON apart."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.suffix != ".json")
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def notes(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*.json")}


@pytest.mark.parametrize("how", ["move", "copy"])
def test_a_reject_keeps_its_sub_folder_its_bytes_and_its_mtime_and_says_why(watch, folder, how):
    reason = write(watch / "tow1/a.png", b"torn")
    target = put_aside(watch, "tow1/a.png", how, folder, reason, NOW)
    assert target == folder / "tow1/a.png"
    assert lies(folder) == {"tow1/a.png": b"torn"}
    assert target.stat().st_mtime_ns == MTIME
    assert lies(watch) == ({} if how == "move" else {"tow1/a.png": b"torn"})
    assert json.loads((folder / "tow1/a.png.json").read_bytes()) == {
        "file": "tow1/a.png",
        "reason": "truncated",
        "detail": "the PNG file ends before its image does",
        "sha256": hashlib.sha256(b"torn").hexdigest(),
        "bytes": 4,
        "modified": "2026-11-25T08:59:59.999Z",
        "modified_ns": MTIME,
        "set_aside": "2026-11-25T10:00:00Z",
        "bundle": "ab" * 32,
        "planktow": "0.1.0",
    }


def test_a_reject_that_stays_is_left_alone_and_nothing_is_written(watch, folder):
    reason = write(watch / "a.png", b"torn")
    assert put_aside(watch, "a.png", "stay", folder, reason, NOW) is None
    assert (lies(watch), lies(folder), notes(watch), notes(folder)) == ({"a.png": b"torn"}, {}, set(), set())


@pytest.mark.parametrize("how", ["move", "copy"])
def test_a_reject_goes_to_another_file_system_with_bytes_and_mtime(watch, elsewhere, how):
    content = os.urandom(3_000_000)
    target = put_aside(watch, "a.png", how, elsewhere, write(watch / "a.png", content), NOW)
    assert lies(elsewhere) == {"a.png": content}
    assert target.stat().st_mtime_ns == MTIME
    assert ("a.png" in lies(watch)) == (how == "copy")


@pytest.mark.parametrize("how", ["move", "copy"])
def test_twice_is_once(watch, folder, how):
    reason = write(watch / "a.png", b"torn")
    first = put_aside(watch, "a.png", how, folder, reason, NOW)
    note = (folder / "a.png.json").read_bytes()
    assert put_aside(watch, "a.png", how, folder, reason, NOW + 1) == (first if how == "copy" else None)
    assert (lies(folder), notes(folder)) == ({"a.png": b"torn"}, {"a.png.json"})
    assert (folder / "a.png.json").read_bytes() == note


@pytest.mark.parametrize("how", ["move", "copy"])
def test_a_name_taken_by_other_content_is_not_overwritten(watch, folder, how):
    for content in (b"one", b"two", b"three"):  # two of the same length
        put_aside(watch, "a.png", how, folder, write(watch / "a.png", content), NOW)
    assert sorted(lies(folder).values()) == [b"one", b"three", b"two"]
    assert notes(folder) == {f"{name}.json" for name in lies(folder)}
    assert all(Path(name).suffix == ".png" for name in lies(folder))


def test_the_same_content_under_a_taken_name_is_moved_into_the_one_there(watch, folder):
    for mtime_ns in (MTIME, MTIME + 1):
        put_aside(watch, "a.png", "move", folder, write(watch / "a.png", b"", mtime_ns), NOW)
    assert (lies(folder), lies(watch)) == ({"a.png": b""}, {})


@pytest.mark.parametrize("change", ["grown", "touched", "gone", "a folder now"])
@pytest.mark.parametrize("how", ["move", "copy"])
def test_a_file_that_changed_since_it_was_rejected_is_left_alone(watch, folder, how, change):
    reason = write(watch / "a.png", b"torn")
    if change == "grown":
        write(watch / "a.png", b"torn no more")
    elif change == "touched":
        write(watch / "a.png", b"torn", MTIME + 1)
    else:
        (watch / "a.png").unlink()
        if change == "a folder now":
            (watch / "a.png").mkdir()
    before = lies(watch)
    assert put_aside(watch, "a.png", how, folder, reason, NOW) is None
    assert (lies(watch), lies(folder), notes(folder)) == (before, {}, set())


def test_what_a_link_points_to_stays_where_it_is(watch, folder, tmp_path):
    reason = write(tmp_path / "archive/real.png", b"torn")
    (watch / "a.png").symlink_to(tmp_path / "archive/real.png")
    target = put_aside(watch, "a.png", "move", folder, reason, NOW)
    assert not target.is_symlink()
    assert lies(folder) == {"a.png": b"torn"}
    assert (tmp_path / "archive/real.png").read_bytes() == b"torn"
    assert not (watch / "a.png").is_symlink()


def test_a_missing_folder_is_an_error_and_is_not_made(watch, tmp_path):
    reason = write(watch / "tow1/a.png", b"torn")
    with pytest.raises(FileNotFoundError, match="no such folder for rejected files"):
        put_aside(watch, "tow1/a.png", "move", tmp_path / "absent", reason, NOW)
    assert lies(watch) == {"tow1/a.png": b"torn"}
    assert not (tmp_path / "absent").exists()


FULL = """
import resource, signal, sys
from pathlib import Path
from edge.daemon.rejects import Why, put_aside
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
watch, folder, size, mtime_ns = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
try:
    put_aside(watch, "a.png", "move", folder, Why("corrupt", "", size, mtime_ns, None, "ab"), 0)
except OSError as error:
    sys.exit(error.errno)
"""


def test_a_disk_that_takes_no_more_is_an_error_and_the_file_stays(watch, elsewhere):
    # A limit on the size of a file stands for the full disk: the write fails half-way, in a process of its own.
    content = os.urandom(3_000_000)
    write(watch / "a.png", content)
    ended = subprocess.run(
        [sys.executable, "-c", FULL, watch, elsewhere, str(len(content)), str(MTIME)], cwd=ROOT, check=False
    )
    assert ended.returncode == errno.EFBIG
    assert lies(watch) == {"a.png": content}
    assert list(elsewhere.iterdir()) == []


def test_the_watched_folder_under_another_name_never_loses_its_file(watch, tmp_path):
    # A bind mount would need root; a link to the folder looks the same once the file is reached.
    reason = write(watch / "a.png", b"torn")
    (tmp_path / "again").symlink_to(watch)
    with pytest.raises(OSError, match="is the watched folder"):
        put_aside(watch, "a.png", "move", tmp_path / "again", reason, NOW)
    assert lies(watch) == {"a.png": b"torn"}


def test_a_member_of_a_shard_is_copied_even_when_files_move(watch, folder):
    shard = write(watch / "tow1/x.tar", b"shard")
    target = put_aside(watch, "tow1/x.tar/in/b.png", "move", folder, why(b"torn"), NOW, lambda: b"torn")
    assert target == folder / "tow1/x.tar.members/in/b.png"
    assert target.stat().st_mtime_ns == MTIME
    assert (lies(watch), lies(folder)) == ({"tow1/x.tar": b"shard"}, {"tow1/x.tar.members/in/b.png": b"torn"})
    assert put_aside(watch, "tow1/x.tar/in/b.png", "move", folder, why(b"torn"), NOW, lambda: b"torn") == target
    assert put_aside(watch, "tow1/x.tar", "move", folder, shard, NOW) == folder / "tow1/x.tar"  # itself rejected


@pytest.mark.parametrize("given", [None, b"torn and other"])
def test_a_member_that_is_gone_or_another_one_is_left_alone(watch, folder, given):
    assert put_aside(watch, "x.zip/b.png", "copy", folder, why(b"torn"), NOW, lambda: given) is None
    assert (lies(folder), notes(folder)) == ({}, set())


def test_a_members_name_never_leads_out_of_the_folder(watch, folder):
    target = put_aside(watch, "x.zip/../../../b.png", "copy", folder, why(b"torn"), NOW, lambda: b"torn")
    assert target == folder / "x.zip.members/b.png"


def test_a_name_that_is_not_utf_8_is_found_from_the_ledgers_text(watch, folder):
    name = os.fsdecode(b"dr\xf8bak.png")
    reason = write(watch / name, b"torn")
    assert put_aside(watch, r"dr\xf8bak.png", "move", folder, reason, NOW) == folder / r"dr\xf8bak.png"
    assert (lies(watch), lies(folder)) == ({}, {r"dr\xf8bak.png": b"torn"})


def test_names_as_long_as_the_disk_takes_still_have_room_for_their_json(watch, folder):
    for letter in ("a", "ø" * 80):
        name = letter * (250 // len(letter.encode())) + ".png"
        for content in (b"one", b"two"):
            put_aside(watch, name, "move", folder, write(watch / name, content), NOW)
    assert sorted(lies(folder).values()) == [b"one", b"one", b"two", b"two"]
    assert notes(folder) == {f"{name}.json" for name in lies(folder)}


DYING = """
import os, shutil, sys
from pathlib import Path
from edge.daemon.rejects import put_aside
from tests.edge.dying import die_at_every_line
from tests.edge.test_rejects import NOW, lies, notes, write

how, base, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
watch, content = base / "watch", b"torn" * 1000
reasons = []

def prepare():
    for each in (watch, folder):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir()
    reasons[:] = [write(watch / "tow1/a.png", content)]
    if taken:
        write(folder / "tow1/a.png", b"taken")

def work():
    return put_aside(watch, "tow1/a.png", how, folder, reasons[0], NOW)

def check():
    left = [*lies(watch).items(), *lies(folder).items()]
    assert content in [body for name, body in left if not name.endswith(".partial")], "lost"
    work()
    found = lies(folder)
    assert not taken or found.pop("tow1/a.png") == b"taken"
    assert list(found.values()) == [content], found
    assert notes(folder) == {f"{name}.json" for name in found}, notes(folder)
    assert lies(watch) == ({} if how == "move" else {"tow1/a.png": content})
    assert not [name for name in os.listdir(folder / "tow1") if name.endswith(".png.partial")]

for taken in (False, True):
    print(die_at_every_line(prepare, work, check))
"""


@pytest.mark.parametrize("how", ["move", "copy"])
@pytest.mark.parametrize("where", ["the same disk", "another disk"])
def test_a_kill_at_any_line_loses_nothing_and_the_next_try_ends_it(tmp_path, elsewhere, how, where):
    base = elsewhere if where == "the same disk" else tmp_path  # in memory a sync costs nothing: hundreds of kills
    ended = subprocess.run(
        [sys.executable, "-c", DYING, how, base, elsewhere / "rejects"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert min(map(int, ended.stdout.split())) > 50


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a.png", "b.png", "t/a.png"]), st.sampled_from([b"", b"1", b"2", b"12"])),
        max_size=12,
    ),
    st.sampled_from(["move", "copy"]),
)
def test_whatever_comes_under_whatever_name_every_content_is_kept(files, how):
    with tempfile.TemporaryDirectory() as base:
        watch, folder = Path(base, "watch"), Path(base, "rejects")
        watch.mkdir()
        folder.mkdir()
        for path, content in files:
            target = put_aside(watch, path, how, folder, write(watch / path, content), NOW)
            assert target.read_bytes() == content
        kept = lies(folder)
        for path, content in files:
            parent = Path(path).parent
            assert content in [body for name, body in kept.items() if Path(name).parent == parent]
        assert len(kept) == len({(path, content) for path, content in files})


# Settings


def test_the_reject_folder_must_be_there_apart_from_the_watched_one_and_writable(watch, folder, tmp_path):
    move = RejectSettings(files="move")
    check_reject_folder(move, folder, watch)
    (watch / "in").mkdir()
    for wrong, said in (
        (tmp_path / "absent", "no such folder for rejected files"),
        (watch, "lies in the watched folder"),
        (watch / "in", "lies in the watched folder"),
        (tmp_path, "the watched folder .* lies in it"),
    ):
        with pytest.raises(BadConfig, match=said):
            check_reject_folder(move, wrong, watch)
        check_reject_folder(RejectSettings(), wrong, watch)  # not used


def test_a_link_does_not_hide_that_the_reject_folder_is_watched(watch, tmp_path):
    (watch / "in").mkdir()
    (tmp_path / "link").symlink_to(watch / "in")
    with pytest.raises(BadConfig, match="lies in the watched folder"):
        check_reject_folder(RejectSettings(files="copy"), tmp_path / "link", watch)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_reject_folder_that_may_not_be_written_is_refused(watch, folder):
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(BadConfig, match="allow this user"):
        check_reject_folder(RejectSettings(files="move"), folder, watch)


def test_a_word_that_is_no_way_to_treat_rejects_is_refused():
    with pytest.raises(BadConfig, match="expected one of 'stay', 'move', 'copy', found 'delete'"):
        settings_from({"files": "delete"}, RejectSettings, "edge.toml: rejects")
