"""The ship's track: read from CSV and NMEA 0183, asked for positions and speeds, and judged by."""

import math
import os
from functools import reduce
from operator import xor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from edge.bins import utc_text
from edge.quality.aside import judge_track
from edge.quality.quality import TrackRule
from edge.track.track import BadTrack, Circle, Track, distance_km
from edge.track.trackfile import TrackReader, read_track, signature

SECOND = 1_000_000_000
TEN = 1_795_428_000 * SECOND  # 2026-11-23T10:00:00Z
HEADER = "time,latitude,longitude\n"


def track(*fixes: tuple[float, float, float]) -> Track:
    """From (seconds after ten, latitude, longitude)."""
    seconds, latitude, longitude = zip(*fixes, strict=True)
    return Track(at(*seconds), np.array(latitude, np.float64), np.array(longitude, np.float64))


def at(*seconds: float) -> np.ndarray:
    return np.array([TEN + round(each * SECOND) for each in seconds], np.int64)


def fixes(found: Track) -> list[tuple[float, float, float]]:
    """(seconds after ten, latitude, longitude), rounded to a metre."""
    seconds = ((found.fix_ns - TEN) / SECOND).tolist()
    return list(zip(seconds, found.latitude.round(5).tolist(), found.longitude.round(5).tolist(), strict=True))


def written(tmp_path: Path, text: str | bytes) -> Path:
    file = tmp_path / "track"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def sentence(body: str) -> str:
    return f"${body}*{reduce(xor, body.encode()):02X}\r\n"


def rmc(clock: str, day: str = "231126", status: str = "A", place: str = "5420.5000,N,01009.0000,E") -> str:
    return sentence(f"GPRMC,{clock},{status},{place},10.0,90.0,{day},,,A")


def gga(clock: str, quality: int = 1, place: str = "5420.5000,N,01009.0000,E", talker: str = "GP") -> str:
    return sentence(f"{talker}GGA,{clock},{place},{quality},08,1.0,3.0,M,40.0,M,,")


# Positions


def test_ten_is_ten_o_clock():
    assert utc_text(TEN) == "2026-11-23T10:00:00Z"


def test_between_two_fixes_the_ship_is_on_the_line():
    found = track((0, 54.0, 10.0), (100, 54.1, 10.2)).at(at(0, 25, 50, 100), 300)
    assert found.latitude == pytest.approx([54.0, 54.025, 54.05, 54.1], abs=1e-4)
    assert found.longitude == pytest.approx([10.0, 10.05, 10.1, 10.2], abs=2e-4)


def test_over_the_antimeridian_the_ship_takes_the_short_way():
    for west, east in ((179.9, -179.9), (179.9, 180.1)):
        found = track((0, -17.0, west), (100, -17.0, east)).at(at(25, 50, 75), 300)
        assert np.abs(found.longitude) == pytest.approx([179.95, 180.0, 179.95], abs=1e-6)
        assert found.longitude[0] > 0 > found.longitude[2]


def test_over_the_pole_the_ship_goes_straight():
    found = track((0, 89.9, 0.0), (100, 89.9, 180.0)).at(at(25, 50, 75), 300)
    assert found.latitude == pytest.approx([89.95, 90.0, 89.95], abs=1e-6)
    assert found.longitude[[0, 2]] == pytest.approx([0.0, 180.0])


def test_a_gap_has_the_nearest_fix_as_long_as_it_is_near_enough():
    found = track((0, 54.0, 10.0), (1000, 55.0, 10.0)).at(at(-301, -300, 300, 301, 699, 700, 1300, 1301), 300)
    expected = [math.nan, 54.0, 54.0, math.nan, math.nan, 55.0, 55.0, math.nan]
    assert found.latitude == pytest.approx(expected, nan_ok=True)
    assert np.array_equal(np.isnan(found.latitude), np.isnan(found.longitude))


def test_fixes_as_far_apart_as_the_gap_may_be_have_a_line_and_further_ones_have_none():
    ship = track((0, 54.0, 10.0), (300, 55.0, 10.0))
    assert ship.at(at(75), 300).latitude == pytest.approx([54.25], abs=1e-4)
    assert ship.at(at(75), 299).latitude == pytest.approx([54.0])


