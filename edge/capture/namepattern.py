"""The time in a file's name, read by a pattern of strptime codes such as cam*_%Y%m%d_%H%M%S.%f."""

from __future__ import annotations

import calendar
import re
from datetime import date

from bundle.errors import BadConfig
from bundle.imagefile import IMAGE_SUFFIXES
from bundle.timetag import MONTHS, SECOND_NS, Stamp, clock_ns, fraction_ns, zone_ns


class NamePattern:
    """A name_pattern as a regular expression. Raises BadConfig."""

    def __init__(self, pattern: str) -> None:
        self._said: set[str] = set()
        folders = pattern.split("/")
        if not all(folders):
            raise BadConfig(f"name_pattern {pattern!r} has an empty folder or file name; write folder/name")
        suffix = "|".join(re.escape(suffix) for suffix in sorted(IMAGE_SUFFIXES))
        try:
            expression = "/".join(self._part(folder) for folder in folders) + f"(?i:{suffix})?"
        except BadConfig as error:
            raise BadConfig(f"name_pattern {pattern!r}: {error}") from None
        if fault := _incomplete(self._said):
            raise BadConfig(f"name_pattern {pattern!r} {fault}")
        self._expression = re.compile(expression, re.ASCII)
        self._parts = len(folders)

    def read(self, path: str) -> Stamp | None:
        """The time in the end of a path: in as many of its parts as the pattern has."""
        found = self._expression.fullmatch(path if path.count("/") < self._parts else _end(path, self._parts))
        if found is None:
            return None
        said = found.groupdict()
        fraction = fraction_ns(said.get("f"))
        if "s" in said:
            return Stamp(int(said["s"]) * SECOND_NS + fraction, zoned=True)
        year = int(said["Y"]) if "Y" in said else _full_year(int(said["y"]))
        if "j" in said:
            day_of_year = int(said["j"])
            if year < 1 or not 1 <= day_of_year <= 365 + calendar.isleap(year):
                return None
            that = date.fromordinal(date(year, 1, 1).toordinal() + day_of_year - 1)
            month, day = that.month, that.day
        else:
            month = int(said["m"]) if "m" in said else MONTHS.index(said["b"].lower()) + 1
            day = int(said["d"])
        clock = clock_ns(year, month, day, int(said["H"]), int(said["M"]), int(said.get("S", "0")))
        if clock is None:
            return None
        ahead = zone_ns(said["z"]) if "z" in said else None
        return Stamp(clock + fraction - (ahead or 0), ahead is not None)

    def _part(self, part: str) -> str:
        """The expression of one folder's or file's name.

        The pieces between two * are found from the left, each for good (an atomic group): a name of many letters costs
        no more than its length times the pattern's.
        """
        first, *others = (self._piece(piece) for piece in re.split(r"\*+", part))
        if not others:
            return first
        *middle, last = others
        return first + "".join(f"(?>[^/]*?{piece})" for piece in middle) + f"[^/]*?{last}"

    def _piece(self, piece: str) -> str:
        expression = ""
        for found in _TOKEN.finditer(piece):
            token = found[0]
            if token == "?":
                expression += "[^/]"
            elif token == "%%" or token[0] != "%":
                expression += re.escape(token[-1])
            else:
                code = token[-1] if len(token) > 1 else ""
                if code not in _CODES or (len(token) == 3 and code != "f"):
                    known = " ".join(f"%{known}" for known in _CODES)
                    raise BadConfig(f"{token!r} is no code it can have; known are {known} %1f to %9f and %%")
                if code in self._said:
                    expression += f"(?P={code})"  # a folder 2024/03 and a file 20240312 must agree
                else:
                    digits = rf"\d{{{token[1]}}}" if len(token) == 3 else _CODES[code]
                    expression += f"(?P<{code}>{digits})"
                self._said.add(code)
        return expression


def _end(path: str, parts: int) -> str:
    return "/".join(path.rsplit("/", parts)[1:])


def _full_year(year: int) -> int:
    return year + (2000 if year < 69 else 1900)  # as POSIX has it


def _incomplete(said: set[str]) -> str | None:
    """What is wrong with these codes taken together. A pattern that gives only the day would merge a day's images."""
    if "s" in said:
        more = said - {"s", "f"}
        return f"has %s, which is the whole time, and %{min(more)}; leave one of them out" if more else None
    for one, other in (("Y", "y"), ("m", "b"), ("j", "m"), ("j", "b"), ("j", "d")):
        if {one, other} <= said:
            return f"has %{one} and %{other}, which say the same; leave one of them out"
    for wanted in ("Yy", "mbj", "dj", "H", "M"):
        if not said & set(wanted):
            codes = " or ".join(f"%{code}" for code in wanted)
            return f"has no {codes}; it must give the time to the minute at least, or be %s"
    if "f" in said and "S" not in said:
        return "has a fraction %f and no %S; add the seconds"
    return None


_TOKEN = re.compile(r"%[1-9]f|%.|.|%", re.DOTALL)
_CODES = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "m": r"0[1-9]|1[0-2]",
    "b": "(?i:" + "|".join(MONTHS) + ")",
    "d": r"0[1-9]|[12]\d|3[01]",
    "j": r"[0-3]\d{2}",
    "H": r"[01]\d|2[0-3]",
    "M": r"[0-5]\d",
    "S": r"[0-5]\d|60",
    "f": r"\d{1,9}",
    "s": r"\d{10}",
    "z": r"Z|[+-](?:0\d|1[0-5]):?[0-5]\d|[+-](?:0\d|1[0-5])",
}
