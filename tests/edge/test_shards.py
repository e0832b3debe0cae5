"""Tar and zip shards: what their members are called, that whole ones are read and broken ones do no harm."""

import bz2
import io
import lzma
import os
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundle.errors import BadImage
from edge.intake.files import Found, is_shard_name, look
from edge.shards.shardfile import BadShard
from edge.shards.shards import Shards, members

from .images import image_bytes

MOST = 1 << 20
NOW = 1_700_000_000
TAR_FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def tar_bytes(files, tar_format=tarfile.PAX_FORMAT) -> bytes:
    """A tar file of (name, data) or (name, data, mtime in seconds)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format) as tar:
        for name, data, *mtime in files:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), mtime[0] if mtime else NOW
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def zip_bytes(files, method=zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file of (name or ZipInfo, data)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as zipped:
        for name, data in files:
            zipped.writestr(name, data)
    return out.getvalue()


def put(root: Path, path: str, data: bytes) -> Found:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(data)
    found = look(root, path)
    assert found is not None
    return found


def walk(root: Path, shard: Found) -> tuple[list[Found], str]:
    """The members, and the reason for which the walk ended early, if any."""
    found = []
    try:
        for member in members(root, shard):
            found.append(member)
    except BadShard as bad:
        return found, bad.reason
    return found, ""


def contents(root: Path, found: list[Found]) -> list[bytes | str | None]:
    """What each member holds, or why it cannot be read."""

    def read(shards: Shards, member: Found) -> bytes | str | None:
        try:
            return shards.read(member, MOST)
        except BadImage as bad:
            return bad.reason

    with Shards(root) as shards:
        return [read(shards, member) for member in found]


def names(found: list[Found]) -> list[str]:
    return [member.path for member in found]


def open_shards() -> set[str]:
    """The names of the shards that this process has open."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return {name for link in links if is_shard_name(name := os.path.basename(os.path.realpath(link)))}  # noqa: PTH119


IMAGES = [(f"{number:04}.png", image_bytes("sphere", number)) for number in range(5)]
PATHS = {kind: [f"tow1/shard.{kind}/{name}" for name, _ in IMAGES] for kind in ("tar", "zip")}
DATA = [data for _, data in IMAGES]
MAKE = {"tar": tar_bytes, "zip": zip_bytes}


@pytest.mark.parametrize("name", ["a.tar", "a.ZIP", "tow 1/ä.Tar", "x/a.b.zip"])
def test_tar_and_zip_files_are_shards(name):
    assert is_shard_name(name)


@pytest.mark.parametrize(
    "name", [".a.tar", "a.tar.gz", "a.tgz", "a.tar.part", "tar", ".tar", "x/.y/a.zip", "a.tar/x.png"]
)
def test_hidden_packed_and_temporary_names_are_no_shards(name):
    assert not is_shard_name(name)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_every_image_of_a_shard_is_found_in_its_order_and_read_whole(tmp_path, kind):
    shard = put(tmp_path, f"tow1/shard.{kind}", MAKE[kind](IMAGES))
    found, fault = walk(tmp_path, shard)
    assert (names(found), fault) == (PATHS[kind], "")
    assert [member.size for member in found] == [len(data) for data in DATA]
    assert contents(tmp_path, found) == DATA
    assert contents(tmp_path, found[::-1]) == DATA[::-1]
    assert walk(tmp_path, shard) == (found, "")
    with Shards(tmp_path) as shards:
        assert [shards.look(member.path) for member in found] == found


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_only_images_in_the_open_are_taken(tmp_path, kind):
    passed_by = ["notes.txt", ".a.png", ".cache/b.png", "__MACOSX/._c.png", "inner.tar", "a.png.part"]
    files = [(name, DATA[0]) for name in [*passed_by, "d/e/f.TIF"]]
    assert names(walk(tmp_path, put(tmp_path, f"s.{kind}", MAKE[kind](files)))[0]) == [f"s.{kind}/d/e/f.TIF"]


