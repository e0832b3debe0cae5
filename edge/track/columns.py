"""The columns of tables that loggers and spreadsheets write: how a row is cut, and what its header calls time and place."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

PREAMBLE_LINES = 500  # of metadata above the header, as PANGAEA and DSHIP write them
DELIMITERS = "\t;,"
LINE_BYTES = 65536

_UNIT = re.compile(r"[(\[].*")  # "Latitude (deg)", "Time [UTC]"
_PLACE = r"(?:.*[^a-z]|.*pos|decimal|gps|ship)?"  # pos_lat, SYS.STR.PosLat, decimalLatitude
LATITUDE = re.compile(_PLACE + r"lat(?:itude)?(?:[ _]?(?:deg|dd|degrees|n))?")
LONGITUDE = re.compile(_PLACE + r"(?:lon|long|lng|longitude)(?:[ _]?(?:deg|dd|degrees|e))?")
_DATE_TIME = re.compile(
    r"(?:gps|utc)?[ _]?(?:date[ _/]*time|time[ _]?stamp|event[ _]?date|epoch|unix[ _]?time|instant)[ _]?(?:utc|gmt|iso)?"
)
_DATE = re.compile(r"(?:gps|utc)?[ _]?date[ _]?(?:utc|gmt)?")
_TIME = re.compile(r"(?:gps|utc)?[ _]?time[ _]?(?:utc|gmt|iso)?|utc")
BLANKS = frozenset(("", "nan", "na", "n/a", "null", "none", "-", "-999", "-999.0", "-9999", "-9999.0", "-99999"))


def cells_of(text: str, delimiter: str) -> list[str]:
    """The cells of one line. Raises csv.Error for quotes that do not end."""
    if '"' not in text:
        return text.split(delimiter)
    return next(csv.reader([text], delimiter=delimiter), [])


def plain_names(cells: Sequence[str]) -> list[str]:
    """The names of a header in small letters, without the units in brackets behind them."""
    return [_UNIT.sub("", cell.lower()).strip() for cell in cells]


def first_like(names: Sequence[str], pattern: re.Pattern[str]) -> int | None:
    """The first column whose whole name is like the pattern."""
    return next((column for column, name in enumerate(names) if pattern.fullmatch(name)), None)


def time_columns(names: Sequence[str]) -> list[int]:
    """The column with the time, or those with the day and the time of day; none where there is neither."""
    both = first_like(names, _DATE_TIME)
    parts = (both,) if both is not None else (first_like(names, _DATE), first_like(names, _TIME))
    return [column for column in parts if column is not None]