def test_instants_at_the_ends_of_64_bits_have_no_position():
    ends = np.array([-(2**63), 2**63 - 1], np.int64)
    ship = track((0, 54.0, 10.0), (60, 54.1, 10.0))
    assert np.isnan(ship.at(ends, 86400).latitude).all()
    assert np.isnan(ship.speed_knots(ends, 86400)).all()


def test_a_quarter_of_the_equator_and_one_minute_of_latitude_have_their_known_lengths():
    assert distance_km(0, 0, 0, 90) == pytest.approx(6371.0088 * math.pi / 2)
    assert distance_km(54, 10, 54 + 1 / 60, 10) == pytest.approx(1.8532, abs=1e-4)
    assert distance_km(0, 179.5, 0, -179.5) == pytest.approx(distance_km(0, 0, 0, 1))
    assert distance_km(90, 0, -90, 77) == pytest.approx(6371.0088 * math.pi)


@given(
    some.floats(-89, 89), some.floats(-180, 180), some.floats(-0.05, 0.05), some.floats(-0.05, 0.05), some.floats(0, 1)
)
def test_each_interpolated_position_divides_the_way_as_its_instant_divides_the_time(north, east, up, right, share):
    """Also over the antimeridian and near the poles, where plain longitudes would not."""
    ship = track((0, north, east), (100, north + up, east + right))
    found = ship.at(at(100 * share), 300)
    whole = distance_km(north, east, north + up, east + right)
    gone = distance_km(north, east, found.latitude[0], found.longitude[0])
    rest = distance_km(found.latitude[0], found.longitude[0], north + up, east + right)
    assert gone == pytest.approx(share * whole, abs=1e-3)
    assert gone + rest == pytest.approx(whole, abs=1e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (([], [], []), "at least one fix"),
        (([1, 2], [0.0], [0.0]), "a latitude and a longitude for each"),
        (([2, 1], [0.0, 0.0], [0.0, 0.0]), "in the order of time"),
        (([1, 1], [0.0, 0.0], [0.0, 0.0]), "no two at the same"),
        (([1], [90.1], [0.0]), "latitudes must be"),
        (([1], [0.0], [360.1]), "longitudes from"),
        (([1], [math.nan], [0.0]), "latitudes must be"),
    ],
)
def test_what_cannot_be_a_track_is_refused(values, message):
    with pytest.raises(BadTrack, match=message):
        Track(*(np.array(each, kind) for each, kind in zip(values, (np.int64, float, float), strict=True)))


# Speed


def north_at(knots: float, seconds: float) -> float:
    return 54.0 + math.degrees(knots * 1.852 * seconds / 3600 / 6371.0088)


def test_a_steady_ship_has_its_speed_everywhere_also_at_the_ends():
    ship = track(*((second, north_at(8, second), 10.0) for second in range(0, 601, 10)))
    assert ship.speed_knots(at(-5, 0, 3, 300, 597, 600, 605), 60) == pytest.approx([8.0] * 7, rel=1e-6)


def test_a_moored_ship_whose_fixes_jump_by_ten_metres_is_still_slow():
    jump = 0.01 / 111.2
    chance = np.random.default_rng(3)
    ship = track(*((second, 54 + chance.uniform(-jump, jump), 10.0) for second in range(600)))
    assert ship.speed_knots(at(*range(0, 600, 7)), 60).max() < 0.7


def test_a_ship_of_sparse_fixes_has_the_mean_speed_between_them():
    ship = track((0, 54.0, 10.0), (240, north_at(6, 240), 10.0))
    assert ship.speed_knots(at(10, 120, 230), 300) == pytest.approx([6.0] * 3, rel=1e-5)


def test_a_gap_is_not_sailed_through_for_the_speed():
    ship = track(*((s, 54.0, 10.0) for s in range(0, 101, 10)), *((s, 55.0, 10.0) for s in range(1000, 1101, 10)))
    assert ship.speed_knots(at(50, 100, 1000), 60) == pytest.approx([0.0] * 3)
    assert np.isnan(ship.speed_knots(at(500), 60)).all()


def test_one_fix_alone_has_a_position_and_no_speed():
    ship = track((0, 54.0, 10.0))
    assert np.isnan(ship.speed_knots(at(0), 300)).all()
    assert ship.at(at(0), 300).latitude == pytest.approx([54.0])


