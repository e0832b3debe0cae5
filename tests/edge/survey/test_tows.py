"""What was one deployment."""

import sqlite3
from contextlib import closing

import pytest

from bundle.errors import BadConfig
from edge.survey.tows import Tow, TowSettings, tows
from tests.edge.filled import at, fill
from tests.edge.stocked import DAY, HOUR, NOW, Stock


@pytest.fixture
def stock(tmp_path):
    with closing(Stock(tmp_path)) as stock:
        yield stock


def listed(tmp_path, *rows):
    path = tmp_path / "tows.csv"
    path.write_text("\n".join(["name,start,end", *rows]) + "\n")
    return TowSettings(file=path)


def test_each_first_folder_and_archive_is_a_tow_from_its_first_image_to_its_last(stock):
    stock.counted("tow2/a/1.png", age=2 * DAY)
    stock.counted("tow2/2.png", age=2 * DAY - HOUR, aside="blurred")
    stock.counted("tow1/1.png", age=5 * DAY)
    stock.counted("tow3.tar/1.png", age=DAY)
    stock.counted("loose.png", age=3 * DAY)
    stock.rejected("tow1/broken.png", age=4 * DAY)
    stock.sighting("tow1/waiting.png")
    assert tows(stock.connection, TowSettings(folders=True)) == (
        Tow("tow1", NOW - 5 * DAY, NOW - 5 * DAY + 1),
        Tow("tow2", NOW - 2 * DAY, NOW - 2 * DAY + HOUR + 1),
        Tow("tow3", NOW - DAY, NOW - DAY + 1),
    )


def test_a_copy_in_a_later_tow_stretches_neither(stock):
    stock.counted("tow1/1.png", age=5 * DAY)
    stock.counted("tow2/1.png", age=2 * DAY)
    (first,) = stock.connection.execute("SELECT image_id FROM sighting WHERE path = 'tow1/1.png'").fetchone()
    stock.sighting("tow2/copy.png", image_id=first)
    assert tows(stock.connection, TowSettings(folders=True)) == (
        Tow("tow1", NOW - 5 * DAY, NOW - 5 * DAY + 1),
        Tow("tow2", NOW - 2 * DAY, NOW - 2 * DAY + 1),
    )


def test_two_folders_at_one_time_are_refused_by_name(stock):
    for name, age in (("port", 3 * HOUR), ("port", HOUR), ("starboard", 2 * HOUR)):
        stock.counted(f"{name}/{age}.png", age=age)
    with pytest.raises(BadConfig, match="folders: the tows 'port' and 'starboard' overlap"):
        tows(stock.connection, TowSettings(folders=True))


def test_a_folder_without_folders_has_no_tows_by_folder(stock):
    stock.counted("1.png")
    with pytest.raises(BadConfig, match="no image lies in a folder below the watched one"):
        tows(stock.connection, TowSettings(folders=True))


def test_a_longer_pause_begins_a_new_tow_named_for_its_start(tmp_path, tiny):
    clocks = ["10:00:00", "10:10:00", "10:20:00", "11:00:00", "12:00:01"]
    fill(tmp_path / "l.sqlite", tiny, [(clock, 0) for clock in clocks], dropped=["10:30:00"])
    with closing(sqlite3.connect(tmp_path / "l.sqlite")) as connection:
        assert tows(connection, TowSettings(gap_seconds=3600)) == (
            Tow("tow 2026-11-25T10:00:00Z", at("10:00:00"), at("11:00:00") + 1),
            Tow("tow 2026-11-25T12:00:01Z", at("12:00:01"), at("12:00:01") + 1),
        )
        assert len(tows(connection, TowSettings(gap_seconds=1799))) == 3
        assert len(tows(connection, TowSettings(gap_seconds=86400))) == 1


def test_an_empty_ledger_has_no_tows_by_gaps(stock):
    assert tows(stock.connection, TowSettings(gap_seconds=60)) == ()


def test_a_list_gives_tows_in_the_order_of_time_and_one_may_start_where_another_ends(stock, tmp_path):
    how = listed(
        tmp_path, "B,2026-11-25T11:00:00Z,2026-11-25T13:00:00+01:00", '"A, first",2026-11-25 10:00,2026-11-25 11:00', ""
    )
    assert tows(stock.connection, how) == (
        Tow("A, first", at("10:00:00"), at("11:00:00")),
        Tow("B", at("11:00:00"), at("12:00:00")),
    )


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (
            ["A,2026-11-25T10:00Z,2026-11-25T12:00Z", "B,2026-11-25T11:59Z,2026-11-25T13:00Z"],
            "the tows 'A' and 'B' overlap",
        ),
        (["A,2026-11-25T10:00Z,2026-11-25T10:00Z"], "row 2: 'A' ends before it starts"),
        (["A,2026-11-25T10:00Z,noon"], "row 2: the end 'noon' is no time"),
        (["A,2026-11-25T10:00Z"], "row 2: 2 columns"),
        ([",2026-11-25T10:00Z,2026-11-25T11:00Z"], "row 2: the name '' is empty"),
        (["A,2026-11-25T10:00Z,2026-11-25T11:00Z", "A,2026-11-26T10:00Z,2026-11-26T11:00Z"], "row 3: the name 'A' is"),
        ([], "no tow below the header"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(stock, tmp_path, rows, fault):
    with pytest.raises(BadConfig, match=r"tows\.csv") as refused:
        tows(stock.connection, listed(tmp_path, *rows))
    assert fault in str(refused.value)


def test_a_list_without_its_columns_or_that_is_not_there_is_refused(stock, tmp_path):
    how = listed(tmp_path)
    how.file.write_text("tow,begin,end\n")
    with pytest.raises(BadConfig, match="the first line must name the columns name, start and end"):
        tows(stock.connection, how)
    how.file.unlink()
    with pytest.raises(BadConfig, match="cannot be read"):
        tows(stock.connection, how)


@pytest.mark.parametrize(
    ("settings", "found"), [({}, "none"), ({"folders": True, "gap_seconds": 60.0}, "folders and gap")]
)
def test_exactly_one_way_is_to_be_given(settings, found):
    with pytest.raises(BadConfig, match=f"give exactly one of folders, file, gap_seconds; found {found}"):
        TowSettings(**settings)
