"""Times in names: patterns that read them, and patterns that are refused."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundle.errors import BadConfig
from edge.capture.timesettings import TimeSettings

from .dated import HOUR, MS, NOON, Times, by_name


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
