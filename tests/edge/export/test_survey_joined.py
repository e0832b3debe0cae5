"""Exports with a survey file: position, depth and tows in each, volumes and concentrations in those of counts."""

import json
import math

import pytest

from .test_dwca import tables
from .test_ecotaxa import opened as opened_ecotaxa
from .test_netcdf import follow_the_rules

SURVEY = """
[volume]
litres_per_image = 2.0
relative_sd = 0.1

[environment]
files = ["ship.csv", "ctd.csv"]
max_gap_seconds = 7200

[tows]
folders = true
"""


@pytest.fixture
def survey(tmp_path):
    """From 10:00 on 1 degree east and 10 m down in an hour; the CTD has columns named like ours."""
    (tmp_path / "ship.csv").write_text(
        "time,latitude,longitude\n2026-11-25T10:00:00Z,50,7\n2026-11-25T11:00:00Z,50,8\n2026-11-25T12:00:00Z,50,9\n"
    )
    (tmp_path / "ctd.csv").write_text(
        "time,depth [m],temperature [degC],width [furlong],label\n"
        "2026-11-25T10:00:00Z,10,4,1,7\n2026-11-25T11:00:00Z,20,5,1,7\n2026-11-25T12:00:00Z,30,6,1,7\n"
    )
    (tmp_path / "survey.toml").write_text(SURVEY)
    return tmp_path / "survey.toml"


def test_images_in_ecotaxa_have_position_depth_and_tow(cruise, survey, export, tmp_path):
    given = ["--ledger", cruise.ledger, "--images", cruise.watch, "--survey", survey, "--out", tmp_path / "e.zip"]
    assert export("ecotaxa", *given).exit_code == 0
    rows, types, _ = opened_ecotaxa(tmp_path / "e.zip")
    first = rows[0]
    assert first["object_file"] == "tow1/0.png"
    assert float(first["object_lat"]) == pytest.approx(50, abs=1e-3)
    assert float(first["object_lon"]) == pytest.approx(7, abs=1e-3)
    assert first["object_depth_min"] == first["object_depth_max"] != ""
    assert float(first["object_temperature"]) == pytest.approx(4, abs=1e-3)
    assert (first["object_width"], first["object_log_width"]) == ("100", "1"), "the image's own, and the log's"
    assert types["object_temperature"] == "[f]"
    assert {row["sample_id"] for row in rows} == {"tow1", "tow2"}


def test_images_in_ifdo_have_position_and_height(cruise, survey, export, tmp_path):
    export("ifdo", "--ledger", cruise.ledger, "--survey", survey, "--out", tmp_path / "i.json")
    document = json.loads((tmp_path / "i.json").read_bytes())
    item = document["image-set-items"]["tow1/0.png"]
    assert item["image-latitude"] == pytest.approx(50, abs=1e-3)
    assert item["image-altitude-meters"] == pytest.approx(-10, abs=1e-3)
    assert item["image-event"] == {"name": "tow1"}
    assert document["image-set-header"]["image-longitude"] == item["image-longitude"]


def test_images_in_parquet_have_every_quantity_with_its_unit(cruise, survey, export, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    export("parquet", "--ledger", cruise.ledger, "--survey", survey, "--out", tmp_path / "p.parquet")
    table = pq.read_table(tmp_path / "p.parquet")
    assert table["depth"].to_pylist()[0] == pytest.approx(10, abs=1e-3)
    assert table["width"].to_pylist()[0] == 100
    assert table["log_width"].to_pylist()[0] == 1
    assert table["log_label"].to_pylist()[0] == 7
    assert table.schema.field("temperature").metadata[b"unit"] == b"degree_Celsius"


def test_tows_are_the_events_of_the_archive_with_volume_place_and_concentration(cruise, survey, export, tmp_path):
    assert export("dwca", "--ledger", cruise.ledger, "--survey", survey, "--out", tmp_path / "d.zip").exit_code == 0
    found = tables(tmp_path / "d.zip")
    first, second = found["Event"]
    assert [row["id"].split(":")[1].split("-")[0] for row in (first, second)] == ["tow1", "tow2"]
    assert (first["sampleSizeValue"], first["sampleSizeUnit"]) == ("0.01", "cubic metre")
    assert float(first["decimalLatitude"]) == pytest.approx(50, abs=0.01)
    assert 10 <= float(first["minimumDepthInMeters"]) < float(first["maximumDepthInMeters"]) < 30
    chains = {
        row["measurementTypeID"].rstrip("/").rpartition("/")[2]: row
        for row in found["ExtendedMeasurementOrFact"]
        if row["occurrenceID"].endswith(":chain") and row["id"] == first["id"]
    }
    assert chains["OCOUNT01"]["measurementValue"] == "4"
    assert float(chains["SDBIOL01"]["measurementValue"]) == pytest.approx(4 / 0.01)
    assert chains["SDBIOL01"]["measurementAccuracy"].startswith("95 % interval ")
    temperatures = [row for row in found["ExtendedMeasurementOrFact"] if row["measurementType"] == "temperature"]
    assert [row["measurementUnit"] for row in temperatures] == ["degree_Celsius"] * 2


def test_bins_in_netcdf_have_place_volume_and_concentration(cruise, survey, export, tmp_path):
    netcdf4 = pytest.importorskip("netCDF4")
    done = export("netcdf", "--ledger", cruise.ledger, "--survey", survey, "--out", tmp_path / "c.nc")
    assert done.exit_code == 0, done.stderr
    with netcdf4.Dataset(tmp_path / "c.nc") as file:
        follow_the_rules(file)
        assert file["longitude"][0] == pytest.approx(7.5, abs=0.02)
        assert file["depth"].positive == "down"
        assert file["temperature"].standard_name == "sea_water_temperature"
        assert file["width"].units_as_logged == "furlong"
        assert file["log_label"][0] == 7
        chain = list(file["label"][:]).index("chain")
        volume = float(file["sampled_volume"][0])
        assert file["concentration"][chain, 0] == pytest.approx(file["raised_count"][chain, 0] / volume)
        low, value, high = (float(file[f"concentration{end}"][chain, 0]) for end in ("_low", "", "_high"))
        assert low < value < high
        assert not math.isnan(low)
