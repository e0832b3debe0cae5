"""The NetCDF file, read back with the netCDF4 library, by the rules of CF-1.11."""

import re

import numpy as np
import pytest

from ..filled import TEN, at, fill, other_bundle

netCDF4 = pytest.importorskip("netCDF4")  # noqa: N816


@pytest.fixture
def opened():
    files = []

    def open_(path):
        files.append(netCDF4.Dataset(path))
        return files[-1]

    yield open_
    for file in files:
        file.close()


def follow_the_rules(file) -> None:
    """Of CF-1.11: names (2.3), units (3.1), bounds (7.1), flags (3.5), and that what is named is there (3.4, 5)."""
    assert file.Conventions == "CF-1.11"
    assert {"title", "history", "source", "comment"} <= set(file.ncattrs())
    for name, variable in file.variables.items():
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
        assert set(variable.dimensions) <= {"time", "taxon", "bounds"}
        attributes = {key: variable.getncattr(key) for key in variable.ncattrs()}
        logged = attributes.get("long_name", "").endswith("from the ship's log")  # in units that nobody told
        if variable.dtype is not str and not logged and not name.endswith("_bounds") and "flag_masks" not in attributes:
            assert attributes["units"]
        for key in ("bounds", "coordinates", "ancillary_variables"):
            assert set(attributes.get(key, "").split()) <= file.variables.keys()
        assert attributes.get("standard_name") or attributes.get("long_name") or name.endswith("_bounds")
        if "flag_masks" in attributes:
            assert len(attributes["flag_meanings"].split()) == len(attributes["flag_masks"])
            assert attributes["flag_masks"].dtype == variable.dtype
    assert np.all(np.diff(file["time"][:]) > 0)
    bounds = file["time_bounds"][:]
    assert np.all((bounds[:, 0] < file["time"][:]) & (file["time"][:] < bounds[:, 1]))


def test_every_bin_and_label_comes_back_with_zeros_told_from_what_was_not_looked_for(tmp_path, tiny, export, opened):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, counted=[("10:00:00", 0), ("10:59:59", 2), ("12:00:00", 2)], dropped=["12:10:00", "14:00:00"])
    done = export("netcdf", "--ledger", path, "--out", tmp_path / "c.nc", "--title", "Cruise é")
    assert (done.exit_code, done.stderr) == (0, "")
    file = opened(tmp_path / "c.nc")
    follow_the_rules(file)
    assert file.title == "Cruise é"
    assert list(file["label"][:]) == ["chain", "sphere", "jelly", "unclassified"]
    counts = file["raw_count"][:].T
    assert counts.tolist() == [[1, 0, 1, 0], [0, 0, 1, 0], [None, None, None, None]]
    seconds = [at(clock) // 10**9 for clock in ("10:30:00", "12:30:00", "14:30:00")]
    assert file["time"][:].tolist() == seconds
    assert file["time_bounds"][0].tolist() == [TEN // 10**9, TEN // 10**9 + 3600]
    assert file["images_classified"][:].tolist() == [2, 1, 0]
    assert file["images_dropped"][:].tolist() == [0, 1, 1]
    meanings = file["flags"].flag_meanings.split()
    dropped = file["flags"].flag_masks[meanings.index("images_left_out_under_overload")]
    assert [bool(flag & dropped) for flag in file["flags"][:]] == [False, True, True]
    assert tiny.digest in file.planktow_bundles
    assert "seen 5 = counted 3 + rejected 0 + waiting 0 + dropped 2" in file.planktow_accounting


def test_raised_counts_and_their_interval_come_back(tmp_path, tiny, export, opened):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, counted=[("10:00:00", 0), ("10:10:00", 0), ("10:20:00", 2)], dropped=["10:30:00"])
    export("netcdf", "--ledger", path, "--out", tmp_path / "c.nc")
    file = opened(tmp_path / "c.nc")
    low, raised, high = (file[name][:, 0].filled(np.nan) for name in ("raw_low", "raised_count", "raw_high"))
    assert np.all((low <= raised) & (raised <= high))


def test_odd_labels_and_several_classifiers_come_back(tmp_path, tiny, export, opened):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, counted=[("10:00:00", 2)])
    fill(path, other_bundle(tiny, ("jelly", "tab\t\"中'é")), counted=[("12:10:00", 1)])
    done = export("netcdf", "--ledger", path, "--out", tmp_path / "c.nc")
    assert done.exit_code == 0
    file = opened(tmp_path / "c.nc")
    follow_the_rules(file)
    assert list(file["label"][:]) == ["chain", "sphere", "jelly", "tab\t\"中'é", "unclassified"]
    assert file["raw_count"][:].T.tolist() == [[0, 0, 1, None, 0], [None, None, 0, 1, 0]]
