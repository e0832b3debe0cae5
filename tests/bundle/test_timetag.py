"""Time tags: EXIF blocks built here byte by byte, with OpenCV's own writer as a second opinion, and hostile ones."""

import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundle.imagefile import inspect
from bundle.timetag import Stamp, clock_ns, read_tag, read_time, zone_ns

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
NOON = 1_710_244_800 * 10**9  # 2024-03-12 12:00:00 UTC
MS = 10**6


def directory(order: str, at: int, entries: dict[int, str | int], more: bytes = b"") -> bytes:
    """A TIFF directory that is to stand at byte `at`: texts and whole numbers; longer texts behind it."""
    behind = at + 2 + 12 * len(entries) + 4
    head, tail = struct.pack(order + "H", len(entries)), b""
    for tag, value in sorted(entries.items()):
        if isinstance(value, int):
            head += struct.pack(order + "HHII", tag, 4, 1, value)
            continue
        text = value.encode() + b"\0"
        if len(text) <= 4:
            head += struct.pack(order + "HHI4s", tag, 2, len(text), text)
        else:
            head += struct.pack(order + "HHII", tag, 2, len(text), behind + len(tail))
            tail += text
    return head + struct.pack(order + "I", 0) + tail + more


def exif(order: str = "<", first: dict[int, str] | None = None, second: dict[int, str] | None = None) -> bytes:
    """An EXIF block: what stands in the first directory and in the EXIF directory."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries: dict[int, str | int] = dict(first or {})
    if second is None:
        return mark + struct.pack(order + "I", 8) + directory(order, 8, entries)
    there = 8 + len(directory(order, 8, {**entries, 34665: 0}))
    return (
        mark
        + struct.pack(order + "I", 8)
        + directory(order, 8, {**entries, 34665: there})
        + directory(order, there, second)
    )


def jpeg(block: bytes | None = None) -> bytes:
    data = cv2.imencode(".jpg", GREY)[1].tobytes()
    if block is None:
        return data
    payload = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[2:]


def png(*chunks: tuple[bytes, bytes], behind: bool = False) -> bytes:
    data = cv2.imencode(".png", GREY)[1].tobytes()
    made = b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    at = len(data) - 12 if behind else 33
    return data[:at] + made + data[at:]


def tiff(order: str = "<", first: dict[int, str] | None = None, second: dict[int, str] | None = None) -> bytes:
    """A whole image: 8 x 6 grey pixels at its end."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    shape = {256: 8, 257: 6, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: 6, 279: 48, **(first or {})}
    if second is not None:
        shape[34665] = 0
        shape[34665] = 8 + len(directory(order, 8, shape))
    behind = directory(order, shape.get(34665, 0), second) if second is not None else b""
    shape[273] = 8 + len(directory(order, 8, shape)) + len(behind)
    return mark + struct.pack(order + "I", 8) + directory(order, 8, shape) + behind + GREY.tobytes()


FULL = {36867: "2024:03:12 12:00:00", 37521: "345", 36881: "+02:00"}
FULL_STAMP = Stamp(NOON - 2 * 3600 * 10**9 + 345 * MS, zoned=True)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("wrap", [jpeg, lambda block: png((b"eXIf", block)), lambda block: block])
def test_original_time_fraction_and_zone_are_read_in_both_byte_orders(order, wrap):
    assert read_tag(wrap(exif(order, {306: "2024:05:01 00:00:00"}, FULL))) == FULL_STAMP


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("second", [None, FULL])
def test_a_tiff_file_is_dated_by_its_tags_and_by_its_exif_directory(order, second):
    data = tiff(order, {306: "2024:03:12 12:00:00"}, second)
    assert inspect(data).width == 8
    assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE), GREY)
    assert read_tag(data) == (FULL_STAMP if second else Stamp(NOON, zoned=False))


