"""Archives put into the folder, with the real daemon: each member one image, once, whatever happens to the archive."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from .conftest import Ship, until
from .images import image_bytes, kind_of

MTIME = 1_700_000_000
NEVER = 86400.0


def tar_bytes(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), MTIME
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 11, 23, 12, 0, 0)), content)
    return data.getvalue()


PACK = {"tar": tar_bytes, "zip": zip_bytes}


def images(numbers: range) -> dict[str, bytes]:
    return {f"{number:04d}.png": image_bytes(kind_of(number), number) for number in numbers}


def expected(shard: str, numbers: range) -> dict[str, str]:
    return {f"{shard}/{number:04d}.png": kind_of(number) for number in numbers}


def sound(ship: Ship) -> None:
    assert ship.rows("SELECT * FROM accounting") == ship.rows("SELECT * FROM audit")
    found = ship.accounting()
    assert found["seen"] == found["counted"] + found["rejected"] + found["waiting"] + found["dropped"]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_each_member_counts_once_beside_loose_files_of_the_same_content(ship: Ship, kind: str):
    loose = images(range(5))
    for name, data in loose.items():
        (ship.watch / name).write_bytes(data)
    ship.start(rescan_seconds=NEVER)
    ship.await_accounting(counted=5)
    (ship.watch / f"tow.{kind}").write_bytes(PACK[kind](images(range(30)) | {"notes.txt": b"none of ours"}))
    ship.await_accounting(counted=30, duplicates=5)
    assert ship.verdicts() == {name: kind_of(int(name[:4])) for name in loose} | expected(f"tow.{kind}", range(30))
    sound(ship)


def test_a_growing_tar_is_read_as_it_grows_and_nothing_counts_twice(ship: Ship):
    ship.start(settle_seconds=0.3)
    file = ship.watch / "tow.tar"
    for grown in (10, 20, 30):
        with tarfile.open(file, "a") as archive:
            for name, content in images(range(grown - 10, grown)).items():
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(content), MTIME
                archive.addfile(info, io.BytesIO(content))
        ship.await_accounting(counted=grown)
    assert ship.verdicts() == expected("tow.tar", range(30))
    assert ship.rejects() == {}
    until(lambda: ship.rows("SELECT path, members FROM shard") == [("tow.tar", 30)])
    sound(ship)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_torn_archive_is_told_and_forgotten_when_it_is_whole(ship: Ship, kind: str):
    ship.start(settle_seconds=0.3)
    data, file = PACK[kind](images(range(20))), ship.watch / f"tow.{kind}"
    file.write_bytes(data[: len(data) // 2])
    until(lambda: ship.rejects().keys() >= {f"tow.{kind}"} and ship.accounting()["waiting"] == 0)
    sound(ship)
    with file.open("ab") as rest:
        rest.write(data[len(data) // 2 :])
    ship.await_accounting(counted=20)
    assert (ship.verdicts(), ship.rejects()) == (expected(f"tow.{kind}", range(20)), {})
    sound(ship)


def test_killed_in_the_middle_of_500_members_each_counts_once_and_the_archive_is_not_listed_again(ship: Ship):
    (ship.watch / "tow.tar").write_bytes(tar_bytes(images(range(500))))
    ship.start(settle_seconds=0.05, batch_images=8)
    for share in (1, 150, 300):
        until(lambda share=share: ship.accounting()["counted"] >= share)
        ship.kill()
        sound(ship)
        ship.start(settle_seconds=0.05, batch_images=8)
    ship.await_accounting(counted=500)
    assert ship.verdicts() == expected("tow.tar", range(500))
    (listed,) = ship.rows("SELECT members, listed_ns FROM shard")
    assert listed[0] == 500
    assert ship.stop() == 0
    ship.start()
    (ship.watch / "next.png").write_bytes(image_bytes("jelly", 1000))
    ship.await_accounting(counted=501)
    assert ship.rows("SELECT members, listed_ns FROM shard") == [listed]
    sound(ship)


def test_a_corrupt_member_is_rejected_with_its_reason_and_the_others_count(ship: Ship):
    members = images(range(6)) | {"torn.png": image_bytes("jelly", 9)[:200], "text.jpg": b"no image", "empty.png": b""}
    (ship.watch / "tow.tar").write_bytes(tar_bytes(members))
    data = bytearray(zip_bytes({"bad.png": image_bytes("chain", 20), **images(range(21, 24))}))
    at = data.index(b"bad.png") + 60
    data[at : at + 20] = bytes(20)  # inside the deflated bytes of the first member
    (ship.watch / "tow.zip").write_bytes(data)
    ship.start()
    ship.await_accounting(counted=9, rejected=4)
    assert ship.rejects() == {
        "tow.tar/torn.png": "truncated",
        "tow.tar/text.jpg": "not an image",
        "tow.tar/empty.png": "empty",
        "tow.zip/bad.png": "corrupt",
    }
    sound(ship)


def test_a_renamed_archive_has_members_of_new_paths_that_are_duplicates(ship: Ship):
    ship.start()
    file = ship.watch / "tow.tar"
    file.write_bytes(tar_bytes(images(range(20))))
    ship.await_accounting(counted=20)
    file.rename(ship.watch / "renamed.tar")
    ship.await_accounting(counted=20, duplicates=20)
    assert ship.verdicts() == expected("tow.tar", range(20)) | expected("renamed.tar", range(20))
    sound(ship)


def test_an_archive_renamed_while_its_members_wait_loses_none_and_counts_each_once(ship: Ship):
    """All members have one mtime and many one size, as a camera's tar has them."""
    raw = {f"{number:04d}.pgm": image_bytes("sphere", number, ".pgm") for number in range(300)}
    assert len({len(data) for data in raw.values()}) == 1
    (ship.watch / "tow.tar").write_bytes(tar_bytes(raw))
    ship.start(settle_seconds=0.5, batch_images=4)
    until(lambda: ship.accounting()["counted"] > 0)
    (ship.watch / "tow.tar").rename(ship.watch / "renamed.tar")
    until(lambda: ship.accounting()["counted"] == 300 and ship.accounting()["waiting"] == 0)
    assert {Path(path).name for path in ship.verdicts()} == set(raw)
    assert ship.rejects() == {}
    sound(ship)


def test_an_archive_deleted_while_its_members_wait_leaves_each_of_them_as_vanished(ship: Ship):
    raw = {f"{number:04d}.pgm": image_bytes("sphere", number, ".pgm") for number in range(300)}
    (ship.watch / "tow.tar").write_bytes(tar_bytes(raw))
    ship.start(settle_seconds=0.5, batch_images=4)
    until(lambda: ship.accounting()["counted"] > 0)
    (ship.watch / "tow.tar").unlink()
    until(lambda: ship.accounting()["seen"] == 300 and ship.accounting()["waiting"] == 0)
    found = ship.accounting()
    assert found["counted"] + found["rejected"] == 300
    assert set(ship.rejects().values()) == {"vanished"}
    sound(ship)
