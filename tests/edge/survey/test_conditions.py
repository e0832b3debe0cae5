"""What the logs of ship and instruments say of the sea at an instant."""

import numpy as np
import pytest

from bundle.errors import BadConfig
from edge.survey.conditions import Conditions, read_conditions
from edge.survey.quantities import quantity
from tests.edge.filled import at

NAN = float("nan")


@pytest.fixture
def log(tmp_path):
    """A function that writes lines to a file; times are clock times of the test's day."""

    def write(name, *lines, end="\n"):
        path = tmp_path / name
        text = "\n".join(lines) + end
        path.write_text(text.replace("T10:", "2026-11-25T10:"), encoding="utf-8")
        return path

    return write


def seen(conditions, name, *clocks):
    return conditions.at(np.array([at(clock) for clock in clocks], np.int64))[name].tolist()


def test_a_value_lies_on_the_line_between_two_readings_and_beyond_them_is_the_nearest(log):
    ctd = log("ctd.csv", "time,depth", "T10:00:00Z,10", "T10:01:00Z,20", "T10:02:00Z,40")
    conditions = read_conditions([ctd], 60)
    assert seen(
        conditions, "depth", "10:00:30", "10:01:00", "10:01:15", "09:59:30", "10:03:00", "10:03:01", "09:58:59"
    ) == (pytest.approx([15, 20, 25, 10, 40, NAN, NAN], nan_ok=True))


def test_over_a_longer_gap_no_line_is_drawn(log):
    ctd = log("ctd.csv", "time,depth", "T10:00:00Z,10", "T10:10:00Z,20")
    conditions = read_conditions([ctd], 60)
    assert seen(conditions, "depth", "10:00:50", "10:05:00", "10:09:30") == pytest.approx([10, NAN, 20], nan_ok=True)


def test_names_and_units_are_told_from_the_headings(log):
    ctd = log(
        "ctd.csv",
        "# Sea-Bird, cast 7",
        "Date/Time;DepSM [m];t090C [deg C];Sal00;Oxygen [umol/kg];Station;PAR (uE)",
        "T10:00:00;1,5;12,25;34,9;250;A1;",
        "T10:00:10;2,5;12,00;-9.99e-29;251;A1;3",
        "T10:00:20;NaN;11,75;35,1;-9999;A1;4",
    )
    conditions = read_conditions([ctd], 60)
    assert conditions.names == ("depth", "temperature", "salinity", "oxygen", "par")
    assert conditions.units == {
        "depth": "m",
        "temperature": "degree_Celsius",
        "salinity": "1",
        "oxygen": "umol/kg",
        "par": "uE",
    }
    found = {name: values.tolist() for name, values in conditions.at(np.array([at("10:00:10")])).items()}
    assert found == {"depth": [2.5], "temperature": [12.0], "salinity": [35.0], "oxygen": [251.0], "par": [3.0]}


def test_a_row_of_units_below_the_header_is_passed_by(log):
    erddap = log(
        "e.csv", "time,latitude,longitude,temperature", "UTC,degrees_north,degrees_east,C", "T10:00:00Z,50,7,9.5"
    )
    conditions = read_conditions([erddap], 60)
    assert conditions.names == ("latitude", "longitude", "temperature")
    assert seen(conditions, "temperature", "10:00:00") == [9.5]


def test_a_track_crosses_the_antimeridian_on_the_short_way(log):
    track = log("t.csv", "time,lat,lon", "T10:00:00Z,10,179.9", "T10:02:00Z,10,-179.9")
    conditions = read_conditions([track], 300)
    (longitude,) = seen(conditions, "longitude", "10:01:00")
    assert abs(longitude) == pytest.approx(180)
    assert seen(conditions, "longitude", "10:00:30") == pytest.approx([179.95])
    assert seen(conditions, "latitude", "10:01:00") == pytest.approx([10], abs=1e-4)


def test_a_heading_turns_through_north(log):
    gyro = log("g.csv", "time,heading", "T10:00:00Z,350", "T10:00:20Z,10")
    conditions = read_conditions([gyro], 60)
    assert seen(conditions, "heading", "10:00:05", "10:00:15") == pytest.approx([355, 5])


def test_rows_out_of_order_are_put_in_order_the_first_of_one_time_holds_and_a_note_says_so(log):
    ctd = log(
        "ctd.csv", "time,depth", "T10:02:00Z,40", "T10:00:00Z,10", "T10:01:00Z,20", "T10:01:00Z,99", "T10:00:00Z,98"
    )
    conditions = read_conditions([ctd], 60)
    assert seen(conditions, "depth", "10:00:00", "10:01:00", "10:01:30") == pytest.approx([10, 20, 30])
    assert conditions.notes == (
        f"{ctd}: the times go back 2 times, first to 2026-11-25T10:00:00Z; the rows were put in order",
    )


def test_of_two_logs_the_first_that_knows_an_instant_holds(log):
    first = log("a.csv", "time,depth", "T10:00:00Z,10", "T10:01:00Z,10")
    second = log("b.csv", "time,depth,temperature", "T10:00:30Z,500,4", "T10:05:00Z,600,5")
    conditions = read_conditions([first, second], 60)
    assert conditions.names == ("depth", "temperature")
    assert seen(conditions, "depth", "10:00:30", "10:05:00", "10:03:00") == pytest.approx([10, 600, NAN], nan_ok=True)


def test_an_nmea_log_gives_positions(log):
    rmc = "$GPRMC,100000,A,5000.000,N,00700.000,E,4.0,090.0,251126,,"
    conditions = read_conditions([log("n.nmea", rmc, rmc.replace("100000", "100100"))], 60)
    assert conditions.names == ("latitude", "longitude")
    assert seen(conditions, "latitude", "10:00:30") == pytest.approx([50])


