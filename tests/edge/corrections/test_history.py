"""The file of human labels: a history that many may write, that no kill tears, and that a full disk does not harm."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundle.errors import BadConfig
from edge.corrections.history import (
    add_labels,
    history,
    labels_beside,
    last_of,
    latest,
    read_labels,
    said_lately,
    take_back,
)
from edge.corrections.humanlabel import HumanLabel, checked_label
from edge.corrections.labelsfile import MIGRATIONS, labels_file, reading, writing

from ..dying import die_at_every_line

NO_MOUNTS = "unshare --user --map-root-user --mount does not work here, so there is no small disk to fill"


def said(number: int, label: str | None = "copepod", person: str = "Ada", when: int = 0) -> HumanLabel:
    return HumanLabel(sha256(b"%d" % number).digest(), label, person, "krill", "ab" * 32, when)


def holds(file: Path) -> dict[bytes, HumanLabel]:
    with reading(file) as connection:
        return latest(connection)


def rows(file: Path) -> list[HumanLabel]:
    with reading(file) as connection:
        return [each for _, each in history(connection)]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: what is tested hundreds of times waits for no disk."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


# A label


@pytest.mark.parametrize(
    ("told", "kept"), [("  Clione   limacina ", "Clione limacina"), ("e\u0301tre", "\u00e9tre"), ("a/b", "a/b")]
)
def test_a_label_is_kept_composed_and_without_stray_spaces(told, kept):
    assert checked_label(told) == kept


@pytest.mark.parametrize("told", ["", " ", "x" * 101, "a\x00b", "a\u200bb"])
def test_what_is_no_label_is_refused(told):
    with pytest.raises(BadConfig):
        checked_label(told)


def test_what_is_not_clean_is_not_written(tmp_path):
    file = tmp_path / "x.labels.sqlite"
    for label in (said(1)._replace(sha256=b"short"), said(1, " copepod"), said(1, person="Ada\n")):
        with pytest.raises(ValueError, match=r"32 bytes|not a clean"):
            add_labels(file, [said(2), label])
    with pytest.raises(BadConfig):
        add_labels(file, [said(2), said(1, person="")])
    assert holds(file) == {}


# The history


def test_the_last_that_was_said_of_an_image_holds_and_nothing_is_forgotten(tmp_path):
    file = tmp_path / "x.labels.sqlite"
    add_labels(file, [said(1, "a"), said(2, "b"), said(1, "c")])
    add_labels(file, [said(2, None)])
    assert holds(file) == {said(1).sha256: said(1, "c")}
    assert rows(file) == [said(1, "a"), said(2, "b"), said(1, "c"), said(2, None)]


def test_taking_back_lets_hold_what_was_said_before(tmp_path):
    file = tmp_path / "x.labels.sqlite"
    (first,) = add_labels(file, [said(1, "a", "Ada", 5)])
    (second,) = add_labels(file, [said(1, "b", "Grace", 6)])
    assert take_back(file, first, "Ada", 7) is None, "Grace has said something else since"
    assert take_back(file, second, "Grace", 7) == said(1, "b", "Grace", 6)
    assert holds(file) == {said(1).sha256: said(1, "a", "Ada", 5)}
    assert take_back(file, second, "Grace", 8) is None, "twice is once"
    assert len(rows(file)) == 3


def test_taking_back_the_only_label_leaves_none(tmp_path):
    file = tmp_path / "x.labels.sqlite"
    (number,) = add_labels(file, [said(1)])
    assert take_back(file, number, "Ada", 7) == said(1)
    assert take_back(file, 4711, "Ada", 7) is None
    assert holds(file) == {}
    add_labels(file, [said(1, "d")])
    assert holds(file) == {said(1).sha256: said(1, "d")}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", None])), max_size=12), st.uuids(version=4))
def test_what_holds_is_what_a_dictionary_would_hold(memory, steps, name):
    file = memory / f"{name}.labels.sqlite"
    file.unlink(missing_ok=True)
    model: dict[bytes, HumanLabel] = {}
    for when, (number, label) in enumerate(steps):
        each = said(number, label, when=when)
        add_labels(file, [each])
        model[each.sha256] = each
    if steps:
        assert holds(file) == {key: each for key, each in model.items() if each.label is not None}


def test_the_last_of_a_person_is_the_last_that_holds(tmp_path):
    file = tmp_path / "x.labels.sqlite"
    add_labels(
        file, [said(1, "a", "Ada", 5), said(2, "b", "Ada", 6), said(2, "c", "Grace", 7), said(3, None, "Ada", 8)]
    )
    with reading(file) as connection:
        assert last_of(connection, "Ada", 0) == (1, said(1, "a", "Ada", 5))
        assert last_of(connection, "Ada", 6) is None
        assert last_of(connection, "Eve", 0) is None
        assert said_lately(latest(connection)) == ["c", "a"]


# The file


def test_labels_lie_beside_the_ledger_and_a_ledger_without_them_has_none(tmp_path):
    ledger = tmp_path / "tow 7%.sqlite"
    assert labels_file(ledger).name == "tow 7%.labels.sqlite"
    assert read_labels(ledger) == {}
    with closing(sqlite3.connect(ledger)) as connection:
        assert labels_beside(connection) == {}
        add_labels(labels_file(ledger), [said(1)])
        assert labels_beside(connection) == {said(1).sha256: said(1)}
    with closing(sqlite3.connect(":memory:")) as connection:
        assert labels_beside(connection) == {}


def test_another_file_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "x.labels.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE mine (a)")
    before = file.read_bytes()
    for use in (lambda: add_labels(file, [said(1)]), lambda: holds(file)):
        with pytest.raises(BadConfig, match="not a file of human labels"):
            use()
    assert file.read_bytes() == before
    file.write_bytes(b"no database at all" * 100)
    for use in (lambda: add_labels(file, [said(1)]), lambda: holds(file)):
        with pytest.raises(BadConfig, match="damaged"):
            use()


def test_a_file_of_a_newer_version_is_refused(tmp_path):
    file = tmp_path / "x.labels.sqlite"
    with writing(file) as connection:
        connection.execute("INSERT INTO migration VALUES (?, 'm999', 0)", (len(MIGRATIONS) + 1,))
    with pytest.raises(BadConfig, match="newer Planktow"):
        holds(file)


def test_a_missing_folder_is_not_made(tmp_path):
    with pytest.raises(BadConfig, match="no such folder"):
        add_labels(tmp_path / "unmounted" / "x.labels.sqlite", [said(1)])
    assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_reader_who_may_not_write_there_reads(tmp_path):
    file = tmp_path / "x.labels.sqlite"
    add_labels(file, [said(1)])
    tmp_path.chmod(0o555)
    try:
        assert holds(file) == {said(1).sha256: said(1)}
    finally:
        tmp_path.chmod(0o755)


def test_a_fault_in_the_middle_leaves_all_as_it_was(tmp_path):
    file = tmp_path / "x.labels.sqlite"
    add_labels(file, [said(1)])

    def spoil() -> None:
        with writing(file) as connection:
            connection.execute("DELETE FROM label")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        spoil()
    assert rows(file) == [said(1)]


WRITER = """
import sys
from hashlib import sha256
from pathlib import Path
from edge.corrections.history import add_labels
from edge.corrections.humanlabel import HumanLabel
file, who = Path(sys.argv[1]), sys.argv[2]
for number in range(int(sys.argv[3])):
    pair = [HumanLabel(sha256(f"{who} {number} {half}".encode()).digest(), "a", who, None, None, number) for half in "xy"]
    add_labels(file, pair)
    print(number, flush=True)
