"""Capture times: names, tags, side-cars and file times, in any order, with clocks that are wrong."""

import time
from itertools import permutations

import pytest

from bundle.errors import BadConfig
from bundle.settings import read_settings
from edge.capture.capture import Capture
from edge.capture.timesettings import TimeSettings
from edge.intake.files import FARTHEST_NS, Found

from .dated import DAY, MS, MTIME, NOON, NOW, PLAIN, SECOND, Times, by_name, tagged, utc

ON_ITS_OWN = {
    "name": utc("2024-03-12T10:00:00"),
    "tag": utc("2024-03-12T10:01:00"),
    "csv": utc("2024-03-12T10:02:00"),
    "mtime": MTIME,
}


@pytest.mark.parametrize(
    "order", [order for n in range(4) for order in permutations(("name", "tag", "csv"), n)], ids=str
)
def test_the_first_source_that_has_a_time_wins_in_every_order(order, tmp_path):
    (tmp_path / "t.csv").write_text("file,time\n20240312_1000.jpg,2024-03-12T10:02:00\nx.jpg,2024-03-12T10:02:00\n")
    given = {"name_pattern": "%Y%m%d_%H%M" if "name" in order else "", "csv": "t.csv" if "csv" in order else ""}
    times = Times(tmp_path, sources=(*order, "mtime"), **given)
    data = tagged("2024:03:12 10:01:00")
    for name, content in (("20240312_1000.jpg", data), ("20240312_1000.jpg", PLAIN), ("x.jpg", data), ("y.jpg", PLAIN)):
        has = {"name"} if name[0] == "2" else set()
        has |= ({"tag"} if content is data else set()) | ({"csv"} if name[0] in "2x" else set())
        first = next((source for source in order if source in has), "mtime")
        assert times.on(name, content) == Capture(ON_ITS_OWN[first], first)
        unread = next((source for source in order if source in has - {"tag"}), "mtime")
        assert times.without_content(Found(name, 1, MTIME)) == Capture(ON_ITS_OWN[unread], unread)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"sources": ("name", "tag")}, "sources must end with 'mtime', the one time that every file has"),
        ({"sources": ()}, "sources must end with 'mtime', the one time that every file has"),
        ({"sources": ("mtime", "tag")}, "sources must end with 'mtime', the one time that every file has"),
        ({"sources": ("tag", "tag", "mtime")}, "sources names one twice: tag, tag, mtime; leave one of the two out"),
        ({"sources": ("mtime",), "csv": "t.csv"}, "csv is set and sources has no 'csv'; add it, or set csv = \"\""),
        (
            {"sources": ("mtime",), "name_pattern": "%s"},
            "name_pattern is set and sources has no 'name'; add it, or set name_pattern = \"\"",
        ),
        ({"csv": "a\0b"}, "csv must be the name of a file, found 'a\\x00b'"),
        ({"csv": "tables/"}, "csv must be the name of a file, found 'tables/'"),
        ({"earliest": "yesterday"}, "earliest must be a day such as 2000-01-01, found 'yesterday'"),
        ({"utc_offset_hours": 15.0}, "utc_offset_hours must be from -14 to 14 hours, found 15"),
        ({"utc_offset_hours": float("nan")}, "utc_offset_hours must be from -14 to 14 hours, found nan"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_at_the_start(given, fault):
    with pytest.raises(BadConfig) as caught:
        TimeSettings(**given)
    assert str(caught.value).startswith(fault)


def test_the_table_is_read_from_toml(tmp_path):
    file = tmp_path / "time.toml"
    file.write_text('sources = ["csv", "mtime"]\ncsv = "t.csv"\nutc_offset_hours = 1\nearliest = "2020-05-01"\n')
    assert read_settings(file, TimeSettings) == TimeSettings(("csv", "mtime"), "", "t.csv", 1.0, "2020-05-01")
    file.write_text('sources = ["exif", "mtime"]\n')
    with pytest.raises(BadConfig, match="one of 'name', 'tag', 'csv', 'mtime', found 'exif'"):
        read_settings(file, TimeSettings)


@pytest.mark.parametrize("year", ["1970", "1980", "1999"])
def test_a_camera_whose_clock_lost_its_battery_is_not_believed(year):
    times = Times(name_pattern="%Y%m%d_%H%M%S")
    assert times.on(f"{year}0101_000012.png") == Capture(MTIME, "mtime")
    assert times.problem == (
        f"{year}0101_000012.png: its name says {year}-01-01 00:00:12 UTC, which cannot be; 2024-03-12 12:59:00 UTC by its "
        "mtime holds; set the camera's clock"
    )
    assert times.on(f"{year}0101_000012.png", tagged("2024:03:12 12:00:00")) == Capture(NOON, "tag")
    assert times.on("20240312_120000.png") == Capture(NOON, "name")
    assert times.problem is None


def test_the_first_moment_of_earliest_is_believed_and_the_one_before_is_not():
    assert by_name("%Y%m%d_%H%M%S.%f", "20220601_000000.000.png", earliest="2022-06-01") == utc("2022-06-01T00:00:00")
    assert by_name("%Y%m%d_%H%M%S.%f", "20220531_235959.999.png", earliest="2022-06-01") is None


def test_a_time_ahead_of_a_host_that_is_behind_is_kept_and_told():
    times = Times(name_pattern="%Y%m%d_%H%M")
    times.clocks.wall = utc("2022-03-12T12:00:00")  # a host without a battery, up for the first time in two years
    assert times.on("20240312_1200.png") == Capture(NOON, "name")
    assert times.problem == (
        "20240312_1200.png: its name says 2024-03-12 12:00:00 UTC, 731 days ahead of this host's clock; the time is kept; "
        "set whichever clock is wrong"
    )
    times.clocks.wall = NOON - DAY
    assert times.on("20240312_1200.png") == Capture(NOON, "name")
    assert times.problem is None


def test_a_time_that_no_clock_can_mean_is_passed_over_unless_the_host_has_no_time_itself():
    times = Times(name_pattern="%Y%m%d_%H%M")
    assert times.on("20400312_1200.png") == Capture(MTIME, "mtime")
    times.clocks.wall = 5 * SECOND
    assert times.on("20400312_1200.png") == Capture(utc("2040-03-12T12:00:00"), "name")
    assert times.on("99991231_2359.png") == Capture(MTIME, "mtime"), "SQLite cannot hold it"
    assert times.on("22620412_0000.png") == Capture(MTIME, "mtime")


@pytest.mark.parametrize(("mtime", "kept"), [(2**64, FARTHEST_NS), (-(2**64), -FARTHEST_NS), (-5, -5), (0, 0)])
def test_a_file_time_that_cannot_be_still_dates_the_image_within_what_sqlite_holds(mtime, kept):
    times = Times()
    assert times.on("a.png", mtime=mtime) == Capture(kept, "mtime")
    assert (times.problem is None) == (mtime > 0)


def test_a_host_clock_that_jumps_changes_no_capture_time():
    times = Times(name_pattern="%Y%m%d_%H%M%S.%f")
    names = [f"20240312_1200{second:02}.{ms:03}.png" for second in range(60) for ms in range(0, 1000, 50)]
    dated = []
    for number, name in enumerate(names):
        times.clocks.wall = NOW + (-1) ** number * number * DAY  # to and fro by years
        dated.append(times.on(name).ns)
    assert dated == [NOON + number * 50 * MS for number in range(1200)]


def test_the_hour_that_summer_time_repeats_is_two_hours_where_the_tag_has_a_zone():
    times = Times()
    last_summer = times.on("a.jpg", tagged("2024:10:27 02:30:00", "+02:00"))
    times.clocks.wall += 300 * DAY
    first_winter = times.on("b.jpg", tagged("2024:10:27 02:30:00", "+01:00"))
    assert (last_summer.ns, first_winter.ns) == (utc("2024-10-27T00:30:00"), utc("2024-10-27T01:30:00"))


def test_the_fixed_offset_knows_no_repeated_hour_whatever_the_hosts_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        times = Times(name_pattern="%Y%m%d_%H%M", utc_offset_hours=1.0)
        times.clocks.wall += 300 * DAY
        names = [f"20241027_{minute // 60:02}{minute % 60:02}.png" for minute in range(0, 24 * 60, 15)]
        dated = [times.on(name).ns for name in names]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert dated == [utc("2024-10-26T23:00:00") + number * 15 * 60 * SECOND for number in range(96)]


@pytest.mark.parametrize(("hours", "away"), [(5.5, 19_800), (-3.5, -12_600), (12.75, 45_900)])
def test_the_camera_s_offset_is_for_times_without_a_zone_only(hours, away, tmp_path):
    (tmp_path / "t.csv").write_text("file;time\na.jpg;2024-03-12 12:00:00\nb.jpg;2024-03-12 12:00:00Z\n")
    times = Times(tmp_path, name_pattern="n%Y%m%d_%H%M%z", csv="t.csv", utc_offset_hours=hours)
    assert times.on("x.jpg", tagged("2024:03:12 12:00:00")).ns == NOON - away * SECOND
    assert times.on("x.jpg", tagged("2024:03:12 12:00:00", "+00:00")).ns == NOON
    assert times.on("n20240312_1200Z.jpg").ns == NOON
    assert times.on("a.jpg").ns == NOON - away * SECOND
    assert times.on("b.jpg").ns == NOON
    assert by_name("%Y%m%d_%H%M", "20240312_1200.png", utc_offset_hours=hours) == NOON - away * SECOND
    assert by_name("%s", "1710244800.png", utc_offset_hours=hours) == NOON
    assert times.on("none.jpg").ns == MTIME


def test_a_pattern_that_fits_no_name_is_told():
    times = Times(name_pattern="cam_%Y%m%d_%H%M")
    times.on("img\n7.png")
    assert times.problem == (
        "img?7.png: no time by name; dated by its mtime, 2024-03-12 12:59:00 UTC; compare [time] in edge.toml with the files"
    )


def test_without_settings_the_file_time_is_no_problem():
    times = Times()
    assert times.on("a.jpg") == Capture(MTIME, "mtime")
    assert times.problem is None
