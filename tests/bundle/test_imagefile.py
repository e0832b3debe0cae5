import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundle.errors import BadImage
from bundle.imagefile import ImageFile, inspect
from bundle.preprocess import InputSpec, Prepared, decode, prepare
from tests.bundle.rendered import (
    every_format,
    exif_with_orientation,
    file_of,
    jpeg_with_segment,
    organism,
    pattern,
    tiff,
)

FILES = every_format(pattern(11, 19))
FORMATS = {"jpg": "jpeg", "png": "png", "bmp": "bmp", "pgm": "pgm", "tiff": "tiff"}


def refusal(data: bytes) -> tuple[str, str]:
    """Reason and text of the refusal of a file that must not be taken."""
    with pytest.raises(BadImage) as caught:
        decode(data)
    assert "\n" not in str(caught.value)
    return caught.value.reason, str(caught.value)


def attempt(data: bytes, spec: InputSpec | None = None) -> Prepared | BadImage:
    """What becomes of the file."""
    try:
        return prepare(data, spec or InputSpec(), [16])
    except BadImage as error:
        return error


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_tells_its_format_and_size(name):
    assert inspect(FILES[name]) == ImageFile(FORMATS[name.rpartition(".")[2]], width=19, height=11)


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".jpg")])
def test_a_lossless_file_decodes_to_the_pixels_that_were_written(name):
    assert np.array_equal(decode(FILES[name]), pattern(11, 19))


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_at_any_byte_is_refused(name):
    # Strictly at any byte: a file that lost only a part without pixels would be another image by its hash, counted twice.
    data = FILES[name]
    assert [length for length in range(len(data)) if not isinstance(attempt(data[:length]), BadImage)] == []


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_never_called_something_that_a_writer_could_not_still_complete(name):
    # The camera host looks again at `truncated` and `empty` files; every other reason is final.
    data = FILES[name]
    signature = {"jpg": 3, "png": 8, "bmp": 2, "pgm": 3, "tiff": 4}[name.rpartition(".")[2]]
    reasons = {refusal(data[:length])[0] for length in range(signature, len(data))}
    assert reasons == {"truncated"}


@pytest.mark.parametrize("name", ["baseline.jpg", "progressive.jpg", "restarts.jpg", "grey.png", "plain.pgm"])
def test_a_file_whose_end_is_still_zeros_is_truncated_wherever_the_zeros_begin(name):
    # A copy over a network may reserve the file's whole length first. Raw pixels that are zero are black: nothing to find.
    data = FILES[name]
    reasons = {refusal(data[:length] + bytes(len(data) - length))[0] for length in range(8, len(data) - 16)}
    assert reasons == {"truncated"}


@pytest.mark.parametrize("name", ["lzw.tiff", "strips.tiff"])
def test_a_compressed_tiff_whose_end_is_still_zeros_is_never_taken(name):
    data = FILES[name]
    zeroed = {data[:length] + bytes(len(data) - length) for length in range(8, len(data) - 16)} - {data}
    assert {refusal(each)[0] for each in zeroed} <= {"truncated", "corrupt"}


@pytest.mark.parametrize("name", sorted(FILES.keys() - {"plain.pgm"}))  # where what follows could be numbers
def test_bytes_behind_the_image_do_no_harm(name):
    assert np.array_equal(decode(FILES[name] + b"\0IEND\xff\xd9trailer"), decode(FILES[name]))


def test_an_end_marker_inside_a_jpeg_segment_is_not_the_end():
    # As in the thumbnail of a camera's EXIF data, and between the scans of a progressive file.
    for name in ("baseline.jpg", "progressive.jpg"):
        whole = jpeg_with_segment(FILES[name], 0xE1, b"\xff\xd8 thumbnail \xff\xd9")
        assert inspect(whole) == ImageFile("jpeg", 19, 11)
        assert refusal(whole[:-2])[0] == "truncated"
    data = FILES["progressive.jpg"]
    second_scan = data.index(b"\xff\xc4", data.index(b"\xff\xda"))
    comment = b"\xff\xfe\x00\x06\xff\xd9\xff\xd9"
    between = data[:second_scan] + comment + data[second_scan:]
    assert np.array_equal(decode(between), decode(data))
    assert refusal(between[: second_scan + len(comment)])[0] == "truncated"