# Rules


KIEL = Circle(54.33, 10.15, 5.0)
CRUISE = track((0, 54.33, 10.15), (600, 54.33, 10.15), (4200, north_at(10, 3600) + 0.33, 10.15), (9000, 60.0, 10.0))


def taken(rule: TrackRule, *seconds: float, gap: float = 3600) -> list[bool]:
    return judge_track(rule, CRUISE, gap, at(*seconds)).tolist()


def test_images_inside_a_circle_are_set_aside_and_those_outside_stay():
    """Ten knots are 18.5 km/h: 5 km are left behind 972 s after the start at 600 s."""
    assert taken(TrackRule("port", circles=(KIEL,)), 0, 600, 1570, 1574, 4200) == [True, True, True, False, False]
    assert taken(TrackRule("port", circles=(Circle(0, 0, 1), KIEL)), 0, 4200) == [True, False]


def test_a_circle_on_the_antimeridian_reaches_to_both_sides():
    ship = track((0, 0.0, 179.99), (10, 0.0, -179.99), (20, 0.0, -179.9))
    for east in (180, -180):
        rule = TrackRule("port", circles=(Circle(0, east, 5.0),))
        assert judge_track(rule, ship, 60, at(0, 10, 20)).tolist() == [True, True, False]


def test_images_without_position_are_taken_by_that_rule_alone():
    assert taken(TrackRule("none", without_position=True), -1, 0, 6600, gap=300) == [False, False, True]
    assert taken(TrackRule("port", circles=(KIEL,)), 6600, gap=300) == [False]
    assert taken(TrackRule("slow", min_speed_knots=100), 6600, gap=300) == [False]


def test_images_of_a_ship_slower_than_the_bound_are_set_aside():
    assert taken(TrackRule("slow", min_speed_knots=2), 0, 300, 600, 900, 3000) == [True, True, False, False, False]


def test_any_condition_of_a_rule_is_enough():
    rule = TrackRule("port", without_position=True, circles=(KIEL,), min_speed_knots=2)
    assert taken(rule, 0, 2000, 3000, 20_000) == [True, False, False, True]


@given(
    some.lists(some.tuples(some.integers(0, 5000), some.floats(-90, 90), some.floats(-180, 360)), min_size=1),
    some.lists(some.integers(-2000, 7000), max_size=20),
    some.integers(1, 2000),
)
def test_judged_one_by_one_and_all_at_once_is_the_same(fixes, seconds, gap):
    ship = track(*sorted({fix[0]: fix for fix in fixes}.values()))
    for rule in (
        TrackRule("none", without_position=True),
        TrackRule("port", circles=(Circle(0, 0, 9000), KIEL)),
        TrackRule("slow", min_speed_knots=50),
    ):
        one_by_one = [bool(judge_track(rule, ship, gap, at(second))[0]) for second in seconds]
        assert judge_track(rule, ship, gap, at(*seconds)).tolist() == one_by_one


def test_more_images_than_are_judged_at_once_are_judged_in_their_order():
    """Slices end somewhere: every image must be judged, and in its place."""
    seconds = np.random.default_rng(5).integers(0, 4200, 200_000)
    found = judge_track(TrackRule("port", circles=(KIEL,)), CRUISE, 3600, TEN + seconds * SECOND)
    assert found.tolist() == (seconds <= 1571).tolist()


# CSV

ONE, TWO = (0.0, 54.5, 10.25), (60.0, -54.5, -10.25)


