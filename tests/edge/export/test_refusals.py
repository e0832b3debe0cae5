"""What `planktow-edge export` refuses, with one line that says what to do, and no file left behind."""

import subprocess
import sys

import pytest

from edge.ledger.ledger import open_ledger

from ..filled import fill, other_bundle
from .cruise import sail

FORMS = ("ecotaxa", "dwca", "netcdf", "ifdo", "parquet")


def refused(done, tmp_path, *words) -> None:
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert all(word in done.stderr for word in words), done.stderr
    assert not list(tmp_path.rglob("*out.x*"))


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_ledger_has_nothing_to_export(form, tmp_path, tiny, export):
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        ledger.bundle_id(tiny, 0)
    done = export(form, "--ledger", tmp_path / "l.sqlite", "--out", tmp_path / "out.x", "--images", tmp_path)
    refused(done, tmp_path, "l.sqlite: ", "nothing to export")


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_folder_for_the_export_is_named_before_any_work(form, cruise, tmp_path, export):
    out = tmp_path / "none" / "out.x"
    done = export(form, "--ledger", cruise.ledger, "--out", out, "--images", cruise.watch)
    refused(done, tmp_path, f"{out.parent}: no such folder")


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_in_the_place_of_the_file_is_refused(form, cruise, tmp_path, export):
    done = export(form, "--ledger", cruise.ledger, "--out", cruise.watch, "--images", cruise.watch)
    refused(done, tmp_path, f"{cruise.watch}: a folder")


def test_a_ledger_that_is_not_there_is_named(tmp_path, export):
    refused(export("parquet", "--ledger", tmp_path / "no", "--out", tmp_path / "out.x"), tmp_path, "no such ledger")


def test_a_digest_of_no_classifier_or_of_several_is_refused(tmp_path, tiny, export):
    path = tmp_path / "l.sqlite"
    fill(path, other_bundle(tiny, ("a",), "ab" + "0" * 62), counted=[("10:00:00", 0)])
    fill(path, other_bundle(tiny, ("a",), "ab" + "1" * 62), counted=[("10:01:00", 0)])
    for digest, word in (("ff", "no classifier"), ("ab", "several classifiers")):
        given = ["--ledger", path, "--out", tmp_path / "out.x", "--classifier", digest]
        refused(export("ifdo", *given, bundle=None), tmp_path, word, f"'{digest}'", "other ab0000")


def test_a_bundle_that_did_not_count_is_refused(tmp_path, tiny, export):
    path = tmp_path / "l.sqlite"
    fill(path, other_bundle(tiny, ("a",)), counted=[("10:00:00", 0)])
    refused(export("ifdo", "--ledger", path, "--out", tmp_path / "out.x"), tmp_path, "tiny-3")


def test_times_in_the_wrong_order_are_refused(cruise, tmp_path, export):
    given = ["--ledger", cruise.ledger, "--out", tmp_path / "out.x", "--from", "2026-11-26", "--to", "2026-11-25"]
    refused(export("parquet", *given), tmp_path, "is not before")


@pytest.mark.parametrize(
    ("form", "name", "module"),
    [("parquet", "out.x", "pyarrow"), ("netcdf", "out.x", "netCDF4"), ("ifdo", "out.x.yaml", "yaml")],
)
def test_a_library_that_is_missing_is_named_with_the_extra_that_brings_it(form, name, module, cruise, tmp_path):
    # In a process of its own that cannot import the library: as on a camera host with the base install.
    program = f"import sys; sys.modules['{module}'] = None; from edge.cli import app; app()"
    given = ["export", form, "--ledger", str(cruise.ledger), "--out", str(tmp_path / name)]
    done = subprocess.run([sys.executable, "-c", program, *given], capture_output=True, text=True)
    assert done.returncode == 2
    assert module in done.stderr
    assert "pip install 'planktow[export]'" in done.stderr
    assert not list(tmp_path.glob("*out.x*"))


def test_the_command_line_loads_no_library_of_an_export_before_it_is_asked_to():
    program = "import sys, edge.cli; print({'pyarrow', 'netCDF4', 'yaml', 'edge.export.rows'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("form", ["dwca", "netcdf", "ifdo", "parquet"])
def test_a_disk_that_takes_no_more_is_named_and_nothing_is_left(form, tmp_path, tiny):
    path, out = tmp_path / "ledger.sqlite", tmp_path / "out" / "out.x"
    out.parent.mkdir()
    fill(path, tiny, counted=[(f"10:{number // 60:02}:{number % 60:02}", number % 3) for number in range(2000)])
    # No file may grow beyond 40,000 bytes; SQLite's index of its log, of 32,768, still may.
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000));from edge.cli import app; app()"
    )
    given = ["export", form, "--ledger", str(path), "--out", str(out), "--bin", "1s"]
    done = subprocess.run([sys.executable, "-c", program, *given], capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert f"{out}: cannot be written (" in done.stderr
    assert list(out.parent.iterdir()) == []


def test_a_disk_that_takes_no_more_leaves_no_zip_file_of_images(tmp_path, tiny):
    cruise = sail(tmp_path, tiny, images_each=20)
    out = tmp_path / "out" / "out.zip"
    out.parent.mkdir()
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (33_000, 33_000));from edge.cli import app; app()"
    )
    given = ["export", "ecotaxa", "--ledger", str(cruise.ledger), "--images", str(cruise.watch), "--out", str(out)]
    done = subprocess.run([sys.executable, "-c", program, *given], capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert f"{out}: cannot be written (" in done.stderr
    assert list(out.parent.iterdir()) == []
