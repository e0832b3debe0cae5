import subprocess
import sys

import pytest

from bundle.whole import json_bytes, sha256_hex, whole_folder, write_whole, write_whole_with


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_hash_is_the_one_of_the_standard():
    # FIPS 180-2, appendix B.1
    assert sha256_hex(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_is_written_and_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "counts.csv"
    write_whole(path, b"first")
    assert path.read_bytes() == b"first"
    write_whole(path, b"second, and longer")
    assert path.read_bytes() == b"second, and longer"
    assert names_in(tmp_path) == ["counts.csv"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "counts.csv"
    write_whole(path, b"old")

    def fill(file):
        file.write(b"half of the n")
        file.flush()
        raise error

    with pytest.raises(type(error)):
        write_whole_with(path, fill)
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["counts.csv"]


def test_a_failure_in_the_middle_of_a_first_write_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_whole_with(tmp_path / "new", lambda file: file.write(b"x") / 0)
    assert names_in(tmp_path) == []


def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path):
    path = tmp_path / "counts.csv"
    write_whole(path, b"old")
    # A limit on the size of a file is the kernel's own refusal in the middle of a write.
    program = (
        "import resource, signal, sys; from pathlib import Path; from bundle.whole import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_whole(Path(sys.argv[1]), bytes(100_000))\n"
        "except OSError as error: print(error.strerror)"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert ran.stdout == "File too large\n"
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["counts.csv"]


def test_a_process_killed_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "counts.csv"
    write_whole(path, b"old")
    program = (
        "import os, signal, sys; from pathlib import Path; from bundle.whole import write_whole_with\n"
        "def fill(file): file.write(bytes(100_000)); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_whole_with(Path(sys.argv[1]), fill)"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ran.returncode == -9
    assert path.read_bytes() == b"old"
    left = [name for name in names_in(tmp_path) if name != "counts.csv"]
    assert all(name.startswith(".") and name.endswith(".partial") for name in left)  # no reader takes it for a file


def test_a_missing_folder_is_an_error_and_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "missing" / "file", b"")
    assert names_in(tmp_path) == []


def test_a_reader_never_sees_a_part(tmp_path):
    path = tmp_path / "status.json"
    write_whole(path, b"a" * 50_000)
    opened = path.open("rb")  # a reader that is slow: it keeps the file it opened
    write_whole(path, b"b" * 10)
    with opened:
        assert opened.read() == b"a" * 50_000
    assert path.stat().st_size == 10


def test_json_keeps_the_order_of_keys_and_people_s_letters_and_refuses_what_is_not_json():
    assert json_bytes({"b": 1, "a": ["ü"]}) == '{\n "b": 1,\n "a": [\n  "ü"\n ]\n}\n'.encode()
    with pytest.raises(ValueError, match="JSON compliant"):
        json_bytes(float("nan"))


def test_a_folder_is_whole_or_absent(tmp_path):
    with whole_folder(tmp_path / "deep" / "run") as partial:
        (partial / "members").mkdir()
        (partial / "members" / "01.keras").write_bytes(b"weights")
        assert not (tmp_path / "deep" / "run").exists()
    assert (tmp_path / "deep" / "run" / "members" / "01.keras").read_bytes() == b"weights"
    assert names_in(tmp_path / "deep") == ["run"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_of_a_folder_leaves_nothing(tmp_path, error):
    def write_half():
        with whole_folder(tmp_path / "run") as partial:
            (partial / "half").write_bytes(b"half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert names_in(tmp_path) == []
