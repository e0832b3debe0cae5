"""Capture times: names, tags, side-cars and file times, in any order, with clocks that are wrong."""

import os
import struct
import time
from datetime import datetime
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundle.errors import BadConfig
from bundle.settings import read_settings
from edge.capture import Capture, CaptureTimes, TimeSettings
from edge.files import FARTHEST_NS, Found, look

from .images import image_bytes

SECOND, HOUR, DAY = 10**9, 3600 * 10**9, 86_400 * 10**9
MS = 10**6


def utc(text: str) -> int:
    """ISO time -> ns, by the standard library and not by the code under test; µs at best."""
    passed = datetime.fromisoformat(f"{text}+00:00") - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return (passed.days * 86_400 + passed.seconds) * SECOND + passed.microseconds * 1000


NOW = utc("2024-03-12T13:00:00")
NOON = utc("2024-03-12T12:00:00")
MTIME = utc("2024-03-12T12:59:00")
PLAIN = image_bytes("sphere", suffix=".jpg")


def tagged(when: str, zone: str = "") -> bytes:
    """A JPEG with an EXIF DateTimeOriginal of 19 letters and, if given, an OffsetTimeOriginal of six."""
    texts = [(36867, when.encode() + b"\0")] + ([(36881, zone.encode() + b"\0")] if zone else [])
    start = 26 + 2 + 12 * len(texts) + 4
    entries = body = b""
    for tag, text in texts:
        entries += struct.pack("<HHII", tag, 2, len(text), start + len(body))
        body += text
    block = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 34665, 4, 1, 26, 0)
    payload = b"Exif\0\0" + block + struct.pack("<H", len(texts)) + entries + bytes(4) + body
    return PLAIN[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + PLAIN[2:]


class Clocks:
    """The host's two clocks, which a test turns."""

    def __init__(self) -> None:
        self.wall, self.seconds = NOW, 0.0


class Times(CaptureTimes):
    """Capture times of a watched folder, with clocks to turn."""

    def __init__(self, watch: Path = Path("/nowhere"), **given: object) -> None:
        self.clocks = Clocks()
        super().__init__(TimeSettings(**given), watch, lambda: self.clocks.wall, lambda: self.clocks.seconds)

    def on(self, path: str, data: bytes = PLAIN, mtime: int = MTIME) -> Capture:
        return self.of(Found(path, len(data), mtime), data)


def by_name(pattern: str, path: str, **given: object) -> int | None:
    capture = Times(name_pattern=pattern, **given).on(path)
    return capture.ns if capture.source == "name" else None


# Names


@pytest.mark.parametrize(
    ("pattern", "path", "ns"),
    [
        ("%Y%m%d_%H%M%S", "20240312_120000.png", NOON),
        ("%Y%m%d_%H%M%S.%f", "20240312_120000.345.png", NOON + 345 * MS),
        ("%Y%m%d_%H%M%S.%f.png", "20240312_120000.345678.png", NOON + 345_678_000),
        ("%Y%m%d_%H%M%S.%f", "20240312_120000.345678912.PNG", NOON + 345_678_912),
        ("%Y%m%d_%H%M%S.%f", "20240312_120000.5.jpeg", NOON + 500 * MS),
        ("%Y%m%d%H%M%S%3f%?*", None, None),
        ("%Y%m%d%H%M%S%3f*", "202403121200003450007.png", NOON + 345 * MS),
        ("*_%Y-%m-%dT%H-%M-%S_*", "cam_7_2024-03-12T12-00-00_roi_12.png", NOON),
        ("cam?_*_%H%M%S_%d%b%Y", "cam7_x_120000_12MAR2024.tif", NOON),
        ("D%Y%m%dT%H%M%S_IFCB*", "D20240312T120000_IFCB013_00042.png", NOON),
        ("IFCB?_%Y_%j_%H%M%S", "deep/below/IFCB1_2024_072_120000.png", NOON),
        ("%y%m%d%H%M", "2403121200.bmp", NOON),
        ("%Y/%m/%d/%H%M%S_*", "tow3/2024/03/12/120000_a.png", NOON),
        ("%Y%m%d/*_%Y%m%d%H%M%S", "20240312/cam_20240312120000.png", NOON),
        ("%Y%m%d/*_%Y%m%d%H%M%S", "20240311/cam_20240312120000.png", None),
        ("SPCP2-%s-%f-*", "SPCP2-1710244800-000123-0001.png", NOON + 123_000),
        ("%s%f", "1710244800007.png", NOON + 7 * MS),
        ("%s%f", "1710244800000000007.png", NOON + 7),
        ("img%s", "img1710244800.png", NOON),
        ("%Y%m%d_%H%M%S%z", "20240312_120000Z.png", NOON),
        ("%Y%m%d_%H%M%S%z", "20240312_120000+0200.png", NOON - 2 * HOUR),
        ("%Y%m%d_%H%M%S%z", "20240312_120000-03.png", NOON + 3 * HOUR),
        ("100%%_%Y%m%d_%H%M", "100%_20240312_1200.png", NOON),
        ("(a.b)[c]_%Y%m%d_%H%M", "(a.b)[c]_20240312_1200.png", NOON),
        ("%Y%m%d_%H%M%S", "20240312_115960.png", NOON),
        ("%Y%m%d_%H%M%S", "20240230_120000.png", None),
        ("%Y%m%d_%H%M%S", "20241312_120000.png", None),
        ("%Y%m%d_%H%M%S", "20240312_240000.png", None),
        ("%Y%m%d_%H%M%S", "x20240312_120000.png", None),
        ("%Y%m%d_%H%M%S", "20240312_120000_1.png", None),
        ("%Y%m%d_%H%M%S", "20240312_120000.part.png", None),
        ("%Y_%j_%H%M", "2023_366_1200.png", None),
        ("%Y_%j_%H%M", "2024_000_1200.png", None),
        ("%Y/%m%d_%H%M", "0312_1200.png", None),
        ("*%Y%m%d_%H%M", "2024\udcff0312_1200.png", None),
    ],
)  # fmt: skip
def test_a_name_tells_its_time_by_the_pattern(pattern, path, ns):
    if path is None:
        with pytest.raises(BadConfig):
            TimeSettings(name_pattern=pattern)
    else:
        assert by_name(pattern, path) == ns


def test_the_leftmost_match_of_a_wildcard_holds():
    assert by_name("*_%Y%m%d_%H%M_*", "a_20240312_1200_20200101_0000_b.png") == NOON


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("%Y%m%d", "has no %H; it must give the time to the minute at least, or be %s"),
        ("%Y%m_%H%M", "has no %d or %j; it must give the time to the minute at least, or be %s"),
        ("%d_%H%M", "has no %Y or %y; it must give the time to the minute at least, or be %s"),
        ("%Y%d_%H%M", "has no %m or %b or %j; it must give the time to the minute at least, or be %s"),
        ("*", "has no %Y or %y; it must give the time to the minute at least, or be %s"),
        ("%Y%y%m%d%H%M", "has %Y and %y, which say the same; leave one of them out"),
        ("%Y%m%j%H%M", "has %j and %m, which say the same; leave one of them out"),
        ("%s_%H", "has %s, which is the whole time, and %H; leave one of them out"),
        ("%Y%m%d%H%M%f", "has a fraction %f and no %S; add the seconds"),
        ("/%Y%m%d%H%M", "has an empty folder or file name; write folder/name"),
    ],
)
def test_a_pattern_that_gives_no_time_is_refused_at_the_start(pattern, fault):
    with pytest.raises(BadConfig) as caught:
        TimeSettings(name_pattern=pattern)
    assert str(caught.value) == f"name_pattern {pattern!r} {fault}"


