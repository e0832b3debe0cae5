"""Side-car tables: as programs write them, as they grow, and as they are replaced, lost and damaged."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.capture import Capture, StillReading
from edge.intake.files import look

from .dated import DAY, FALLEN_BACK, HOUR, MS, MTIME, NOON, NOW, PLAIN, SECOND, Times


def put(file: Path, text: str | bytes, mtime: int = NOW - HOUR) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    os.utime(file, ns=(mtime, mtime))
    return file


def rows(*minutes: int) -> str:
    return "".join(f"{minute}.jpg,2024-03-12T12:{minute:02}:00.250Z\n" for minute in minutes)


def minute(number: int) -> Capture:
    return Capture(NOON + number * 60 * SECOND + 250 * MS, "csv")


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


LONG = 20_000  # rows: more than are read at one go


def long_table(first: int = 1_710_000_000) -> str:
    return "file,time\n" + "".join(f"{number}.jpg,{first + number}\n" for number in range(LONG))


def dated_at_last(times: Times, path: str) -> tuple[Capture, int]:
    """The capture time, and how often it was not known yet."""
    for asked in range(1000):
        try:
            return times.on(path), asked
        except StillReading as error:
            assert str(error) == f"{times.table}: the side-car is still being read; ask again"  # noqa: PT017
    raise AssertionError("never read to its end")


class Impatient(Times):
    """Reads one piece of a side-car in a call."""

    def __init__(self, watch: Path) -> None:
        super().__init__(watch, patience_seconds=0, csv="all.csv")
        self.table = watch / "all.csv"


def test_a_long_side_car_is_read_piece_by_piece_and_no_image_is_dated_before_its_end(tmp_path):
    file = put(tmp_path / "all.csv", long_table() + "0.jpg,1720000000\n")  # the last row corrects the first
    times = Impatient(tmp_path)
    times.clocks.wall += 300 * DAY
    pieces = file.stat().st_size // 65_536
    assert dated_at_last(times, "0.jpg") == (Capture(1_720_000_000 * SECOND, "csv"), pieces)
    assert [times.on(f"{number}.jpg").ns for number in range(1, LONG)] == [
        (1_710_000_000 + number) * SECOND for number in range(1, LONG)
    ]
    assert times.on("other.jpg") == FALLEN_BACK


def test_who_is_dated_by_name_waits_for_no_side_car(tmp_path):
    put(tmp_path / "all.csv", long_table())
    times = Times(tmp_path, patience_seconds=0, csv="all.csv", name_pattern="%Y%m%d_%H%M")
    assert times.on("20240312_1200.jpg") == Capture(NOON, "name")
    with pytest.raises(StillReading):
        times.on("1.jpg")


def test_a_side_car_that_goes_away_half_read_holds_up_no_image_and_is_read_whole_when_it_is_back(tmp_path):
    file = put(tmp_path / "all.csv", long_table())
    times = Impatient(tmp_path)
    last = f"{LONG - 1}.jpg"
    with pytest.raises(StillReading):
        times.on(last)
    file.rename(tmp_path / "away")
    assert times.on(last) == FALLEN_BACK
    assert times.problem == f"{file}: the side-car cannot be read (No such file or directory); see [time] csv"
    (tmp_path / "away").rename(file)  # the very same file: size and time tell nothing
    times.clocks.seconds += 2
    assert dated_at_last(times, last)[0] == Capture((1_710_000_000 + LONG - 1) * SECOND, "csv")
    assert times.problem is None


def test_a_side_car_that_is_written_anew_while_half_read_is_read_from_its_start(tmp_path):
    file = put(tmp_path / "all.csv", long_table())
    times = Impatient(tmp_path)
    with pytest.raises(StillReading):
        times.on("0.jpg")
    put(file, long_table(1_709_000_000), NOW - 60 * SECOND)
    assert dated_at_last(times, "0.jpg")[0] == Capture(1_709_000_000 * SECOND, "csv")


def test_a_side_car_that_grows_while_half_read_is_read_to_its_new_end(tmp_path):
    file = put(tmp_path / "all.csv", long_table())
    times = Impatient(tmp_path)
    with pytest.raises(StillReading):
        times.on("0.jpg")
    put(file, long_table() + "0.jpg,1709999999\n", NOW - 60 * SECOND)
    assert dated_at_last(times, "0.jpg")[0] == Capture(1_709_999_999 * SECOND, "csv")
