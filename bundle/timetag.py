"""When an image says it was taken: the time tags of JPEG, TIFF and PNG, and times in text as instruments write them.

No bytes make anything here raise, loop or read beyond their end: what cannot be read is no time.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import islice

from bundle.imagefile import JPEG_BARE, tiff_entries

SECOND_NS = 1_000_000_000
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time that somebody wrote down."""

    ns: int  # since 1970-01-01; in UTC if `zoned`, else by the writer's clock as if that showed UTC
    zoned: bool


def read_tag(data: bytes) -> Stamp | None:
    """The capture time inside an image file, or inside its first bytes. None: it has none, or none that is a time.

    EXIF and TIFF: DateTimeOriginal, else DateTimeDigitized, else DateTime, each with its fraction and zone (CIPA
    DC-008, Exif 2.32, 4.6.5). PNG: the same in an eXIf chunk, else the text `Creation Time`.
    """
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith((b"II*\0", b"MM\0*")):
            return _tiff(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data)
    except (struct.error, IndexError):
        pass  # it ends where more was promised
    return None


def read_time(text: str) -> Stamp | None:
    """A date with a time of day, in ISO 8601 or as EXIF writes it, or seconds (also ms, µs, ns) since 1970, or RFC 1123.

    Seconds may be missing, the fraction has any number of digits (nine count), the zone is Z, UTC, GMT or an offset.
    """
    text = text.strip()
    if found := _ISO.fullmatch(text):
        year, month, day, hour, minute, second, fraction, zone = found.group(1, 3, 4, 5, 7, 8, 9, 10)
        return _stamp(
            clock_ns(int(year), int(month), int(day), int(hour), int(minute), int(second or 0)), fraction, zone
        )
    if found := _EPOCH.fullmatch(text):
        return Stamp(int(found[1]) * SECOND_NS + fraction_ns(found[2] or found[3]), zoned=True)
    if found := _RFC_1123.fullmatch(text):
        month_number = MONTHS.index(found[2].lower()) + 1
        day, year, hour, minute, second = (int(found[group]) for group in (1, 3, 4, 5, 6))
        return _stamp(clock_ns(year, month_number, day, hour, minute, second), None, found[7])
    return None