@pytest.mark.parametrize(
    ("pattern", "token"), [("%Q%Y", "%Q"), ("%Y%m%d%H%M%", "%"), ("%3S", "%3"), ("%I%p", "%I"), ("%\n", "%\n")]
)
def test_a_pattern_with_an_unknown_code_is_refused_with_the_known_ones(pattern, token):
    with pytest.raises(BadConfig) as caught:
        TimeSettings(name_pattern=pattern)
    known = "%Y %y %m %b %d %j %H %M %S %f %s %z %1f to %9f and %%"
    assert str(caught.value) == f"name_pattern {pattern!r}: {token!r} is no code it can have; known are {known}"


def test_a_long_name_and_many_wildcards_cost_little():
    times = Times(name_pattern="*a*a*a*a*a*a*a*a*_%Y%m%d%H%M")
    started = time.process_time()
    assert times.on("a" * 250 + ".png").source == "mtime"
    assert time.process_time() - started < 1  # 250 ** 8 steps would take longer than the ship lasts


@settings(max_examples=1500, deadline=None)
@given(st.text(max_size=20) | st.text("%YymbdjHMSfsz*?/_19", max_size=24), st.text("0123456789_./aZ+", max_size=40))
def test_whatever_the_pattern_and_the_name_there_is_a_refusal_or_a_capture(pattern, name):
    try:
        times = Times(name_pattern=pattern)
    except BadConfig as error:
        refusal = str(error)
    else:
        refusal = ""
        assert times.on(f"{name}.png").source in ("name", "mtime")
    assert "\n" not in refusal