@pytest.mark.parametrize(
    "text",
    [
        "time,latitude,longitude\n2026-11-23T10:00:00Z,54.5,10.25\n2026-11-23T10:01:00Z,-54.5,-10.25\n",
        "\ufefflat;lon;datetime\r\n54,5;10,25;2026-11-23 10:00:00\r\n-54,5;-10,25;2026-11-23 10:01:00\r\n",
        "Date,Time (UTC),Lat [deg],Lon [deg],Depth\n2026-11-23,10:00:00,54.5,10.25,3\n2026-11-23,10:01:00,-54.5,-10.25,\n",
        "time,latitude,longitude\nUTC,degrees_north,degrees_east\n1795428000,54.5,10.25\n1795428060.0,-54.5,-10.25\n",
        "/* DATA DESCRIPTION:\nCitation:\tX, Y (2026)\n*/\nDate/Time\tLatitude\tLongitude\n"
        "2026-11-23T10:00\t54.5\t10.25\n2026-11-23T10:01\t-54.5\t-10.25\n",
        "date time;SYS.STR.PosLat;SYS.STR.PosLon\n;degree;degree\n2026/11/23 10:00:00;54.5;10.25\n"
        "2026/11/23 10:01:00;-54.5;-10.25\n",
        '# a note\n"eventDate","decimalLatitude","decimalLongitude"\n"2026-11-23T12:00:00+02:00","54.5","10.25"\n'
        '\n# another\n"2026-11-23T12:01:00+02:00","-54.5","-10.25"\n',
        "timestamp,gps_lat,gps_lng\n1795428060000,-54.5,-10.25\n1795428000000,54.5,10.25\n",
        "time,lat,lon\n1795428000,54.5,10.25\n1795428030,NaN,NaN\n1795428040,,\n1795428045,-999,-999\n1795428050,0,0\n"
        "1795428060,-54.5,-10.25\n1795428060,1.0,1.0\n1795428060.5,1.0,1.0\n",
    ],
)
def test_csv_tracks_as_programs_write_them_are_read(tmp_path, text):
    assert fixes(read_track(written(tmp_path, text))) == [ONE, TWO]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "23/11/2026 10:00,1,2\n", " line 2: the time '23/11/2026 10:00' cannot be read; write ISO 8601"),
        (HEADER + "2026-11-23,1,2\n", " line 2: the time '2026-11-23' cannot be read"),
        (HEADER + ",1,2\n", " line 2: the time '' cannot be read"),
        (HEADER + "1970-01-01T00:00:00Z,1,2\n", " line 2: the time '1970-01-01T00:00:00Z' is not from 1980 to 2115"),
        (HEADER + "\n1795428000,1,2\n1795428001,91,2\n", " line 4: the latitude '91' is not from -90 to 90 degrees"),
        (HEADER + "1795428000,1,-181\n", " line 2: the longitude '-181' is not from -180 to 360 degrees"),
        (HEADER + "1795428000,1,inf\n", " line 2: the longitude 'inf' is not from"),
        (HEADER + "1795428000,54 20.5 N,2\n", " line 2: the latitude '54 20.5 N' is no number; write decimal degrees"),
        (HEADER + "1795428000,1,2\n1795428001,x,2\n", " line 3: the latitude 'x' is no number"),
        (HEADER + "1795428000,1\n", " line 2: 2 columns, the header has more"),
        (HEADER + '1795428000,"1,2\n', " line 2: 2 columns, the header has more"),
        (HEADER, ": no fix yet; add lines with a position below the header"),
        ("", ": no header with the columns time, latitude and longitude, and no NMEA 0183 sentence"),
        ("1795428000,1,2\n" * 600, " line 500: still no header with the columns"),
        ("time,latitude\n1,2\n", ": no header with"),
        (b"\xff\xfet\0i\0m\0e\0\n\0", " line 1: not a line of text; save the track as CSV in UTF-8"),
        (b"x" * 100_000, " line 1: not a line of text"),
        (
            gga("100000") * 3,
            ": no fix yet; an NMEA 0183 log needs RMC sentences, or ZDA and GGA: GGA alone has no date",
        ),
    ],
)
def test_a_fault_of_a_track_names_the_file_the_line_and_what_to_do(tmp_path, text, message):
    file = written(tmp_path, text)
    with pytest.raises(BadTrack) as bad:
        read_track(file)
    assert str(bad.value).startswith(f"{file}{message}")
    assert "\n" not in str(bad.value)


def test_a_track_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadTrack, match=r"none\.csv: cannot be read \(No such file or directory\); check the path"):
        read_track(tmp_path / "none.csv")