"""


def writer(file: Path, who: str, times: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file), who, str(times)], stdout=subprocess.PIPE, text=True
    )


def test_several_writers_lose_nothing_while_a_reader_looks_on(tmp_path):
    file = tmp_path / "x.labels.sqlite"
    writers = [writer(file, who, 15) for who in ("Ada", "Grace", "Marie")]
    while any(each.poll() is None for each in writers):
        if file.exists():
            assert len(rows(file)) % 2 == 0
    assert [each.wait() for each in writers] == [0, 0, 0]
    for each in writers:
        each.stdout.close()
    kept = rows(file)
    assert len(kept) == 90
    for who in ("Ada", "Grace", "Marie"):
        assert [each.labelled_ns for each in kept if each.person == who] == [n for n in range(15) for _ in "xy"]


def test_a_writer_that_is_killed_leaves_whole_pairs_and_the_file_free(tmp_path):
    file = tmp_path / "x.labels.sqlite"
    for kill in range(4):
        process = writer(file, f"killed {kill}", 10_000)
        for _ in range(3 * kill + 1):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        said_done = [int(line) for line in process.stdout.read().split()]
        process.wait()
        process.stdout.close()
        done = max([3 * kill, *said_done]) + 1
        kept = [each for each in rows(file) if each.person == f"killed {kill}"]
        assert len(kept) % 2 == 0
        assert len(kept) >= 2 * done, "what was said to be written is written"
        add_labels(file, [said(1000 + kill, person="after")])
    with reading(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_killed_at_any_line_the_file_holds_all_of_a_step_or_nothing(memory):
    file = memory / "x.labels.sqlite"
    seen = set()

    def prepare() -> None:
        for old in memory.iterdir():
            old.unlink()

    def work() -> None:
        (number, _) = add_labels(file, [said(1, "a"), said(2, "a")])
        take_back(file, number, "Ada", 9)

    def check() -> None:
        kept = rows(file) if file.exists() else []
        assert kept in ([], [said(1, "a"), said(2, "a")], [said(1, "a"), said(2, "a"), said(1, None, when=9)])
        seen.add(len(kept))
        add_labels(file, [said(3)])
        assert rows(file) == [*kept, said(3)]

    assert die_at_every_line(prepare, work, check) > 30
    assert seen == {0, 2, 3}


FULL = """
import sys
from hashlib import sha256
from pathlib import Path
from bundle.errors import BadConfig
from edge.corrections.history import add_labels, read_labels
from edge.corrections.humanlabel import HumanLabel
ledger = Path(sys.argv[1]) / "x.sqlite"
file = Path(sys.argv[1]) / "x.labels.sqlite"
number = 0
try:
    while True:
        batch = [HumanLabel(sha256(f"{number} {n}".encode()).digest(), "a" * 90, "Ada", None, None, 0) for n in range(200)]
        add_labels(file, batch)
        number += 1
except BadConfig as fault:
    print(fault)
print(number, len(read_labels(ledger)))
"""


def test_a_full_disk_is_said_and_nothing_is_half_written(tmp_path):
    works = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True, check=False
    ).returncode
    if shutil.which("unshare") is None or works != 0:
        pytest.skip(NO_MOUNTS)
    script = tmp_path / "full.py"
    script.write_text(FULL)
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
         f"mount -t tmpfs -o size=1m none '{disk}' && exec '{sys.executable}' '{script}' '{disk}'"],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    if done.returncode != 0 and "mount" in done.stderr:
        pytest.skip(NO_MOUNTS)
    assert done.returncode == 0, done.stderr
    fault, numbers = done.stdout.splitlines()
    assert "free some space on its disk" in fault
    batches, kept = map(int, numbers.split())
    assert batches > 0
    assert kept == 200 * batches