# Order, guard, zones


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


# Side-cars


def put(file: Path, text: str | bytes, mtime: int = NOW - HOUR) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    os.utime(file, ns=(mtime, mtime))
    return file


def rows(*minutes: int) -> str:
    return "".join(f"{minute}.jpg,2024-03-12T12:{minute:02}:00.250Z\n" for minute in minutes)


def minute(number: int) -> Capture:
    return Capture(NOON + number * 60 * SECOND + 250 * MS, "csv")


FALLEN_BACK = Capture(MTIME, "mtime")


@pytest.mark.parametrize(
    "table",
    [
        "file,time\na.jpg,2024-03-12T12:00:00Z\n",
        "\ufeffFile Name;Time (UTC)\r\na.jpg;2024-03-12 12:00:00\r\n",
        "n\tTimestamp\tfilename\n1\t1710244800000\ta.jpg\n",
        '"img_file_name","depth","object_date","object_time"\n"a.jpg",5.5,20240312,120000\n',
        'sep=;\nimage;note;acquired\na.jpg;"one; two";2024-03-12T12:00\n',
        "# made by cam 2.1\n\npath,date,time\nC:\\data\\tow 1\\a.jpg,2024/03/12,12:00:00\n",
        "path,datetime\n/mnt/cam/a.jpg,2024-03-12T12:00:00\n",
        "path,datetime\n./tow/a.jpg,2024-03-12T12:00:00\n",
        "path,datetime\ntow\\a.jpg,2024-03-12T12:00:00",
    ],
)
def test_a_side_car_is_read_however_programs_write_it(table, tmp_path):
    put(tmp_path / "all.csv", table)
    times = Times(tmp_path, csv="./all.csv")
    assert times.on("tow/a.jpg") == Capture(NOON, "csv")
    assert times.problem is None


def test_a_column_in_utc_is_in_utc_whatever_the_camera_s_clock(tmp_path):
    put(tmp_path / "all.csv", "file,time_utc\na.jpg,2024-03-12T12:00:00\n")
    assert Times(tmp_path, csv="all.csv", utc_offset_hours=3.0).on("a.jpg") == Capture(NOON, "csv")