@given(some.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "bytes-as-a-track"
    for head in (b"", HEADER.encode(), b"time,lat,lon\n1795428000,1,2\n", b"$GPRMC,"):
        file.write_bytes(head + data + b"\n")
        fault = ""
        try:
            found = read_track(file)
        except BadTrack as bad:
            fault = str(bad)
        assert fault.startswith(str(file)) if fault else len(found.fix_ns) >= 1


# NMEA 0183


def test_fixes_of_rmc_and_gga_are_read_with_their_date(tmp_path):
    text = (
        gga("095959")
        + rmc("100000.00", place="5430.0000,N,01015.0000,E")
        + gga("100000.50")
        + gga("100060.00".replace("0060", "0100"), place="5430.0000,S,01015.0000,W", talker="GN")
    )
    assert fixes(read_track(written(tmp_path, text))) == [ONE, TWO]


def test_gga_takes_its_date_from_zda_and_goes_on_over_midnight_for_days(tmp_path):
    text = sentence("GPZDA,095959.00,23,11,2026,00,00")
    text += "".join(gga(f"{hour % 24:02d}0000.00") for hour in range(10, 80))
    found = read_track(written(tmp_path, text))
    assert found.fix_ns.tolist() == at(*range(0, 70 * 3600, 3600)).tolist()


def test_a_loggers_stamp_before_the_sentence_is_passed_by(tmp_path):
    text = "11/23/2026,09:00:00.123," + rmc("100000") + "[2026-11-23T09:00:01Z] " + rmc("100100")
    assert [fix[0] for fix in fixes(read_track(written(tmp_path, text)))] == [0.0, 60.0]


def test_what_a_serial_line_spoils_is_passed_by(tmp_path):
    good = rmc("100000")
    spoilt = [
        rmc("100001").replace("5420", "5421"),  # the checksum no longer holds
        rmc("100002", status="V"),
        rmc("100003", place=",,,"),
        rmc("100004", place="0000.0000,N,00000.0000,E"),
        rmc("100005", place="5460.0000,N,01009.0000,E"),
        rmc("100006", place="9100.0000,N,01009.0000,E"),
        rmc("100007", place="5420.5000,E,01009.0000,E"),
        rmc("100008", day="310226"),
        rmc("250009"),
        gga("100010", quality=0),
        "$GPRMC,100011,A,5420.5\r\n",
        sentence("GPGLL,5420.5000,N,01009.0000,E,100012,A"),
        "!AIVDM,1,1,,A,13u?etPv2;0n:dDPwUM1U1Cb069D,0*24\r\n",
        "\xb0\x01garbage\r\n",
    ]
    text = good + "".join(spoilt) + rmc("100100")
    assert [fix[0] for fix in fixes(read_track(written(tmp_path, text.encode("latin-1"))))] == [0.0, 60.0]


def test_an_old_log_without_checksums_is_read(tmp_path):
    text = "$GPRMC,100000,A,5430.0000,N,01015.0000,E,10.0,90.0,231126,,\n"
    assert fixes(read_track(written(tmp_path, text))) == [ONE]


# A track that grows


def test_a_growing_track_gives_at_each_reading_what_reading_it_whole_gives(tmp_path):
    lines = [f"{1795428000 + 60 * minute},{54 + minute / 100},10\n" for minute in range(20)]
    file = written(tmp_path, HEADER)
    reader = TrackReader(file)
    with pytest.raises(BadTrack, match="no fix yet"):
        reader.read()
    for line in lines:
        with file.open("a") as log:
            log.write(line)
        assert fixes(reader.read()) == fixes(read_track(file))
    assert len(reader.read().fix_ns) == 20


def test_a_line_without_its_end_is_left_until_it_is_whole(tmp_path):
    file = written(tmp_path, HEADER + "1795428000,54.5,10.25\n1795428060,-54.5,-10.2")
    reader = TrackReader(file)
    assert fixes(reader.read()) == [ONE]
    with file.open("a") as log:
        log.write("5\n")
    assert fixes(reader.read()) == [ONE, TWO]


def test_fixes_that_arrive_late_stand_in_their_place(tmp_path):
    file = written(tmp_path, HEADER + "1795428060,-54.5,-10.25\n")
    reader = TrackReader(file)
    assert fixes(reader.read()) == [TWO]
    with file.open("a") as log:
        log.write("1795428000,54.5,10.25\n")
    assert fixes(reader.read()) == [ONE, TWO]


@pytest.mark.parametrize("anew", ["edited in place", "another file of the name", "shorter", "another format"])
def test_a_track_that_is_not_what_was_read_is_read_from_its_beginning(tmp_path, anew):
    file = written(tmp_path, HEADER + "1795428000,54.5,10.25\n1795428060,-54.5,-10.24\n")
    reader = TrackReader(file)
    reader.read()
    if anew == "edited in place":
        with file.open("r+") as opened:
            opened.write(HEADER + "1795428000,54.5,10.25\n1795428060,-54.5,-10.25\n")
    elif anew == "another file of the name":
        other = tmp_path / "other"
        other.write_text(HEADER + "1795428000,54.5,10.25\n1795428060,-54.5,-10.25\n1795428060,1,2\n")
        other.replace(file)
    elif anew == "shorter":
        file.write_text("time,lat,lon\n1795428000,54.5,10.25\n1795428060,-54.5,-10.25\n")
    else:
        place = "5430.0000,S,01015.0000,W"
        file.write_text(rmc("100000", place="5430.0000,N,01015.0000,E") + rmc("100100", place=place) + rmc("100100"))
    assert fixes(reader.read()) == [ONE, TWO]


def minutes(count: int, north: float = 54) -> str:
    return "".join(f"{1795428000 + 60 * minute},{north + minute / 100},10\n" for minute in range(count))


def test_a_track_read_in_steps_is_there_with_its_last_line_and_is_the_whole_one(tmp_path):
    file = written(tmp_path, HEADER + minutes(20))
    reader = TrackReader(file)
    steps = [reader.read_on(7) for _ in range(3)]
    assert steps == [None, None, None]  # 21 lines: whether there is a 22nd is not known yet
    assert fixes(reader.read_on(7)) == fixes(read_track(file))


@pytest.mark.parametrize("change", ["grown", "written anew in place", "another file of the name", "shorter"])
def test_a_track_that_changes_between_two_steps_gives_what_it_then_is(tmp_path, change):
    file = written(tmp_path, HEADER + minutes(20))
    reader = TrackReader(file)
    assert reader.read_on(10) is None
    if change == "grown":
        with file.open("a") as log:
            log.write("1795438000,1,2\n")
    elif change == "another file of the name":
        other = tmp_path / "other"
        other.write_text(HEADER + minutes(20, north=-54))
        other.replace(file)
    else:
        file.write_text(HEADER + (minutes(5) if change == "shorter" else minutes(20, north=-54)))
        os.utime(file, ns=(1, 1))  # a clock too coarse to tell the two writings apart is not what is tested
    while (track := reader.read_on(10)) is None:
        pass
    assert fixes(track) == fixes(read_track(file))


def test_a_fault_in_a_later_step_has_its_line_number_and_the_next_step_begins_anew(tmp_path):
    file = written(tmp_path, HEADER + minutes(20) + "x,1,2\n")
    reader = TrackReader(file)
    assert [reader.read_on(10), reader.read_on(10)] == [None, None]
    with pytest.raises(BadTrack, match=r" line 22: the time 'x' cannot be read"):
        reader.read_on(10)
    file.write_text(HEADER + minutes(3))
    assert fixes(reader.read_on(10)) == fixes(read_track(file))


def test_after_a_fault_the_corrected_track_is_read(tmp_path):
    file = written(tmp_path, HEADER + "1795428000,54.5,10.25\n1795428060,-54.5,x\n")
    reader = TrackReader(file)
    for _ in range(2):
        with pytest.raises(BadTrack, match="line 3: the longitude 'x'"):
            reader.read()
    file.write_text(HEADER + "1795428000,54.5,10.25\n1795428060,-54.5,-10.25\n")
    assert fixes(reader.read()) == [ONE, TWO]


def test_the_signature_stays_as_long_as_the_file_and_changes_with_it(tmp_path):
    file = tmp_path / "track"
    assert signature(file) is None
    first = signature(written(tmp_path, HEADER))
    assert first is not None
    assert signature(file) == first
    with file.open("a") as log:
        log.write("1795428000,54.5,10.25\n")
    grown = signature(file)
    assert grown != first
    other = tmp_path / "other"
    other.write_bytes(file.read_bytes())
    other.replace(file)
    assert signature(file) != grown