def clock_ns(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
    """What a calendar and a clock show, as ns since they showed 1970-01-01 00:00:00. None: there is no such day or time.

    A leap second (60) is the first of the next minute.
    """
    if hour > 23 or minute > 59 or second > 60:
        return None
    days = _days(year, month, day)
    return None if days is None else (((days * 24 + hour) * 60 + minute) * 60 + second) * SECOND_NS


@lru_cache(64)  # images come many to a day
def _days(year: int, month: int, day: int) -> int | None:
    try:
        return date(year, month, day).toordinal() - _DAYS_TO_1970
    except ValueError:
        return None


def fraction_ns(digits: str | None) -> int:
    """The digits behind the point of a second."""
    return int(digits[:9].ljust(9, "0")) if digits else 0


def zone_ns(zone: str) -> int | None:
    """How far clocks of a zone are ahead of UTC. None: there is no such zone."""
    if zone in ("Z", "UTC", "GMT", "UT"):
        return 0
    found = _OFFSET.fullmatch(zone)
    if not found:
        return None
    minutes = int(found[2]) * 60 + int(found[3] or 0)
    return (minutes if found[1] == "+" else -minutes) * 60 * SECOND_NS


def _stamp(clock: int | None, fraction: str | None, zone: str | None) -> Stamp | None:
    """Without a zone, or with one that is none, the time is by the writer's clock."""
    if clock is None:
        return None
    ahead = zone_ns(zone) if zone else None
    return Stamp(clock + fraction_ns(fraction) - (ahead or 0), ahead is not None)


def _jpeg(data: bytes) -> Stamp | None:
    """Walks the segments before the first scan, where EXIF has to stand."""
    at = 2
    for _ in range(_MOST_STEPS):
        marker = data[at + 1]
        if data[at] != 0xFF or marker in _JPEG_ENDS:
            return None
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in JPEG_BARE:
            at += 2
        else:
            end = at + 2 + (data[at + 2] << 8 | data[at + 3])
            if marker == 0xE1 and data.startswith(_EXIF, at + 4):
                return _tiff(data[at + 4 + len(_EXIF) : end])
            if end < at + 4:
                return None
            at = end
    return None


def _png(data: bytes) -> Stamp | None:
    """Walks all chunks: EXIF and texts may also stand behind the pixels."""
    text: Stamp | None = None
    at = 8
    for _ in range(_MOST_STEPS):
        if at + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"eXIf":
            block = data[at + 8 : at + 8 + min(length, _MOST_EXIF_BYTES)]
            if stamp := _tiff(block.removeprefix(_EXIF)):
                return stamp
        elif kind == b"tEXt":
            keyword, _, value = data[at + 8 : at + 8 + min(length, _MOST_TEXT_BYTES)].partition(b"\0")
            if keyword == b"Creation Time":
                text = read_time(value.decode("latin-1"))
        at += 12 + length
    return text


def _tiff(data: bytes) -> Stamp | None:
    """The first directory of a TIFF file or of an EXIF block, and the EXIF directory that it may point to."""
    if not data.startswith((b"II*\0", b"MM\0*")) or len(data) < 8:
        return None
    order = "<" if data[:2] == b"II" else ">"
    texts: dict[int, str] = {}
    (first,) = struct.unpack_from(order + "I", data, 4)
    second = _collect(data, order, first, texts)
    if second:
        _collect(data, order, second, texts)
    for time_tag, fraction_tag, zone_tag in _TAGS:
        if time_tag in texts and (stamp := read_time(texts[time_tag])):
            fraction, zone = texts.get(fraction_tag, "").strip(), texts.get(zone_tag, "").strip()
            return (
                _stamp(stamp.ns, fraction if _DIGITS.fullmatch(fraction) else None, zone) if not stamp.zoned else stamp
            )
    return None


def _collect(data: bytes, order: str, at: int, texts: dict[int, str]) -> int:
    """Adds the texts that matter of one directory, as far as it goes. Returns where the EXIF directory is, or 0."""
    pointer = 0
    try:
        for tag, kind, values, place in islice(tiff_entries(data, order, at), _MOST_ENTRIES):
            if tag in _TEXT_TAGS and kind == _ASCII:
                text = data[place : place + min(values, _MOST_TEXT_BYTES)].partition(b"\0")[0]
                texts.setdefault(tag, text.decode("latin-1"))
            elif tag == _EXIF_DIRECTORY and kind in _POINTERS and values == 1:
                (pointer,) = struct.unpack_from(order + "I", data, place)
    except struct.error:
        pass  # torn: what came before holds
    return pointer


_DAYS_TO_1970 = date(1970, 1, 1).toordinal()
_EXIF = b"Exif\0\0"
_JPEG_ENDS = frozenset({0xD9, 0xDA})  # end of image, start of scan
# Bounds against files made to keep us busy; real ones have a tenth.
_MOST_STEPS, _MOST_ENTRIES, _MOST_TEXT_BYTES, _MOST_EXIF_BYTES = 4096, 512, 128, 1 << 20
_ASCII, _POINTERS = 2, (4, 13)  # types of TIFF entries
_EXIF_DIRECTORY = 34665
_TAGS = ((36867, 37521, 36881), (36868, 37522, 36882), (306, 37520, 36880))  # time, fraction, zone; the best first
_TEXT_TAGS = frozenset(tag for tags in _TAGS for tag in tags)
_DIGITS = re.compile(r"[0-9]{1,20}")
_OFFSET = re.compile(r"([+-])(0[0-9]|1[0-5]):?([0-5][0-9])?")
_ISO = re.compile(
    r"(\d{4})([-:/.]?)(\d\d)\2(\d\d)[T_ ]?(\d\d)(:?)(\d\d)(?:\6(\d\d)(?:[.,](\d+))?)?"
    r" ?(Z|UTC|GMT|[+-](?:0\d|1[0-5])(?::?[0-5]\d)?)?",
    re.ASCII,
)
# Seconds of ten digits, so from 2001 to 2286; without a point behind them 3, 6 or 9 digits more.
_EPOCH = re.compile(r"(\d{10})(?:(\d{3}|\d{6}|\d{9})|[.,](\d+))?", re.ASCII)
_RFC_1123 = re.compile(
    r"(?:[A-Za-z]{3}, )?(\d{1,2})[ -](" + "|".join(MONTHS) + r")[ -](\d{4}) (\d\d):(\d\d):(\d\d)"
    r"(?: (GMT|UTC|UT|Z|[+-](?:0\d|1[0-5]):?[0-5]\d))?",
    re.ASCII | re.IGNORECASE,
)