@pytest.mark.parametrize(
    ("table", "missing"),
    [("name,depth\na,1\n", "time"), ("a.jpg,2024-03-12T12:00:00Z\n", "file name"), ("time,\n12:00,\n", "file name")],
)
def test_a_side_car_without_the_columns_is_told_and_dates_nothing(table, missing, tmp_path):
    file = put(tmp_path / "all.csv", table)
    times = Times(tmp_path, csv="all.csv")
    assert times.on("a.jpg") == FALLEN_BACK
    head = table.split("\n")[0]
    assert times.problem == (
        f"{file}: the side-car's first line {head!r} has no column for the {missing}; name the columns file and time"
    )


def test_lines_that_cannot_be_read_are_passed_by_and_told(tmp_path):
    bad = 'x.jpg\n,2024-03-12T12:00:00Z\ny.jpg,soon\n"z.jpg,2024-03-12T12:00:00Z\nbad \x07.jpg,2024-02-30T12:00:00Z\n'
    file = put(tmp_path / "all.csv", "file,time\n" + rows(1) + bad + rows(2))
    times = Times(tmp_path, csv="all.csv")
    assert [times.on(f"{number}.jpg") for number in (1, 2)] == [minute(1), minute(2)]
    assert times.problem == (
        f"{file}: 5 lines are no name and time, the last: 'bad ?.jpg,2024-02-30T12:00:00Z'; they are passed by"
    )


def test_each_folder_may_have_its_own_side_car(tmp_path):
    for number in range(3):
        put(tmp_path / f"tow{number}" / "t.csv", "file,time\n" + rows(number).replace(f"{number}.jpg", "a.jpg"))
    times = Times(tmp_path, csv="t.csv")
    assert [times.on(f"tow{number}/a.jpg") for number in (0, 1, 2, 1, 0)] == [
        minute(number) for number in (0, 1, 2, 1, 0)
    ]
    assert times.on("a.jpg") == FALLEN_BACK
    assert times.problem == f"{tmp_path}/t.csv: the side-car cannot be read (No such file or directory); see [time] csv"


def test_a_row_with_folders_holds_before_a_bare_name_and_the_last_of_two_holds(tmp_path):
    table = "path,time\ntow1/1.jpg,2024-03-12T12:07:00.250Z\n" + rows(1) + "2.jpg,2024-03-12T12:09:00Z\n" + rows(2)
    put(tmp_path / "all.csv", table)
    times = Times(tmp_path, csv="./all.csv")
    assert times.on("cruise/tow1/1.jpg") == minute(7)
    assert times.on("tow2/1.jpg") == minute(1)
    assert times.on("2.jpg") == minute(2)


def test_a_side_car_is_followed_as_it_grows_looked_at_every_two_seconds(tmp_path):
    file = put(tmp_path / "all.csv", "file,time\n" + rows(1), MTIME + HOUR)  # newer than the images
    times = Times(tmp_path, csv="all.csv")
    assert times.on("1.jpg") == minute(1)
    put(file, "file,time\n" + rows(1, 2), MTIME + HOUR + 1)
    times.clocks.seconds = 1.99
    assert times.on("2.jpg") == FALLEN_BACK
    times.clocks.seconds = 2.0
    assert [times.on(f"{number}.jpg") for number in (1, 2)] == [minute(1), minute(2)]


def test_an_image_as_new_as_the_side_car_has_it_looked_at_at_once(tmp_path):
    file = put(tmp_path / "all.csv", "file,time\n" + rows(1), MTIME)
    times = Times(tmp_path, csv="all.csv")
    assert times.on("2.jpg", mtime=MTIME + SECOND) == Capture(MTIME + SECOND, "mtime")
    put(file, "file,time\n" + rows(1, 2), MTIME + SECOND)
    assert times.on("2.jpg", mtime=MTIME + SECOND) == minute(2)


