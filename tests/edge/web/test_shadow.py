"""/shadow: agreement, counts side by side, pairs of labels and the images about which two bundles disagree."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from edge.ledger.ledger import open_ledger
from edge.web.app import create_app
from edge.web.place import Place

from ..second import MIXED, second_bundle


@pytest.fixture
def shadowed(place: Place, tmp_path: Path) -> Place:
    """A bundle to which chains are jellies and the reverse saw images 1 to 6: two of each kind."""
    second = second_bundle(tmp_path / "second", labels=MIXED)
    with open_ledger(place.ledger) as ledger:
        ledger.shadow_bundle(second, 0)
        ledger.connection.execute(
            "INSERT INTO shadow_verdict SELECT image_id, 1, label, 2, 0.25, 3 FROM verdict WHERE image_id <= 6"
        )
    return place


def test_without_a_shadow_the_page_says_how_to_have_one(client: TestClient) -> None:
    answer = client.get("/shadow")
    assert answer.status_code == 200
    assert "No image was seen by a second bundle" in answer.text


def test_counts_stand_side_by_side_with_the_pairs_and_the_images(shadowed: Place) -> None:
    with TestClient(create_app(shadowed), base_url="http://127.0.0.1:8765") as client:
        text = client.get("/shadow").text
        assert "It saw 6 of 9 images counted" in text
        assert "<strong>33.3\u202f%</strong>" in text
        assert "chain → jelly" in text
        assert [number for number in range(1, 10) if f'src="/thumb/{number}"' in text] == [1, 3, 4, 6]
        one = client.get("/shadow?counted=jelly&other=chain").text
        assert [number for number in range(1, 10) if f'src="/thumb/{number}"' in one] == [3, 6]
        assert client.get("/thumb/3").status_code == 200


def test_a_stretch_is_kept_in_the_links_and_a_wrong_one_refused(shadowed: Place) -> None:
    with TestClient(create_app(shadowed), base_url="http://127.0.0.1:8765") as client:
        text = client.get("/shadow?from=2026-11-25T09:00:00").text
        assert "from=2026-11-25T09%3A00%3A00Z&amp;counted=chain&amp;other=jelly#images" in text
        assert client.get("/shadow?from=yesterday").status_code == 400
        assert "No image was seen" in client.get("/shadow?to=2020-01-01").text


@pytest.mark.parametrize("query", ["counted=<script>alert(1)</script>", "other=%22%3E<img src=x>", "shadow='--"])
def test_words_of_a_request_come_back_as_text(shadowed: Place, query: str) -> None:
    with TestClient(create_app(shadowed), base_url="http://127.0.0.1:8765") as client:
        answer = client.get(f"/shadow?{query}")
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
