"""From files to outcomes, with the real tiny bundle."""

import dataclasses
import hashlib
import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from bundle.measures import measure
from bundle.vote import NO_LABEL
from edge.capture.capture import Capture, CaptureTimes
from edge.capture.timesettings import TimeSettings
from edge.daemon.classify import Reader, Ready, decide, read_whole
from edge.daemon.outcome import Again, Counted, Rejected, Unread
from edge.intake.files import Found, look
from edge.intake.settle import Candidate
from edge.shards.shards import Shards, members

from .images import FORMATS, KINDS, image_bytes, png_header_of

LIMIT = 1_000_000  # bytes


def put(folder: Path, name: str, data: bytes) -> Found:
    (folder / name).write_bytes(data)
    found = look(folder, name)
    assert found is not None
    return found


@pytest.fixture
def take(tmp_path, tiny):
    with Shards(tmp_path) as shards:
        reader = Reader(tmp_path, tiny, CaptureTimes(TimeSettings(), tmp_path), shards, LIMIT)

        def take(found: Found, settled: bool = True, known: tuple[bytes, ...] = ()):
            return reader.take_in(Candidate(found, settled), lambda sha256: sha256 in known)

        yield take


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@pytest.mark.parametrize("suffix", FORMATS)
def test_each_format_is_taken_in_and_classified(tmp_path, tiny, take, suffix):
    files = [put(tmp_path, f"{kind}{suffix}", image_bytes(kind, suffix=suffix)) for kind in KINDS]
    outcomes = decide(tiny, tiny.load(), [take(found) for found in files])
    assert [(type(outcome), outcome.found, outcome.label, outcome.votes, outcome.asked) for outcome in outcomes] == [
        (Counted, found, label, 2, 2) for label, found in enumerate(files)
    ]
    everybody = decide(tiny, tiny.load(), [take(found) for found in files], all_ballots=True)
    assert [(outcome.label, outcome.votes, outcome.asked) for outcome in everybody] == [(n, 3, 3) for n in range(3)]
    assert [(outcome.measures.width, outcome.measures.height) for outcome in outcomes] == [
        (100, 20),
        (24, 22),
        (80, 76),
    ]
    assert [outcome.capture for outcome in outcomes] == [Capture(found.mtime_ns, "mtime") for found in files]
    assert all(0.9 < outcome.score <= 1 for outcome in outcomes)


def test_the_outcomes_keep_the_order_of_the_batch(tmp_path, tiny, take):
    taken = [
        take(put(tmp_path, "1.png", b"")),
        take(put(tmp_path, "2.png", image_bytes("jelly"))),
        take(put(tmp_path, "3.png", image_bytes("jelly", 1)), known=(sha(image_bytes("jelly", 1)),)),
        take(put(tmp_path, "4.png", image_bytes("chain"))),
    ]
    outcomes = decide(tiny, tiny.load(), taken)
    assert [(type(outcome), outcome.found.path) for outcome in outcomes] == [
        (Rejected, "1.png"),
        (Counted, "2.png"),
        (Again, "3.png"),
        (Counted, "4.png"),
    ]


def test_a_batch_without_new_images_runs_no_model(tmp_path, tiny, take):
    rejected = take(put(tmp_path, "1.png", b""))
    assert decide(tiny, None, [rejected]) == [rejected]  # type: ignore[arg-type]
    assert decide(tiny, None, []) == []  # type: ignore[arg-type]


def test_members_that_disagree_leave_the_image_unclassified(tmp_path, tiny, take):
    """Aspect 0.35 is a chain to two members of three; the bundle wants two votes, so take one away."""
    strict = dataclasses.replace(
        tiny, manifest=dataclasses.replace(tiny.manifest, vote=dataclasses.replace(tiny.manifest.vote, min_votes=3))
    )
    data = cv2.imencode(".png", np.full((35, 100), 200, np.uint8))[1].tobytes()
    ready = take(put(tmp_path, "a.png", data))
    assert [(verdict.label, verdict.votes) for verdict in decide(tiny, tiny.load(), [ready], True)] == [(0, 2)]
    assert [(verdict.label, verdict.votes) for verdict in decide(strict, tiny.load(), [ready], True)] == [(NO_LABEL, 2)]


WHOLE = image_bytes("jelly")


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"", "empty", "the file has no bytes"),
        (WHOLE[: len(WHOLE) // 2], "truncated", "the PNG file ends before its image does"),
        (b"GIF89a not ours", "not an image", "not a JPEG, PNG, TIFF, BMP or PGM file"),
        (b"some text\n" * 20, "not an image", "not a JPEG, PNG, TIFF, BMP or PGM file"),
        (png_header_of(100_000, 100_000), "too large", "100000 x 100000 pixels, the limit is 64000000"),
    ],
)
def test_a_bad_image_is_rejected_with_a_reason_once_it_has_settled(tmp_path, take, data, reason, detail):
    found = put(tmp_path, "a.png", data)
    assert take(found, settled=False) is None
    rejected = take(found, settled=True)
    assert isinstance(rejected, Rejected)
    assert (rejected.found, rejected.sha256, rejected.reason) == (found, sha(data), reason)
    assert rejected.detail.startswith(detail)