def test_what_was_appended_is_all_that_is_read_again(tmp_path):
    """Told by a row that is changed, in length and place the same, in what was read before: the old one still holds."""
    start, file = "file,time\n" + rows(1) + "# " + "x" * 5000 + "\n", tmp_path / "all.csv"
    put(file, start)
    times = Times(tmp_path, csv="all.csv")
    assert times.on("1.jpg") == minute(1)
    with file.open("r+b") as opened:
        opened.write((start.replace("12:01", "12:08") + rows(2)).encode())
    times.clocks.seconds += 2
    assert [times.on(f"{number}.jpg") for number in (1, 2)] == [minute(1), minute(2)]


@pytest.mark.parametrize("change", ["replaced", "rewritten longer", "rewritten shorter", "corrected in place"])
def test_another_side_car_in_its_place_is_read_anew(change, tmp_path):
    rest = "# " + "x" * 5000 + "\n"  # more than what is compared when a side-car has grown
    file = put(tmp_path / "all.csv", "file,time\n" + rows(1) + rest)
    times = Times(tmp_path, csv="all.csv")
    assert times.on("1.jpg") == minute(1)
    corrected = "file,time\n" + rows(1).replace("12:01", "12:08")
    text = {
        "replaced": corrected + rest + rows(3),
        "rewritten longer": corrected + "# corrected\n" + rest + rows(3),
        "rewritten shorter": corrected,
        "corrected in place": corrected + rest,
    }[change]
    if change == "replaced":
        put(tmp_path / "new", text, NOW - 60 * SECOND).replace(file)
    else:
        put(file, text, NOW - 60 * SECOND)
    times.clocks.seconds += 2
    assert times.on("1.jpg") == minute(8)


def test_half_a_last_line_waits_until_it_is_whole_or_nobody_writes_any_more(tmp_path):
    """Its time would be an hour off: the zone is still to come."""
    half = "file,time\n" + rows(1) + "2.jpg,2024-03-12T13:02:00.250"
    file = put(tmp_path / "all.csv", half, NOW)
    times = Times(tmp_path, csv="all.csv")
    assert [times.on(f"{number}.jpg") for number in (1, 2)] == [minute(1), FALLEN_BACK]
    put(file, half + "+01:00\n", NOW)
    times.clocks.seconds += 2
    assert times.on("2.jpg") == minute(2)

    put(file, "file,time\n" + rows(1, 2).rstrip("\n"), NOW)
    times.clocks.seconds += 2
    assert times.on("2.jpg") == FALLEN_BACK
    times.clocks.seconds += 2
    times.clocks.wall += 3 * SECOND
    assert times.on("2.jpg") == minute(2), "the file has ended without a line end"
    put(file, "file,time\n" + rows(1, 2, 3), NOW + 5 * SECOND)
    times.clocks.seconds += 2
    assert [times.on(f"{number}.jpg") for number in (1, 2, 3)] == [minute(1), minute(2), minute(3)]
    assert times.problem is None


def test_a_side_car_written_byte_by_byte_dates_no_image_wrongly(tmp_path):
    text = ("file,time\n" + rows(1, 2)).encode()
    file = tmp_path / "all.csv"
    times = Times(tmp_path, csv="all.csv")
    for length in range(len(text) + 1):
        put(file, text[:length], NOW)
        times.clocks.seconds += 2
        assert times.on("1.jpg") in (minute(1), FALLEN_BACK)
        assert times.on("2.jpg") in (minute(2), FALLEN_BACK)
    assert [times.on(f"{number}.jpg") for number in (1, 2)] == [minute(1), minute(2)]


def test_a_side_car_that_comes_late_or_goes_away_stops_nothing(tmp_path):
    file = tmp_path / "all.csv"
    times = Times(tmp_path, csv="./all.csv")
    assert times.on("1.jpg") == FALLEN_BACK
    assert times.problem == f"{file}: the side-car cannot be read (No such file or directory); see [time] csv"
    put(file, "file,time\n" + rows(1))
    times.clocks.seconds += 2
    assert times.on("1.jpg") == minute(1)
    assert times.problem is None
    file.unlink()
    times.clocks.seconds += 2
    assert times.on("1.jpg") == minute(1), "its rows were true"
    assert times.problem is not None
    file.mkdir()
    times.clocks.seconds += 2
    assert times.on("1.jpg") == minute(1)
    assert times.problem == f"{file}: the side-car is no file; give a CSV file in [time] csv"
    file.rmdir()
    os.mkfifo(file)
    times.clocks.seconds += 2
    assert times.on("2.jpg") == FALLEN_BACK, "a pipe is not waited for"
    file.unlink()
    put(file, "file,time\n" + rows(1))
    times.clocks.seconds += 2
    times.on("1.jpg")
    assert times.problem is None