@pytest.mark.parametrize("tar_format", TAR_FORMATS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.lists(
        st.tuples(
            st.lists(st.text("abcäß~ ", min_size=1, max_size=60), min_size=1, max_size=4),
            st.binary(max_size=1100),
            st.integers(0, 8**11 - 1),
        ),
        max_size=6,
        unique_by=lambda file: "/".join(file[0]),
    )
)
def test_what_tarfile_writes_is_read_alike(tmp_path, tar_format, files):
    written = [("/".join([*parts[:-1], parts[-1][:50]]) + ".png", data, mtime) for parts, data, mtime in files]
    if tar_format == "ustar":
        written = [file for file in written if len(file[0].encode()) <= 90]
    shard = put(tmp_path, "s.tar", tar_bytes(written, TAR_FORMATS[tar_format]))
    found, fault = walk(tmp_path, shard)
    with tarfile.open(tmp_path / "s.tar", "r:") as tar:
        oracle = [(member.size, member.mtime * 10**9, tar.extractfile(member).read()) for member in tar]
    assert fault == ""
    assert [(m.size, m.mtime_ns, d) for m, d in zip(found, contents(tmp_path, found), strict=True)] == oracle
    if len({name for name, _, _ in written}) == len(written):
        assert names(found) == [f"s.tar/{name}" for name, _, _ in written]


@pytest.mark.parametrize("tar_format", TAR_FORMATS)
def test_long_names_are_kept_in_every_tar_format(tmp_path, tar_format):
    long = "/".join(["a" * 60, "b" * 80, "c" * 60 + ".png"])
    shard = put(tmp_path, "s.tar", tar_bytes([(long, DATA[0]), ("x.png", DATA[1])], TAR_FORMATS[tar_format]))
    found, fault = walk(tmp_path, shard)
    assert (names(found), fault) == ([f"s.tar/{long}", "s.tar/x.png"], "")
    assert contents(tmp_path, found) == DATA[:2]


