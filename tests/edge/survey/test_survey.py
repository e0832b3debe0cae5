"""survey.toml as a person writes it."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from bundle.errors import BadConfig
from edge.survey.ratio import widened
from edge.survey.surveyfile import Survey, read_survey
from edge.survey.tows import Tow, TowSettings
from edge.survey.volume import Sampled, Volume
from tests.edge.filled import TEN, at, fill

DOCUMENT = Path(__file__).parents[3] / "docs" / "survey.md"

WHOLE = """
[volume]
aperture_square_metres = 0.01
relative_sd = 0.1

[environment]
files = ["logs/*.csv", "ship.nmea"]
max_gap_seconds = 600

[tows]
file = "tows.csv"
"""


@pytest.fixture
def written(tmp_path):
    """A function that writes survey.toml and reads it."""

    def write(text):
        (tmp_path / "survey.toml").write_text(text, encoding="utf-8")
        return read_survey(tmp_path / "survey.toml")

    return write


def test_an_empty_file_says_nothing_and_everything_still_answers(written, tmp_path, tiny):
    survey = written("")
    assert survey == Survey()
    assert survey.conditions().names == ()
    fill(tmp_path / "l.sqlite", tiny, [("10:00:00", 0), ("10:00:10", 0)])
    with closing(sqlite3.connect(tmp_path / "l.sqlite")) as connection:
        assert survey.deployments(connection) == ()
        assert survey.sampled(connection, [(TEN, at("11:00:00"))]) == (Sampled(20.0, None, 0.0),)


def test_the_whole_file_joins_speed_tows_and_conditions(written, tmp_path, tiny):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.csv").write_text("time,depth\n2026-11-25T10:00:00Z,10\n2026-11-25T10:05:00Z,20\n")
    (tmp_path / "logs" / "b.csv").write_text("time,speed [m/s]\n2026-11-25T10:00:00Z,2\n2026-11-25T10:05:00Z,2\n")
    (tmp_path / "ship.nmea").write_text("$GPRMC,100000,A,5000.000,N,00700.000,E,4.0,090.0,251126,,\n")
    (tmp_path / "tows.csv").write_text("name,start,end\nA,2026-11-25T10:00Z,2026-11-25T10:05Z\n")
    survey = written(WHOLE)
    conditions = survey.conditions()
    assert conditions.names == ("latitude", "longitude", "depth", "speed_over_ground")
    assert conditions.at(np.array([at("10:02:30")]))["depth"].tolist() == [15.0]
    fill(tmp_path / "l.sqlite", tiny, [(f"10:0{minute}:00", 0) for minute in range(5)])
    with closing(sqlite3.connect(tmp_path / "l.sqlite")) as connection:
        (tow,) = survey.deployments(connection)
        assert tow == Tow("A", at("10:00:00"), at("10:05:00"))
        for given in (None, conditions):
            (water,) = survey.sampled(connection, [(tow.start_ns, tow.end_ns)], given)
            assert (water.seconds, water.litres, water.relative_sd) == pytest.approx((300, 300 * 2 * 10, 0.1))


def test_late_data_fills_in_at_the_next_report(written, tmp_path):
    survey = written('[environment]\nfiles = ["*.csv"]')
    with pytest.raises(BadConfig, match=r"\*\.csv: no file has such a name"):
        survey.conditions()
    (tmp_path / "1.csv").write_text("time,depth\n2026-11-25T10:00:00Z,10\n")
    (tmp_path / "2.csv").write_text("time,depth\n2026-11-25T11:00:00Z,20\n")
    assert survey.conditions().at(np.array([TEN, at("11:00:00")]))["depth"].tolist() == [10, 20]


def test_a_file_name_with_brackets_is_a_name(written, tmp_path):
    (tmp_path / "cast[1]").mkdir()
    (tmp_path / "cast[1]" / "7.csv").write_text("time,depth\n2026-11-25T10:00:00Z,10\n")
    for name in ("cast[1]/7.csv", "cast[1]/?.csv"):
        assert written(f'[environment]\nfiles = ["{name}"]').conditions().names == ("depth",)


def test_a_column_is_named_by_hand(written, tmp_path):
    (tmp_path / "1.csv").write_text("time,Sonde=2 [m]\n2026-11-25T10:00:00Z,10\n")
    survey = written('[environment]\nfiles = ["1.csv"]\ncolumns = ["depth = Sonde=2 [m]"]')
    assert survey.conditions().names == ("depth",)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[volumes]", "unknown key 'volumes'; did you mean 'volume'?"),
        ("[volume]\nlitres_per_secnd = 1", "volume: unknown key 'litres_per_secnd'; did you mean 'litres_per_second'?"),
        ("[volume]\nlitres_per_second = -1", "volume: litres_per_second must be from 1e-09"),
        ("[volume]", "volume: give exactly one of"),
        ("[environment]", "environment: missing key 'files'"),
        ("[environment]\nfiles = []", "environment: files is empty"),
        ('[environment]\nfiles = ["a"]\nmax_gap_seconds = 0', "max_gap_seconds must be from 0.001"),
        ('[environment]\nfiles = ["a"]\ncolumns = ["depth"]', "columns: 'depth' is not NAME=HEADING"),
        ("[tows]", "tows: give exactly one of"),
        ("[tows]\ngap_seconds = 0", "tows: gap_seconds must be from 1"),
        ("nonsense", "not valid TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_named(written, tmp_path, text, fault):
    with pytest.raises(BadConfig) as refused:
        written(text)
    assert str(refused.value).startswith(str(tmp_path / "survey.toml"))
    assert fault in str(refused.value)


def test_a_survey_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadConfig, match="no such configuration file"):
        read_survey(tmp_path / "survey.toml")


def test_files_are_relative_to_the_folder_of_the_survey(written, tmp_path):
    survey = written('[tows]\nfile = "sub/tows.csv"\n[volume]\nlitres_per_image = 2')
    assert survey.tows == TowSettings(file=tmp_path.resolve() / "sub" / "tows.csv")
    assert survey.volume == Volume(litres_per_image=2.0)


def test_the_example_of_the_document_is_a_survey(written):
    (text,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    survey = written(text)
    assert survey.volume == Volume(
        aperture_square_metres=0.0045, relative_sd=0.05, max_gap_seconds=60.0, image_rules=("blurred",)
    )
    assert (survey.environment.max_gap_seconds, survey.tows.file.name) == (300.0, "tows.csv")


def test_the_worked_example_of_the_document_is_right():
    words = " ".join(DOCUMENT.read_text(encoding="utf-8").split())
    water = 1200 * 2 * 0.0045
    wide = widened(48.0, 35.0, 64.0, 0.1)
    told = [water, 48 / water, 35 / water, 64 / water, wide[0] / water, wide[1] / water]
    assert "10.8 m³. Of a species 54 were counted, corrected to 48 (35 to 64). That is 4.4 a cubic metre" in words
    assert "certain 3.2 to 5.9, and with `relative_sd = 0.1` 3.1 to 6.3" in words
    assert [round(value, 1) for value in told] == [10.8, 4.4, 3.2, 5.9, 3.1, 6.3]