def test_who_is_dated_by_name_has_no_trouble_with_the_side_car(tmp_path):
    times = Times(tmp_path, name_pattern="%Y%m%d_%H%M", csv="all.csv")
    assert times.on("x.jpg") == FALLEN_BACK
    assert "side-car" in times.problem
    assert times.on("20240312_1200.jpg") == Capture(NOON, "name")
    assert times.problem is None


def test_names_that_are_not_utf_8_are_found(tmp_path):
    file = tmp_path / os.fsdecode(b"M\xe4rz.jpg")
    file.write_bytes(PLAIN)
    put(tmp_path / "all.csv", b"file,time\nM\xe4rz.jpg,2024-03-12T12:00:00Z\n")
    found = look(tmp_path, file.name)
    assert Times(tmp_path, csv="all.csv").of(found, PLAIN) == Capture(NOON, "csv")


def test_a_hundred_thousand_rows_are_each_found_and_the_later_of_two_holds(tmp_path):
    count = 100_000
    lines = [f"{number}.jpg,{1_710_000_000 + number}\n" for number in range(count)]
    again = [f"{number}.jpg,{1_720_000_000 + number}\n" for number in range(count) if number % 7]
    file = put(tmp_path / "all.csv", "file,time\n" + "".join(lines))
    times = Times(tmp_path, csv="all.csv")
    times.clocks.wall += 300 * DAY
    assert [times.on(f"{number}.jpg").ns for number in range(count)] == [
        (1_710_000_000 + number) * SECOND for number in range(count)
    ]
    with file.open("a") as opened:
        opened.writelines(again)
    times.clocks.seconds += 2
    assert [times.on(f"{number}.jpg").ns for number in range(count)] == [
        ((1_720_000_000 if number % 7 else 1_710_000_000) + number) * SECOND for number in range(count)
    ]
    assert times.on(f"{count}.jpg") == FALLEN_BACK


def test_more_folders_than_are_held_are_all_served(tmp_path):
    for number in range(300):
        put(tmp_path / str(number) / "t.csv", f"file,time\na.jpg,{1_710_000_000 + number}\n")
    times = Times(tmp_path, csv="t.csv")
    for _ in range(2):
        assert [times.on(f"{number}/a.jpg").ns for number in range(300)] == [
            (1_710_000_000 + number) * SECOND for number in range(300)
        ]


def test_a_line_without_end_costs_no_memory_and_hides_no_other(tmp_path):
    put(tmp_path / "all.csv", b"file,time\n" + rows(1).encode() + b"x" * 5_000_000 + b"\n" + rows(2).encode())
    times = Times(tmp_path, csv="all.csv")
    assert [times.on(f"{number}.jpg") for number in (1, 2)] == [minute(1), minute(2)]
    assert "lines are no name and time" in times.problem


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.binary(max_size=30) | st.sampled_from([b"file,time", b"1.jpg,2024-03-12T12:01:00.250Z", b'"']), max_size=8
    )
)
def test_whatever_the_side_car_holds_nothing_is_raised(tmp_path_factory, lines):
    folder = tmp_path_factory.getbasetemp() / "any"
    put(folder / "all.csv", b"\n".join(lines))
    times = Times(folder, csv="all.csv")
    assert times.on("1.jpg") in (minute(1), FALLEN_BACK)
    assert "\n" not in (times.problem or "")