def test_a_pax_time_keeps_its_nanoseconds(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for mtime in ("1700000000.123456789", "1700000000.1", "-1.5", "1700000001", "12e3"):
            member = tarfile.TarInfo(f"{mtime}.png")
            member.mtime, member.pax_headers = 7, {"mtime": mtime}
            tar.addfile(member)
    found, _ = walk(tmp_path, put(tmp_path, "s.tar", out.getvalue()))
    wanted = [NOW * 10**9 + 123456789, NOW * 10**9 + 100_000_000, -1_500_000_000, (NOW + 1) * 10**9, 7 * 10**9]
    assert [member.mtime_ns for member in found] == wanted


@pytest.mark.parametrize("seconds", [-5, 2**60, 2**33])
def test_a_tar_time_that_cannot_be_meant_is_the_epoch(tmp_path, seconds):
    found, _ = walk(tmp_path, put(tmp_path, "s.tar", tar_bytes([("a.png", b"x", seconds)], tarfile.GNU_FORMAT)))
    assert [member.mtime_ns for member in found] == [seconds * 10**9 if seconds in (-5, 2**33) else 0]


def test_links_folders_and_devices_in_a_tar_are_passed_by(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number, kind in enumerate(
            [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
        ):
            member = tarfile.TarInfo(f"{number}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
        member = tarfile.TarInfo("last.png")
        member.size = len(DATA[0])
        tar.addfile(member, io.BytesIO(DATA[0]))
    found, fault = walk(tmp_path, put(tmp_path, "s.tar", out.getvalue()))
    assert (names(found), fault) == (["s.tar/last.png"], "")


def test_a_sparse_member_is_refused_and_the_next_one_read(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("GNUSparseFile.1/a.png")
        member.size = 512
        member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.realsize": "9999", "GNU.sparse.name": "a.png"}
        tar.addfile(member, io.BytesIO(bytes(512)))
        tar.addfile(tarfile.TarInfo("b.png"))
    found, fault = walk(tmp_path, put(tmp_path, "s.tar", out.getvalue()))
    assert [(member.path, member.size) for member in found] == [("s.tar/a.png", 9999), ("s.tar/b.png", 0)]
    assert (contents(tmp_path, found), fault) == (["unsupported", b""], "")


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_again_is_another_image(tmp_path, kind):
    files = [("a.png", b"1"), ("a~2.png", b"2"), ("a.png", b"3"), ("./a.png", b"4"), ("a~2.png", b"5")]
    found, _ = walk(tmp_path, put(tmp_path, f"s.{kind}", MAKE[kind](files)))
    assert names(found) == [f"s.{kind}/a{again}.png" for again in ("", "~2", "~3", "~4", "~2~2")]
    assert contents(tmp_path, found) == [b"1", b"2", b"3", b"4", b"5"]


HOSTILE = {
    "../../etc/x.png": "__/__/etc/x.png",
    "/etc/x.png": "etc/x.png",
    "a/../../x.png": "a/__/__/x.png",
    "a//./b.png": "a/b.png",
    "C:\\tow\\x.png": "C:/tow/x.png",
    "..\\x.png": "__/x.png",
    "a\nb\x1b[31m.png": "a_b_[31m.png",
    "a\u202egnp.png": "a_gnp.png",
    "\udcff\udce4.png": "\udcff\udce4.png",
    "ä ö.png": "ä ö.png",
}


@pytest.mark.parametrize("tar_format", ["gnu", "pax"])
def test_hostile_names_become_harmless_paths(tmp_path, tar_format):
    files = [(name, name.encode("utf-8", "surrogateescape")) for name in HOSTILE]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=TAR_FORMATS[tar_format], errors="surrogateescape") as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    found, fault = walk(tmp_path, put(tmp_path, "s.tar", out.getvalue()))
    assert (names(found), fault) == ([f"s.tar/{harmless}" for harmless in HOSTILE.values()], "")
    assert contents(tmp_path, found) == [data for _, data in files]


def test_hostile_names_in_a_zip_become_harmless_paths(tmp_path):
    plain = {name: harmless for name, harmless in HOSTILE.items() if name.isascii()}
    found, _ = walk(tmp_path, put(tmp_path, "s.zip", zip_bytes([(name, b"x") for name in plain])))
    assert names(found) == [f"s.zip/{harmless}" for harmless in plain.values()]
    assert contents(tmp_path, found) == [b"x"] * len(plain)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=90).filter(lambda name: name[:1] != b"\0"), max_size=8))
def test_any_name_comes_out_relative_printable_and_once(tmp_path, raw):
    tar = b"".join(header(name + b".png" if len(name) < 90 else name) for name in raw) + bytes(1024)
    found, fault = walk(tmp_path, put(tmp_path, "s.tar", tar))
    paths = names(found)
    assert fault == ""
    assert len(set(paths)) == len(paths)
    for path in paths:
        assert path.startswith("s.tar/")
        assert not {"", ".", ".."} & set(path.split("/"))
        assert "\\" not in path
        assert not any(ord(letter) < 32 for letter in path)
    assert None not in contents(tmp_path, found)


def test_a_member_is_known_by_the_text_that_the_ledger_has_of_its_name(tmp_path):
    put(tmp_path, "s.tar", tar_bytes([("a\udcff.png", DATA[0])], tarfile.GNU_FORMAT))
    stored = "s.tar/a\\xff.png"
    with Shards(tmp_path) as shards:
        found = shards.look(stored)
        assert found == Found(stored, len(DATA[0]), NOW * 10**9)
        assert shards.read(found, MOST) == DATA[0]


def header(name: bytes = b"a.png", size: bytes = b"0", kind: bytes = b"0", magic: bytes = b"ustar\x0000") -> bytes:
    """One tar header with a right checksum, whatever its fields say."""
    block = bytearray(512)
    block[0 : len(name)], block[124 : 124 + len(size)], block[136:138], block[156:157] = name, size, b"1 ", kind
    block[257:265], block[148:156] = magic, b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


NEGATIVE = b"\xff" * 10 + b"\xfe\x00"  # -512 in base 256


@pytest.mark.parametrize(
    ("tar", "reason"),
    [
        (b"", "truncated"),
        (header(), "truncated"),
        (header() + bytes(512), "truncated"),
        (header() + bytes(512) + header(), "corrupt"),
        (header() + b"not a header".ljust(512), "corrupt"),
        (header() + header(size=NEGATIVE), "corrupt"),
        (header() + header(size=NEGATIVE, kind=b"L"), "corrupt"),
        (header() + header(size=b"77777777777", kind=b"x"), "corrupt"),
        (header() + header(size=b"\x80" + b"\xff" * 11), "truncated"),
        (header() + header(kind=b"L") * 40 + bytes(1024), "corrupt"),
        (header() + header(kind=b"x", size=b"11") + b"99 path=a\n".ljust(512) + header(), "corrupt"),
        (header() + header(kind=b"x", size=b"11") + b"11 size=-5\n".ljust(512, b"\0") + header(), "corrupt"),
    ],
)
def test_a_damaged_tar_gives_what_is_whole_and_says_why_it_ends(tmp_path, tar, reason):
    whole = ["s.tar/a.png"] if tar else []
    found, fault = walk(tmp_path, put(tmp_path, "s.tar", tar))
    assert (names(found), fault) == (whole, reason)


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_torn_tar_gives_its_whole_members(tmp_path, kept):
    whole = tar_bytes(IMAGES)
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        torn_at = tar.getmembers()[kept].offset_data + 10
    found, fault = walk(tmp_path, put(tmp_path, "tow1/shard.tar", whole[:torn_at]))
    assert (names(found), fault) == (PATHS["tar"][:kept], "truncated")
    assert contents(tmp_path, found) == DATA[:kept]


def test_a_tar_that_grows_is_read_on_from_where_it_was(tmp_path):
    whole = tar_bytes(IMAGES)
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        starts = [member.offset for member in tar]
    with Shards(tmp_path) as shards, (tmp_path / "shard.tar").open("wb", buffering=0) as writer:
        for number, data in enumerate(DATA):
            writer.write(whole[writer.tell() : [*starts, len(whole)][number + 1]])
            found, fault = walk(tmp_path, look(tmp_path, "shard.tar"))
            assert len(found) == number + 1
            assert fault == ("" if number == 4 else "truncated")
            assert shards.look(f"shard.tar/{number:04}.png") == found[-1]
            assert [shards.read(member, MOST) for member in found] == DATA[: number + 1]
            assert data == shards.read(found[-1], MOST)


def test_a_member_appended_into_the_padding_of_a_tar_is_found(tmp_path):
    shard = put(tmp_path, "s.tar", tar_bytes(IMAGES[:1]))
    with Shards(tmp_path) as shards:
        assert shards.look("s.tar/0001.png") is None
        with tarfile.open(tmp_path / "s.tar", "a") as tar:
            member = tarfile.TarInfo("0001.png")
            member.size = len(DATA[1])
            tar.addfile(member, io.BytesIO(DATA[1]))
        os.utime(tmp_path / "s.tar", ns=(1, shard.mtime_ns + 1))
        assert look(tmp_path, "s.tar").size == shard.size
        assert shards.read(shards.look("s.tar/0001.png"), MOST) == DATA[1]


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_shard_written_anew_is_read_as_it_is_now(tmp_path, kind, in_place):
    path = f"s.{kind}"
    shard = put(tmp_path, path, MAKE[kind](IMAGES[:3]))
    found, _ = walk(tmp_path, shard)
    with Shards(tmp_path) as shards:
        assert shards.read(found[2], MOST) == DATA[2]
        if not in_place:
            (tmp_path / path).unlink()
        put(tmp_path, path, MAKE[kind]([("new.png", b"n" * 4000), *IMAGES[2:]]))
        os.utime(tmp_path / path, ns=(1, shard.mtime_ns + 1))
        assert shards.read(found[0], MOST) is None
        assert shards.look(found[1].path) is None
        again = shards.look(f"{path}/0002.png")
        assert shards.read(again, MOST) == DATA[2]
        (tmp_path / path).unlink()
        assert shards.look(f"{path}/0002.png") is None
        assert shards.read(again, MOST) is None


def test_a_member_of_another_size_or_time_is_not_the_one_that_was_found(tmp_path):
    found, _ = walk(tmp_path, put(tmp_path, "s.tar", tar_bytes(IMAGES)))
    with Shards(tmp_path) as shards:
        assert shards.read(Found(found[0].path, found[0].size + 1, found[0].mtime_ns), MOST) is None
        assert shards.read(Found(found[0].path, found[0].size, found[0].mtime_ns + 1), MOST) is None
        assert shards.read(found[0], MOST) == DATA[0]


def test_a_path_that_is_in_no_shard_is_none(tmp_path):
    put(tmp_path, "a.tar/b.png", DATA[0])  # a folder that is called so
    put(tmp_path, "a.tar/c.zip", zip_bytes(IMAGES))
    with Shards(tmp_path) as shards:
        assert shards.look("a.tar/b.png") is None
        assert shards.look("x.png") is None
        assert shards.look("gone.tar/x.png") is None
        assert shards.look("a.tar/c.zip/0003.png").size == len(DATA[3])


def test_a_member_over_the_limit_is_not_read(tmp_path):
    found, _ = walk(tmp_path, put(tmp_path, "s.zip", zip_bytes(IMAGES)))
    with Shards(tmp_path) as shards, pytest.raises(BadImage) as bad:
        shards.read(found[0], found[0].size - 1)
    assert bad.value.reason == "too large"


def test_no_shard_stays_open_when_idle_and_never_more_than_two(tmp_path):
    found = [walk(tmp_path, put(tmp_path, f"{name}.tar", tar_bytes(IMAGES)))[0] for name in "abc"]
    with Shards(tmp_path) as shards:
        for shard in found:
            assert shards.read(shard[1], MOST) == DATA[1]
        assert open_shards() == {"b.tar", "c.tar"}
        shards.close_idle()
        assert open_shards() == set()
        assert shards.read(found[2][4], MOST) == DATA[4]
    assert open_shards() == set()


def test_a_walk_that_is_given_up_closes_its_shard(tmp_path):
    started = members(tmp_path, put(tmp_path, "s.tar", tar_bytes(IMAGES)))
    next(started)
    assert open_shards() == {"s.tar"}
    started.close()
    assert open_shards() == set()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_of_zipfile_is_read(tmp_path, method):
    big = bytes(200_000) + os.urandom(300_000)  # more than one chunk
    found, fault = walk(tmp_path, put(tmp_path, "s.zip", zip_bytes([*IMAGES, ("big.png", big)], method)))
    assert (contents(tmp_path, found), fault) == ([*DATA, big], "")


def test_another_method_is_unsupported_and_the_next_member_is_read(tmp_path):
    zipped = zip_bytes(IMAGES).replace(b"PK\3\4\x14\0\0\0\x08\0", b"PK\3\4\x14\0\0\0\x09\0", 1)
    zipped = zipped.replace(b"PK\1\2\x14\3\x14\0\0\0\x08\0", b"PK\1\2\x14\3\x14\0\0\0\x09\0", 1)
    found, _ = walk(tmp_path, put(tmp_path, "s.zip", zipped))
    assert contents(tmp_path, found) == ["unsupported", *DATA[1:]]


def test_an_encrypted_member_is_told(tmp_path):
    zipped = zip_bytes(IMAGES).replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0", 1)
    found, _ = walk(tmp_path, put(tmp_path, "s.zip", zipped))
    assert contents(tmp_path, found) == ["encrypted", *DATA[1:]]


def test_a_changed_byte_in_a_zip_member_is_corrupt(tmp_path):
    zipped = bytearray(zip_bytes(IMAGES, zipfile.ZIP_STORED))
    zipped[100] ^= 1
    found, _ = walk(tmp_path, put(tmp_path, "s.zip", bytes(zipped)))
    assert contents(tmp_path, found) == ["corrupt", *DATA[1:]]


def test_zip_times_are_utc_and_the_extended_timestamp_wins(tmp_path):
    dos, extended, none = (
        zipfile.ZipInfo(f"{name}.png", (2023, 11, 14, 22, 13, 21)) for name in ("dos", "ext", "none")
    )
    extended.extra = struct.pack("<HHBi", 0x5455, 5, 1, NOW)
    zipped = zip_bytes([(dos, b"1"), (extended, b"2"), (none, b"3")])
    date = struct.pack("<H", (2023 - 1980) << 9 | 11 << 5 | 14)
    last = zipped.rfind(date)
    found, _ = walk(tmp_path, put(tmp_path, "s.zip", zipped[:last] + b"\0\0" + zipped[last + 2 :]))
    assert [member.mtime_ns for member in found] == [NOW * 10**9, NOW * 10**9, 0]


def test_a_streamed_zip_is_read_by_its_directory(tmp_path):
    class Pipe(io.RawIOBase):
        def __init__(self):
            self.data = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.data += data
            return len(data)

    out = Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in IMAGES:
            zipped.writestr(name, data)
    found, fault = walk(tmp_path, put(tmp_path, "s.zip", bytes(out.data)))
    assert (contents(tmp_path, found), fault) == (DATA, "")


def test_a_zip64_file_behind_a_program_and_before_a_comment_is_read(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        for name, data in IMAGES:
            with zipped.open(name, "w", force_zip64=True) as member:
                member.write(data)
        zipped.comment = b"tow 1"
    found, fault = walk(tmp_path, put(tmp_path, "s.zip", b"#!program\n" + out.getvalue()))
    assert (contents(tmp_path, found), fault) == (DATA, "")


def test_a_zip_with_a_large_directory_record_is_read(tmp_path):
    zipped = zip_bytes(IMAGES)
    end = zipped.rfind(b"PK\5\6")
    *_, length, offset, _ = struct.unpack("<4s4H2IH", zipped[end:])
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 5, 5, length, offset)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
    ending = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    put(tmp_path, "s.zip", zipped[:end] + end64 + locator + ending)
    with zipfile.ZipFile(tmp_path / "s.zip") as oracle:
        assert oracle.namelist() == [name for name, _ in IMAGES]
    found, fault = walk(tmp_path, look(tmp_path, "s.zip"))
    assert (contents(tmp_path, found), fault) == (DATA, "")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_without_its_directory_gives_its_whole_members_under_the_same_names(tmp_path, method):
    zipped = zip_bytes(IMAGES, method)
    found, _ = walk(tmp_path, put(tmp_path, "s.zip", zipped))
    torn, fault = walk(tmp_path, put(tmp_path, "s.zip", zipped[: zipped.find(b"PK\1\2")]))
    assert (torn, fault) == (found, "truncated")
    assert contents(tmp_path, torn) == DATA
    torn, fault = walk(tmp_path, put(tmp_path, "s.zip", zipped[: zipped.find(b"0003.png") + 100]))
    assert (torn, fault) == (found[:3], "truncated")
    assert contents(tmp_path, torn) == DATA[:3]


@pytest.mark.parametrize("zipped", [b"", b"PK", b"nothing of the kind", bytes(5000)])
def test_what_is_no_zip_file_is_truncated(tmp_path, zipped):
    assert walk(tmp_path, put(tmp_path, "s.zip", zipped)) == ([], "truncated")


def test_a_zip_without_members_has_no_fault(tmp_path):
    assert walk(tmp_path, put(tmp_path, "s.zip", zip_bytes([]))) == ([], "")


def test_a_part_of_a_split_zip_is_unsupported(tmp_path):
    zipped = bytearray(zip_bytes(IMAGES))
    zipped[-18] = 2
    assert walk(tmp_path, put(tmp_path, "s.zip", bytes(zipped))) == ([], "unsupported")


def test_a_damaged_directory_gives_the_members_before(tmp_path):
    zipped = bytearray(zip_bytes(IMAGES))
    third = [at for at in range(len(zipped)) if zipped[at : at + 4] == b"PK\1\2"][2]
    zipped[third] = 0
    found, fault = walk(tmp_path, put(tmp_path, "tow1/shard.zip", bytes(zipped)))
    assert (names(found), fault) == (PATHS["zip"][:2], "corrupt")
    assert contents(tmp_path, found) == DATA[:2]


def bomb(packed: bytes, method: int, size: int) -> bytes:
    """A zip file of one member that says it has `size` bytes, whatever `packed` inflates to."""
    name, crc = b"a.png", zlib.crc32(bytes(size))
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, method, 0, 33, crc, len(packed), size, len(name), 0) + name
    central = struct.pack(
        "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, method, 0, 33, crc, len(packed), size, len(name), 0, 0, 0, 0, 0, 0
    )
    at, length = len(local) + len(packed), len(central) + len(name)
    return local + packed + central + name + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, length, at, 0)