def test_a_torn_jpeg_is_rejected_although_it_decodes(tmp_path, take):
    whole = image_bytes("jelly", suffix=".jpg")
    rejected = take(put(tmp_path, "a.jpg", whole[: len(whole) * 2 // 3]))
    assert (type(rejected), rejected.reason) == (Rejected, "truncated")


def test_a_wrong_extension_does_not_matter_as_long_as_it_is_an_image(tmp_path, take):
    assert isinstance(take(put(tmp_path, "a.jpg", image_bytes("jelly", suffix=".png"))), Ready)


def test_a_giant_file_is_rejected_without_being_read(tmp_path, take):
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(10**12)  # sparse: takes no space, but reading it would take all memory
    found = look(tmp_path, "a.png")
    assert take(found, settled=False) is None
    assert take(found) == Unread(found, "too large", "1000000000000 bytes, the limit is 1000000 (max_image_bytes)")


def test_known_content_is_not_decoded_again(tmp_path, take):
    found = put(tmp_path, "a.png", b"not an image at all")
    assert take(found, known=(sha(b"not an image at all"),)) == Again(
        found, sha(b"not an image at all"), Capture(found.mtime_ns, "mtime")
    )


def test_a_file_that_is_gone_is_left_to_the_next_scan(tmp_path, take):
    found = put(tmp_path, "a.png", WHOLE)
    (tmp_path / "a.png").unlink()
    assert take(found) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("settled", [False, True])
def test_a_file_that_may_not_be_read_is_an_error_for_the_caller_who_tries_again(tmp_path, take, settled):
    found = put(tmp_path, "a.png", WHOLE)
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(PermissionError):
        take(found, settled=settled)


@pytest.mark.parametrize("settled", [False, True])
def test_a_file_that_cannot_be_opened_is_an_error_for_the_caller_who_tries_again(tmp_path, take, settled):
    (tmp_path / "a.png").symlink_to("a.png")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        take(Found("a.png", 10, 5), settled=settled)


# Members of archives


def zipped(file: Path, **members: bytes) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.png", data)


def test_a_member_of_an_archive_is_taken_in_like_a_file(tmp_path, tiny, take):
    zipped(tmp_path / "tow.zip", a=WHOLE, b=b"no image")
    first, second = members(tmp_path, look(tmp_path, "tow.zip"))
    ready, rejected = take(first), take(second)
    assert isinstance(ready, Ready)
    assert (ready.found.path, ready.sha256) == ("tow.zip/a.png", sha(WHOLE))
    assert decide(tiny, tiny.load(), [ready])[0].label == KINDS.index("jelly")
    assert (rejected.found.path, rejected.reason) == ("tow.zip/b.png", "not an image")


def test_a_member_whose_bytes_cannot_be_had_is_unread_once_it_has_settled(tmp_path, take):
    zipped(tmp_path / "tow.zip", a=WHOLE)
    (found,) = members(tmp_path, look(tmp_path, "tow.zip"))
    data = bytearray((tmp_path / "tow.zip").read_bytes())
    data[data.index(WHOLE[:8]) + 20] ^= 0xFF  # the checksum in the archive no longer holds
    (tmp_path / "tow.zip").write_bytes(data)
    assert take(found, settled=False) is None
    unread = take(found)
    assert (type(unread), unread.found, unread.reason) == (Unread, found, "corrupt")


# What is measured, and when it was taken


def test_what_is_ready_bears_the_measures_of_its_grey_pixels_and_its_capture_time(tmp_path, tiny, take):
    found = put(tmp_path, "a.png", WHOLE)
    ready = take(found)
    assert ready.measures == measure(tiny.decode(WHOLE))
    assert ready.capture == Capture(found.mtime_ns, "mtime")


def test_a_name_that_tells_the_time_dates_counted_rejected_and_known_content_alike(tmp_path, tiny):
    settings = TimeSettings(name_pattern="%Y%m%dT%H%M%S_*")
    told = Capture(1_795_600_800 * 10**9, "name")
    with Shards(tmp_path) as shards:
        reader = Reader(tmp_path, tiny, CaptureTimes(settings, tmp_path), shards, LIMIT)
        for name, data, known in (("1", WHOLE, False), ("2", b"", False), ("3", WHOLE, True)):
            found = put(tmp_path, f"20261125T100000_{name}.png", data)
            taken = reader.take_in(Candidate(found, True), lambda _sha256, known=known: known)
            assert taken.capture == told


def test_a_file_that_changed_since_it_was_found_is_not_taken(tmp_path, take):
    found = put(tmp_path, "a.png", WHOLE)
    put(tmp_path, "a.png", image_bytes("chain"))
    assert take(found) is None
    again = put(tmp_path, "b.png", WHOLE)
    os.utime(tmp_path / "b.png", ns=(again.mtime_ns, again.mtime_ns + 1))
    assert take(again) is None, "same bytes, but written once more: it may be half of the next version"


def test_half_a_file_is_never_read(tmp_path):
    """Whatever the size that the scan saw, bytes come back only if it is the size before and after."""
    found = put(tmp_path, "a.png", WHOLE)
    assert read_whole(tmp_path / "a.png", found) == WHOLE
    for size in (0, 1, len(WHOLE) - 1, len(WHOLE) + 1):
        assert read_whole(tmp_path / "a.png", Found("a.png", size, found.mtime_ns)) is None


def test_a_pipe_in_the_place_of_a_file_blocks_nobody(tmp_path, take):
    os.mkfifo(tmp_path / "a.png")
    assert take(Found("a.png", 10, 5)) is None