def test_late_rows_fill_in_at_the_next_reading(log):
    ctd = log("ctd.csv", "time,depth", "T10:00:00Z,10")
    assert np.isnan(seen(read_conditions([ctd], 60), "depth", "10:05:00")[0])
    ctd = log("ctd.csv", "time,depth", "T10:00:00Z,10", "T10:05:00Z,15")
    assert seen(read_conditions([ctd], 60), "depth", "10:05:00") == [15]


def test_a_last_line_without_its_break_is_left_for_later(log):
    ctd = log("ctd.csv", "time,depth", "T10:00:00Z,10", "T10:01:00Z,2", end="")
    assert seen(read_conditions([ctd], 300), "depth", "10:01:00") == [10]


def test_a_column_may_be_named_by_hand(log):
    ctd = log("ctd.csv", "time,Sonde 2 [m],depth", "T10:00:00Z,10,4000", "T10:00:30Z,12,4001")
    conditions = read_conditions([ctd], 60, {"Sonde 2 [m]": "depth"})
    assert (conditions.names, conditions.units) == (("depth",), {"depth": "m"})
    assert seen(conditions, "depth", "10:00:00") == [10]
    with pytest.raises(BadConfig, match=r"no file has the heading 'Sonde 3 \[m\]'; did you mean 'Sonde 2 \[m\]'"):
        read_conditions([ctd], 60, {"Sonde 3 [m]": "depth"})


def test_a_zero_position_is_no_fix(log):
    track = log("t.csv", "time,lat,lon", "T10:00:00Z,0,0", "T10:01:00Z,10,20")
    assert seen(read_conditions([track], 60), "latitude", "10:00:00") == pytest.approx([10])


def test_a_speed_comes_through_the_water_before_over_ground_before_from_the_positions(log):
    both = log("a.csv", "time,stw [kn],sog_kn", "T10:00:00Z,2,4", "T10:00:30Z,,4", "T10:05:00Z,,4")
    track = log("b.csv", "time,lat,lon", "T10:10:00Z,0.1,7", "T10:11:00Z,0.1,7")
    conditions = read_conditions([both, track], 60)
    instants = np.array([at(clock) for clock in ("10:00:00", "10:05:00", "10:10:30", "10:20:00")], np.int64)
    knots = conditions.metres_per_second(instants) * 3600 / 1852
    assert knots.tolist() == pytest.approx([2, 4, 0, NAN], nan_ok=True)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["depth,temperature", "1,2"], "no header with a column for the time and others"),
        ([""], "no header with a column for the time"),
        (["time,depth"], "no column of numbers beside the time"),
        (["time,depth", "T10:00:00Z,"], "no column of numbers beside the time"),
        (["time,depth", "T10:00:00Z,5", "noon,6"], "line 3: the time 'noon' cannot be read; write ISO 8601"),
        (["time,depth", "1970-01-01T00:00:00Z,5"], "line 2: the time '1970-01-01T00:00:00Z' is not from 1980 to 2115"),
        (["time,depth", "T10:00:00Z,5", "T10:00:01Z"], "line 3: 1 columns, the header has more"),
        (["time,depth", "T10:00:00Z,5", "T10:00:01Z,deep"], "line 3: depth is 'deep', which is no number"),
        (["time,lat,lon", "T10:00:00Z,95,5"], "the latitude 95 is not from -90 to 90"),
        (["time,lat,lon", "T10:00:00Z,5,-190"], "the longitude -190 is not from -180 to 360"),
        (["time,t090C,t190C", "T10:00:00Z,5,6"], "two columns are 'temperature'; say which with columns"),
        (["time,depth", "T10:00:00Z,5\0"], "line 2: not a line of text"),
    ],
)
def test_a_log_that_cannot_be_meant_is_refused_with_file_and_line(log, lines, fault):
    path = log("bad.csv", *lines)
    with pytest.raises(BadConfig) as refused:
        read_conditions([path], 60)
    assert str(refused.value).startswith(str(path))
    assert fault in str(refused.value)


def test_a_missing_log_and_two_units_for_one_thing_are_refused(log, tmp_path):
    with pytest.raises(BadConfig, match=r"none.csv: cannot be read \(No such file or directory\)"):
        read_conditions([tmp_path / "none.csv"], 60)
    one, two = (log(f"{unit}.csv", f"time,oxygen [{unit}]", "T10:00:00Z,5") for unit in ("mll", "umol"))
    with pytest.raises(BadConfig, match=r"'oxygen' has different units in different files \(mll and umol\)"):
        read_conditions([one, two], 60)


def test_without_logs_nothing_is_known():
    assert Conditions().at(np.array([1], np.int64)) == {}
    assert np.isnan(Conditions().metres_per_second(np.array([1], np.int64))).all()


@pytest.mark.parametrize(
    ("heading", "told"),
    [
        ("Depth water [m]", ("depth", "m", 1.0)),
        ("depth_m", ("depth", "m", 1.0)),
        ("Temp [°C]", ("temperature", "degree_Celsius", 1.0)),
        ("Speed (kn)", ("speed_over_ground", "m s-1", 1852 / 3600)),
        ("speed", ("speed_over_ground", None, 1.0)),
        ("bottom depth [m]", ("bottom_depth", "m", 1.0)),
        ("Chl-a", ("chlorophyll", None, 1.0)),
        ("NO3", ("no3", None, 1.0)),
    ],
)
def test_a_heading_tells_name_and_unit(heading, told):
    assert quantity(heading) == told