def zeros(method: int, size: int) -> bytes:
    """So many zeros as one member has them, by the method of this number."""
    if method == 8:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    elif method == 12:
        packer = bz2.BZ2Compressor()
    else:
        filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]
        packer = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=filters)
    # LZMA has its properties first; they ask for a dictionary of 1 GiB.
    head = b"\x09\x04\x05\x00\x5d" + struct.pack("<I", 1 << 30) if method == 14 else b""
    whole, rest = divmod(size, 1 << 20)
    return head + b"".join(
        [packer.compress(bytes(1 << 20)) for _ in range(whole)] + [packer.compress(bytes(rest)), packer.flush()]
    )


READ_ONE = """
import resource, sys
from pathlib import Path
from bundle.errors import BadImage
from edge.shards.shards import Shards

def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

with Shards(Path(sys.argv[1])) as shards:
    found, before = shards.look("s.zip/a.png"), peak_kib()
    try:
        print(len(shards.read(found, 1 << 30)))
    except BadImage as bad:
        print(bad.reason)
    print(peak_kib() - before)
"""


@pytest.mark.parametrize("method", [8, 12, 14])
def test_a_zip_bomb_costs_no_more_than_the_size_it_tells(tmp_path, method):
    put(tmp_path, "s.zip", bomb(zeros(method, 100 << 20), method, 1000))
    said = subprocess.run([sys.executable, "-c", READ_ONE, tmp_path], capture_output=True, text=True, check=True).stdout
    reason, grown_kib = said.split()
    assert reason == "corrupt"
    assert int(grown_kib) < 16 << 10