@pytest.mark.skipif(not hasattr(cv2, "imencodeWithMetadata"), reason="OpenCV 5 writes metadata, older ones do not")
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_file_whose_exif_opencv_wrote_is_dated(suffix):
    block = np.frombuffer(exif("<", {}, FULL), np.uint8)
    written, data = cv2.imencodeWithMetadata(suffix, GREY, [cv2.IMAGE_METADATA_EXIF], [block])
    assert written
    assert read_tag(data.tobytes()) == FULL_STAMP
    assert read_tag(cv2.imencode(suffix, GREY)[1].tobytes()) is None


@pytest.mark.parametrize(
    ("first", "second", "stamp"),
    [
        ({306: "2024:03:12 12:00:00"}, {36868: "2024:03:12 12:00:01"}, Stamp(NOON + 10**9, False)),
        ({306: "2024:03:12 12:00:00"}, {37520: "5", 36880: "-01:30"}, Stamp(NOON + 5400 * 10**9 + 500 * MS, True)),
        ({306: "2024:03:12 12:00:00"}, {36867: "    :  :     :  :  "}, Stamp(NOON, False)),
        ({306: "2024:03:12 12:00:00"}, {36867: "0000:00:00 00:00:00"}, Stamp(NOON, False)),
        ({36867: "2024:03:12 12:00:00"}, None, Stamp(NOON, False)),
        ({}, {**FULL, 36881: "   :  "}, Stamp(NOON + 345 * MS, False)),
        ({}, {**FULL, 36881: "+99:00"}, Stamp(NOON + 345 * MS, False)),
        ({}, {**FULL, 37521: "34x", 36881: "Z"}, Stamp(NOON, True)),
        ({}, {**FULL, 37521: "123456789012", 36881: ""}, Stamp(NOON + 123_456_789, False)),
        ({}, {36867: "2024:02:30 12:00:00"}, None),
        ({}, None, None),
    ],
)
def test_the_best_time_that_is_one_is_taken(first, second, stamp):
    assert read_tag(jpeg(exif("<", first, second))) == stamp


def test_exif_behind_other_segments_and_fill_bytes_is_found():
    plain, block = jpeg(), b"Exif\0\0" + exif("<", {}, FULL)
    xmp = b"\xff\xe1" + struct.pack(">H", 31) + b"http://ns.adobe.com/xap/1.0/\0"
    data = plain[:2] + xmp + b"\xff\xff\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]
    assert inspect(data).format == "jpeg"
    assert read_tag(data) == FULL_STAMP


@pytest.mark.parametrize("behind", [False, True])
def test_a_png_is_dated_by_its_creation_time_before_or_behind_its_pixels(behind):
    text = (b"tEXt", b"Creation Time\0Tue, 12 Mar 2024 12:00:00 GMT")
    assert read_tag(png((b"tEXt", b"Comment\0x"), text, behind=behind)) == Stamp(NOON, True)
    assert read_tag(png(text, (b"eXIf", exif("<", {}, FULL)), behind=behind)) == FULL_STAMP


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp", ".pgm"])
def test_a_file_without_a_time_tag_has_no_time(suffix):
    assert read_tag(cv2.imencode(suffix, GREY)[1].tobytes()) is None


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("2024-03-12T12:00:00Z", Stamp(NOON, True)),
        (" 2024-03-12 12:00:00,123456789123 ", Stamp(NOON + 123_456_789, False)),
        ("2024/03/12 12:00", Stamp(NOON, False)),
        ("20240312T120000.5+0200", Stamp(NOON - 7200 * 10**9 + 500 * MS, True)),
        ("20240312120000", Stamp(NOON, False)),
        ("20240312 120000", Stamp(NOON, False)),
        ("2024-03-12T12:00:00 UTC", Stamp(NOON, True)),
        ("2024-03-12T12:00:00-03", Stamp(NOON + 3 * 3600 * 10**9, True)),
        ("1710244800", Stamp(NOON, True)),
        ("1710244800.25", Stamp(NOON + 250 * MS, True)),
        ("1710244800007", Stamp(NOON + 7 * MS, True)),
        ("1710244800000007", Stamp(NOON + 7000, True)),
        ("1710244800000000007", Stamp(NOON + 7, True)),
        ("12 Mar 2024 12:00:00 +0100", Stamp(NOON - 3600 * 10**9, True)),
        ("2024-03-12T11:59:60Z", Stamp(NOON, True)),
        ("2024-03-12", None),
        ("2024-03-12T24:00:00", None),
        ("2024-02-30T12:00:00", None),
        ("2024-13-01T12:00:00", None),
        ("2024-03/12T12:00:00", None),
        ("12:00:00", None),
        ("٢٠٢٤-03-12T12:00:00", None),
        ("", None),
    ],
)
def test_times_as_instruments_write_them(text, stamp):
    assert read_time(text) == stamp


