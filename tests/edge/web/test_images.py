"""/image and /thumb: only files that the ledger names, only with the content that was counted."""

import os
import tarfile
from pathlib import Path
from sqlite3 import connect

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from edge.web.app import create_app
from edge.web.place import Place

from ..images import image_bytes
from .aboard import ADDRESS, NOW_NS, count, write


def pixels(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_an_image_is_sent_as_it_was_counted(client: TestClient, place: Place) -> None:
    answer = client.get("/image/1")
    assert answer.status_code == 200
    assert answer.content == (place.watch / "chain-0000.png").read_bytes()
    assert answer.headers["content-type"] == "image/png"


def test_a_large_image_has_a_small_grey_thumb(client: TestClient, place: Place) -> None:
    big = np.tile(np.arange(256, dtype=np.uint8), (400, 4))
    _, data = cv2.imencode(".tif", big)
    write(place.watch, "big.tif", data.tobytes())
    count(place.ledger, place.watch, ["big.tif"], NOW_NS)
    small, whole = client.get("/thumb/11"), client.get("/image/11")
    assert pixels(small.content).shape == (62, 160)
    assert small.headers["content-type"] == "image/jpeg"
    assert whole.headers["content-type"] == "image/png", "browsers do not show TIFF"
    assert np.array_equal(pixels(whole.content), big)


def test_a_member_of_an_archive_is_shown(client: TestClient, place: Place, tmp_path: Path) -> None:
    member = tmp_path / "m.png"
    member.write_bytes(image_bytes("jelly", seed=77))
    with tarfile.open(place.watch / "tow.tar", "w") as shard:
        shard.add(member, "deep/m.png")
    count(place.ledger, place.watch, ["tow.tar/deep/m.png"], NOW_NS)
    assert client.get("/image/11").content == member.read_bytes()


def test_a_name_that_is_no_utf8_is_found(client: TestClient, place: Place) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    write(place.watch, name, image_bytes("jelly", seed=78))
    count(place.ledger, place.watch, [name], NOW_NS)
    assert client.get("/image/11").content == image_bytes("jelly", seed=78)


def test_a_file_that_is_gone_or_has_other_content_is_replaced_by_words(client: TestClient, place: Place) -> None:
    (place.watch / "chain-0000.png").unlink()
    (place.watch / "sphere-0001.png").write_bytes(image_bytes("jelly", seed=500))
    for number in (1, 2):
        answer = client.get(f"/thumb/{number}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "image/svg+xml"
        assert "not in the folder" in answer.text


def test_an_image_that_retention_deleted_is_said_to_be(client: TestClient, place: Place) -> None:
    (place.watch / "chain-0000.png").unlink()
    writer = connect(place.ledger)
    with writer:
        writer.execute("UPDATE sighting SET gone_ns = 1 WHERE image_id = 1")
    writer.close()
    assert "no longer kept" in client.get("/thumb/1").text


def test_a_picture_that_was_made_is_kept_though_the_file_goes(client: TestClient, place: Place) -> None:
    first = client.get("/thumb/1").content
    (place.watch / "chain-0000.png").unlink()
    assert client.get("/thumb/1").content == first


@pytest.mark.parametrize(
    "address",
    [
        "/image/10",  # the file that is no image: it has no verdict
        "/image/0",
        "/image/12345",
        "/image/99999999999999999999999999",
        "/image/..%2f..%2fetc%2fpasswd",
        "/image/chain-0000.png",
        "/image//etc/passwd",
        "/thumb/1/../../ledger.sqlite",
        "/static/../place.py",
        "/static/..%2fplace.py",
        "/static/%2e%2e/place.py",
        "/static/style.css/../../place.py",
        "/static/",
        "/static/style.css%00.png",
    ],
)
def test_nothing_else_is_ever_sent(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert b"root:" not in answer.content
    assert b"SQLite" not in answer.content
    assert b"import" not in answer.content


def test_the_ledger_cannot_be_made_to_name_a_file_outside(client: TestClient, place: Place, tmp_path: Path) -> None:
    """Should a path with .. ever get into the ledger: what is there must still be the counted image."""
    (tmp_path / "secret.txt").write_text("secret")
    writer = connect(place.ledger)
    with writer:
        writer.execute("UPDATE sighting SET path = '../secret.txt', size = 6 WHERE image_id = 1")
    writer.close()
    answer = client.get("/image/1")
    assert answer.status_code == 404
    assert b"secret" not in answer.content


def test_without_a_folder_the_pictures_say_so(place: Place) -> None:
    bare = Place(place.ledger)
    with TestClient(create_app(bare), base_url=ADDRESS) as browser:
        assert "not known here" in browser.get("/thumb/1").text