def test_a_member_that_tells_more_than_the_limit_is_not_inflated(tmp_path):
    found, _ = walk(tmp_path, put(tmp_path, "s.zip", bomb(zeros(8, 30 << 20), 8, 30 << 20)))
    assert contents(tmp_path, found) == ["too large"]


@pytest.mark.parametrize("method", [8, 12, 14])
def test_a_member_that_inflates_to_another_size_than_it_tells_is_corrupt(tmp_path, method):
    for told, read in ((5000, bytes(5000)), (5001, "corrupt"), (4999, "corrupt")):
        found, _ = walk(tmp_path, put(tmp_path, "s.zip", bomb(zeros(method, 5000), method, told)))
        assert contents(tmp_path, found) == [read]


SAMPLES = {
    "tar": [tar_bytes(IMAGES[:3], tar_format) for tar_format in TAR_FORMATS.values()]
    + [tar_bytes([("x" * 150 + ".png", b"1", NOW + 0.5), ("a.png", b"2")], tarfile.PAX_FORMAT)],
    "zip": [zip_bytes(IMAGES[:3], method) for method in (0, 8, 12, 14)],
}
MUTATIONS = st.lists(
    st.tuples(st.integers(0, 1 << 16), st.one_of(st.binary(min_size=1, max_size=12), st.sampled_from([NEGATIVE]))),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("kind", ["tar", "zip"])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sample=st.integers(0, 3), mutations=MUTATIONS, cut=st.none() | st.integers(0, 1 << 14), mend=st.booleans())