def test_clocks_and_zones():
    assert clock_ns(1970, 1, 1, 0, 0, 0) == 0
    assert clock_ns(1969, 12, 31, 23, 59, 59) == -(10**9)
    assert clock_ns(0, 1, 1, 0, 0, 0) is None
    assert clock_ns(2023, 2, 29, 0, 0, 0) is None
    assert [zone_ns(zone) for zone in ("Z", "+05:30", "-03", "+0545")] == [
        0,
        19_800 * 10**9,
        -10_800 * 10**9,
        20_700 * 10**9,
    ]
    assert [zone_ns(zone) for zone in ("", "+24:00", "+5", "CET")] == [None] * 4


SEEDS = [
    make(exif(order, {306: "2024:03:12 12:00:00", 271: "Camera & Sons"}, FULL))
    for order in "<>"
    for make in (bytes, jpeg, lambda block: png((b"eXIf", block), (b"tEXt", b"Creation Time\0002024-03-12T12:00:00")))
] + [tiff(order, {306: "2024:03:12 12:00:00"}, FULL) for order in "<>"]


@st.composite
def damaged(draw):
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        data[at : at + draw(st.integers(0, 4))] = draw(
            st.binary(max_size=4) | st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\x08", b"\x08\0\0\0"])
        )
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


@settings(max_examples=3000, deadline=None)
@given(damaged() | st.binary(max_size=60).map(lambda tail: b"II*\0" + tail))
def test_whatever_the_bytes_there_is_a_time_of_this_calendar_or_none(data):
    stamp = read_tag(data)
    if stamp is not None:
        assert (
            clock_ns(1, 1, 1, 0, 0, 0) - 86400 * 10**9 <= stamp.ns <= clock_ns(9999, 12, 31, 23, 59, 60) + 86400 * 10**9
        )


@settings(max_examples=1000, deadline=None)
@given(st.text(max_size=40) | st.from_regex(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,]\d{0,12})?(Z|[+-]\d\d:?\d\d)?"))
def test_whatever_the_text_there_is_a_time_or_none(text):
    stamp = read_time(text)
    assert stamp is None or isinstance(stamp.ns, int)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff\xe0\x00\x02" * 2_000_000,
        b"\xff\xd8" + b"\xff" * 8_000_000,
        b"\x89PNG\r\n\x1a\n" + (b"\0\0\0\0teXt" + b"\0\0\0\0") * 600_000,
        b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffeXIf"
        + b"II*\0\x08\0\0\0\xff\xff"
        + b"\x32\x01\x02\0\xff\xff\xff\xff" * 700_000,
        b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 34665, 4, 1, 8) * 65535,
    ],
    ids=["segments", "fill", "chunks", "entries", "circle"],
)
def test_a_file_made_to_keep_us_busy_is_given_up_soon(data, steps):
    assert read_tag(data) is None
    assert steps() < 100_000


@pytest.fixture
def steps():
    """How many lines of timetag and imagefile have run: a measure of work that no load on the machine changes."""
    count = 0

    def trace(frame, event, _argument):
        nonlocal count
        if not frame.f_code.co_filename.endswith(("timetag.py", "imagefile.py")):
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    yield lambda: count
    sys.settrace(before)