def test_iend_inside_a_png_text_is_not_the_end():
    data = FILES["grey.png"]
    text = b"tEXtComment\0IEND, it says"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    whole = data[:33] + chunk + data[33:]
    assert np.array_equal(decode(whole), pattern(11, 19))
    assert refusal(whole[:-20])[0] == "truncated"


def test_a_bmp_without_a_declared_size_is_judged_by_its_rows():
    data = bytearray(FILES["grey.bmp"])
    struct.pack_into("<I", data, 2, 0)
    assert np.array_equal(decode(bytes(data)), pattern(11, 19))
    assert refusal(bytes(data[:-1]))[0] == "truncated"


def test_a_bmp_stored_from_the_top_is_not_upside_down():
    data = bytearray(FILES["grey.bmp"])
    struct.pack_into("<i", data, 22, -11)
    assert np.array_equal(decode(bytes(data)), pattern(11, 19)[::-1])


def test_a_number_cut_from_the_end_of_a_plain_pgm_is_missed():
    assert refusal(b"P2 2 1 255 100 25")[0] == "truncated"
    assert decode(b"P2 2 1 255 100 255\n").tolist() == [[100, 255]]


@pytest.mark.parametrize(
    ("data", "reason", "text"),
    [
        (b"", "empty", "the file has no bytes"),
        (b"\0", "not an image", "not a JPEG, PNG, TIFF, BMP or PGM file (it begins with 00)"),
        (b"GIF89a", "not an image", "not a JPEG, PNG, TIFF, BMP or PGM file (it begins with 47 49 46 38)"),
        (b"P5\n4 4\n1023\n" + bytes(32), "unsupported", "the PGM maximum is 1023; write the images with 255 or 65535"),
        (b"P5\n4 4\n0\n" + bytes(32), "unsupported", "the PGM maximum is 0; write the images with 255 or 65535"),
        (b"P5\n0 4\n255\n", "corrupt", "the PGM header gives a size of 0 x 4 pixels"),
        (b"P5\nfour 4\n255\n", "corrupt", "the PGM header is not: P5 (or P2), width, height, maximum"),
        (b"P5\n" + b" " * 5000 + b"4 4\n255\n", "corrupt", "the PGM header is not: P5 (or P2), width, height, maximum"),
        (b"P2\n2 1\n255\n1 -2\n", "corrupt", "the PGM pixels are not decimal numbers"),
        (b"\xff\xd8\xff\xd9", "corrupt", "the JPEG file ends without a scan"),
        (b"\xff\xd8\xff\xe0\x00\x01junk", "corrupt", "the JPEG segment at byte 2 gives a length of 1"),
        (b"\xff\xd8\xff\xe0\x00\x04abcdef", "corrupt", "the JPEG file has no marker at byte 8, where one must stand"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x01!!!!abcdef", "corrupt", "the PNG file has no chunk at byte 8, where one must stand"),
        (tiff(pattern(3, 3), t256=0), "corrupt", "the TIFF directory does not give a size and the place of its pixels"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_image_is_refused_with_its_reason(data, reason, text):
    assert refusal(data) == (reason, text)


@pytest.mark.parametrize(
    "data",
    [
        tiff(pattern(3, 3), t322=1 << 20, t323=1 << 20),
        b"P5\n65535 65535\n255\n" + bytes(100),
        b"BM" + struct.pack("<IIIIiiHHI", 1 << 31, 0, 54, 40, 1 << 30, 1 << 30, 1, 8, 0) + bytes(100),
        b"II*\0" + struct.pack("<IHHHI", 8, 65535, 256, 4, 1 << 31) + bytes(100),
    ],
)
def test_a_header_that_asks_for_gigabytes_gets_nothing(data):
    tracemalloc.start()  # NumPy reports here too; OpenCV is not even asked
    try:
        assert refusal(data)[0] in ("corrupt", "truncated")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def giant_png(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(b""), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


def test_an_image_over_the_limit_is_too_large_and_one_at_the_limit_is_not():
    assert refusal(giant_png(100_000, 100_000)) == (
        "too large",
        "100000 x 100000 pixels, the limit is 64000000 (input.max_image_pixels)",
    )
    data = file_of(".png", pattern(10, 20))
    assert decode(data, max_image_pixels=200).shape == (10, 20)
    with pytest.raises(BadImage, match="the limit is 199") as caught:
        decode(data, max_image_pixels=199)
    assert caught.value.reason == "too large"


def test_a_header_that_promises_more_rows_than_follow_is_refused():
    data = bytearray(FILES["grey.png"])
    struct.pack_into(">I", data, 20, 12)  # height, with its checksum made right
    struct.pack_into(">I", data, 29, zlib.crc32(bytes(data[12:29])))
    reason, text = refusal(bytes(data))
    assert (reason, text) == ("corrupt", "OpenCV cannot decode the PNG file")


@pytest.mark.parametrize("position", range(8, len(FILES["grey.png"]) - 4, 3))
def test_a_flipped_bit_in_a_png_is_noticed(position):
    data = bytearray(FILES["grey.png"])
    data[position] ^= 0x10
    assert refusal(bytes(data))[0] in ("corrupt", "truncated", "too large")


def test_an_orientation_tag_turns_nothing():
    stored = pattern(5, 7)
    for value in range(10):  # 1 to 8 mean something; the others must not either
        assert np.array_equal(decode(tiff(stored, t274=value)), stored), f"TIFF {value}"
        turned = jpeg_with_segment(FILES["baseline.jpg"], 0xE1, exif_with_orientation(value))
        assert np.array_equal(decode(turned), decode(FILES["baseline.jpg"])), f"EXIF {value}"


def test_a_tiff_with_white_as_zero_is_inverted_at_8_bits_and_refused_at_16():
    assert np.array_equal(decode(tiff(255 - pattern(5, 7), t262=0)), pattern(5, 7))
    deep = pattern(5, 7).astype(np.uint16)
    assert refusal(tiff(deep, t262=0)) == (
        "unsupported",
        "the TIFF stores 16 bits with white as zero; write the images with black as zero",
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int16", "int32"])
def test_a_tiff_of_other_numbers_than_8_or_16_bits_is_refused(dtype):
    assert refusal(tiff(pattern(5, 7).astype(dtype))) == (
        "unsupported",
        f"{dtype} pixels; write the images with 8 or 16 bits a pixel",
    )


SEEDS = [*FILES.values(), file_of(".png", pattern(9, 8).astype(np.uint16) * 257), file_of(".jpg", organism(9, 8))]


@st.composite
def damaged_files(draw):
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        # Headers are where damage is dangerous, so half of it goes there.
        at = draw(st.integers(0, min(60, len(data) - 1)) | st.integers(0, len(data) - 1))
        with_bytes = draw(st.binary(max_size=5))
        data[at : at + draw(st.integers(0, 5))] = with_bytes
        if not data:
            break
    return bytes(data)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged_files() | st.binary(max_size=40))
def test_whatever_the_bytes_there_is_an_image_of_the_stated_size_or_one_refusal(data):
    found = attempt(data, InputSpec(max_image_pixels=100_000))
    if isinstance(found, BadImage):
        assert found.reason in {"empty", "not an image", "truncated", "corrupt", "too large", "unsupported"}
        assert "\n" not in str(found)
    else:
        header = inspect(data)
        assert (found.width, found.height) == (header.width, header.height)
        assert found.width * found.height <= 100_000
        assert found.pixels[16].shape == (16, 16)
        assert np.isfinite(found.features).all()