def test_whatever_a_shard_holds_only_the_told_errors_come_out(tmp_path, kind, sample, mutations, cut, mend):
    data = bytearray(SAMPLES[kind][sample])
    for at, change in mutations:
        at %= len(data)
        data[at : at + len(change)] = change[: len(data) - at]
    if mend and kind == "tar":  # else the checksum would catch nearly all
        for at in range(0, len(data) - 511, 512):
            if data[at + 257 : at + 262] == b"ustar":
                data[at + 148 : at + 156] = b" " * 8
                data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    shard = put(tmp_path, f"s.{kind}", bytes(data[:cut]))
    tracemalloc.start()
    found, _ = walk(tmp_path, shard)
    read = contents(tmp_path, found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert len(set(names(found))) == len(found)
    assert walk(tmp_path, shard)[0] == found
    for member, content in zip(found, read, strict=True):
        assert (
            content in ("corrupt", "encrypted", "unsupported", "truncated", "too large") or len(content) == member.size
        )


def test_the_index_of_a_large_shard_is_compact(tmp_path):
    count = 5_000
    block = bytearray(header(b"00000.png"))
    out = bytearray()
    for number in range(count):
        block[0:5], block[148:156] = b"%05d" % number, b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        out += block
    put(tmp_path, "s.tar", bytes(out + bytes(1024)))
    del out
    with Shards(tmp_path) as shards:
        tracemalloc.start()
        assert shards.look(f"s.tar/{count - 1:05}.png") is not None
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert held / count < 40  # bytes
