"""/look: a person confirms and corrects labels in a browser without JavaScript."""

import html
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from edge.corrections.history import history, read_labels
from edge.corrections.labelsfile import labels_file, reading
from edge.counts import read_counts
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.web.app import create_app
from edge.web.place import Place

from ..images import KINDS
from .aboard import NOW_NS, TOKEN


def forms(text: str) -> list[tuple[str, dict[str, str]]]:
    """(action, hidden fields) of each form on a page."""
    found = []
    for form in re.findall(r"<form.*?</form>", text, re.S):
        opening = form[: form.index(">")]
        action = re.search(r'action="([^"]*)"', opening)
        fields = {}
        for field in re.findall(r'<input type="hidden"[^>]*>', form):
            name, value = (re.search(rf'{key}="([^"]*)"', field) for key in ("name", "value"))
            fields[html.unescape(name[1])] = html.unescape(value[1])
        found.append((action[1] if action else "", fields))
    return found


def fields_for(text: str, action: str) -> dict[str, str]:
    return next(fields for each, fields in forms(text) if each == action)


def shown(text: str) -> int | None:
    """The number of the image in view."""
    found = re.search(r'<img src="/image/(\d+)"', text)
    return int(found[1]) if found else None


def counts(place: Place) -> dict[str, int]:
    with closing(open_ledger_readonly(place.ledger)) as connection:
        return {label: images for label, images in read_counts(connection).totals.items() if images}


@pytest.fixture
def writer(client: TestClient) -> TestClient:
    """A browser that has signed in, and told its person's name."""
    assert client.post("/login", data={"token": TOKEN}, follow_redirects=False).status_code == 303
    client.post("/look/name", data={"person": "Ada Lovelace"})
    return client


def give(writer: TestClient, label: str, address: str = "/look", **more: str) -> str:
    """Gives the image in view a label; returns the page that follows."""
    fields = fields_for(writer.get(address).text, "/look/label")
    answer = writer.post("/look/label", data={**fields, "label": label, **more})
    assert answer.status_code == 200, answer.text
    return answer.text


# Looking


def test_the_least_certain_image_comes_first_with_its_verdict(client: TestClient, place: Place) -> None:
    with closing(open_ledger_readonly(place.ledger)) as connection:
        (first,) = connection.execute(
            "SELECT image_id FROM verdict ORDER BY votes, score, -image_id LIMIT 1"
        ).fetchone()
    text = client.get("/look").text
    assert shown(text) == first
    assert KINDS[(first - 1) % 3] in text
    assert "Of the 9 images counted last" in text


def test_a_choice_shows_only_such_images_and_stays_while_one_goes_on(writer: TestClient, place: Place) -> None:
    seen = []
    text = writer.get("/look?species=jelly&order=latest").text
    while (image := shown(text)) is not None:
        seen.append(image)
        text = writer.post("/look/label", data={**fields_for(text, "/look/label"), "label": "jelly"}).text
    assert seen == [9, 6, 3]
    assert "Nothing is left to look at in this choice" in text
    assert read_labels(place.ledger).keys() == {label.sha256 for label in read_labels(place.ledger).values()}
    assert len(read_labels(place.ledger)) == 3


def test_random_order_shows_each_image_once(writer: TestClient) -> None:
    seen = []
    text = writer.get("/look?order=random").text
    while (image := shown(text)) is not None:
        seen.append(image)
        text = writer.post("/look/label", data={**fields_for(text, "/look/label"), "label": "jelly"}).text
    assert sorted(seen) == list(range(1, 10))
    assert seen != sorted(seen)


def test_only_the_window_of_images_is_looked_through(client: TestClient) -> None:
    text = client.get("/look?before=4&order=latest").text
    assert shown(text) == 3
    assert "Of the 3 images before those" in text
    assert shown(client.get("/look?before=1").text) is None


@pytest.mark.parametrize("query", ["votes=x", "order=best", "image=-1", "before=1e9", f"image={10**30}", "votes=%00"])
def test_an_address_that_cannot_be_meant_is_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"/look?{query}")
    assert answer.status_code == 400
    assert "Begin anew" in answer.text


def test_an_image_that_is_not_there_shows_nothing(client: TestClient) -> None:
    assert shown(client.get("/look?image=4711").text) is None


# Saying


def test_a_correction_counts_in_the_place_of_the_verdict(writer: TestClient, place: Place) -> None:
    assert counts(place) == {"chain": 3, "sphere": 3, "jelly": 3}
    text = give(writer, "jelly", "/look?species=chain&order=latest")
    assert counts(place) == {"chain": 2, "sphere": 3, "jelly": 4}
    assert "You said <strong>jelly</strong> of image 7." in text
    assert shown(text) == 4
    assert "1 image looked at today" in text
    (said,) = read_labels(place.ledger).values()
    assert (said.label, said.person, said.machine_label, said.labelled_ns) == ("jelly", "Ada Lovelace", "chain", NOW_NS)
    assert "Ada Lovelace said <strong>jelly</strong>" in writer.get("/look?image=7&seen=1").text


def test_confirming_changes_no_count_but_is_known_as_verified(writer: TestClient, place: Place) -> None:
    text = writer.get("/look?order=latest").text
    verdict = re.search(r'<button name="label" value="([^"]*)" type="submit" class="primary confirm"', text)
    give(writer, verdict[1], "/look?order=latest")
    assert counts(place) == {"chain": 3, "sphere": 3, "jelly": 3}
    with closing(open_ledger_readonly(place.ledger)) as connection:
        assert read_counts(connection).verified == {"jelly": 1}


def test_cannot_tell_counts_as_unclassified(writer: TestClient, place: Place) -> None:
    give(writer, "unclassified", "/look?order=latest")
    assert counts(place) == {"chain": 3, "sphere": 3, "jelly": 2, "unclassified": 1}


def test_undo_takes_back_and_shows_the_image_again(writer: TestClient, place: Place) -> None:
    text = give(writer, "sphere", "/look?order=latest")
    answer = writer.post("/look/undo", data=fields_for(text, "/look/undo"))
    assert shown(answer.text) == 9
    assert counts(place) == {"chain": 3, "sphere": 3, "jelly": 3}
    assert read_labels(place.ledger) == {}
    with reading(labels_file(place.ledger)) as connection:
        assert [said.label for _, said in history(connection)] == ["sphere", None]  # nothing is forgotten
    again = writer.post("/look/undo", data=fields_for(text, "/look/undo"))
    assert again.status_code == 400
    assert "nothing to take back" in again.text


def test_undo_gives_back_what_another_person_had_said(writer: TestClient, place: Place) -> None:
    give(writer, "chain", "/look?order=latest")
    writer.post("/look/name", data={"person": "Grace"})
    text = give(writer, "sphere", "/look?image=9&seen=1&order=latest")
    writer.post("/look/undo", data=fields_for(text, "/look/undo"))
    (said,) = read_labels(place.ledger).values()
    assert (said.label, said.person) == ("chain", "Ada Lovelace")


def test_a_label_that_nobody_has_used_is_asked_about_first(writer: TestClient, place: Place) -> None:
    fields = fields_for(writer.get("/look?order=latest").text, "/look/label")
    asked = writer.post("/look/label", data={**fields, "label": " spheer "})
    assert 'value="sphere"' in asked.text
    assert read_labels(place.ledger) == {}
    writer.post("/look/label", data={**fields_for(asked.text, "/look/label"), "label": "spheer"})
    assert counts(place) == {"chain": 3, "sphere": 3, "jelly": 2, "spheer": 1}
    assert writer.post("/look/label", data={**fields, "label": "spheer"}).status_code == 200  # known from now on


@pytest.mark.parametrize("evil", ['<script>alert("x")</script>', '"><img src=x onerror=1>', "'; DROP TABLE label; --"])
def test_what_people_write_is_shown_as_text(writer: TestClient, place: Place, evil: str) -> None:
    writer.post("/look/name", data={"person": evil})
    text = give(writer, evil, "/look?order=latest", new="1")
    for page in (text, writer.get("/look?image=9&seen=1").text, writer.get("/look?species=" + evil).text):
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    assert counts(place)[evil] == 1
    assert [said.person for said in read_labels(place.ledger).values()] == [evil]


@pytest.mark.parametrize("label", ["", "  ", "a" * 101, "a\x07b", "a\u202eb"])
def test_a_label_that_cannot_be_kept_is_refused(writer: TestClient, place: Place, label: str) -> None:
    fields = fields_for(writer.get("/look").text, "/look/label")
    answer = writer.post("/look/label", data={**fields, "label": label, "new": "1"})
    assert answer.status_code == 400
    assert not labels_file(place.ledger).exists()


# Who may


@pytest.mark.parametrize("path", ["/look/label", "/look/undo", "/look/name"])
def test_without_the_token_nothing_is_written(client: TestClient, place: Place, path: str) -> None:
    text = client.get("/look").text
    assert "/look/label" not in text
    assert "Sign in" in text
    answer = client.post(path, data={"image": "1", "label": "jelly", "said": "1", "person": "Eve"})
    assert answer.status_code == 403
    assert not labels_file(place.ledger).exists()


def test_a_request_from_another_page_writes_nothing(writer: TestClient, place: Place) -> None:
    fields = fields_for(writer.get("/look").text, "/look/label")
    answer = writer.post(
        "/look/label", data={**fields, "label": "jelly"}, headers={"Origin": "http://elsewhere.example"}
    )
    assert answer.status_code == 403
    assert not labels_file(place.ledger).exists()


def test_without_a_name_nothing_is_written(client: TestClient, place: Place) -> None:
    client.post("/login", data={"token": TOKEN})
    text = client.get("/look").text
    assert "Who looks?" in text
    answer = client.post("/look/label", data={"image": "1", "sha256": "0" * 64, "label": "jelly"})
    assert answer.status_code == 400
    assert "who looks" in answer.text.lower()
    assert not labels_file(place.ledger).exists()


def test_a_number_that_stands_for_another_image_by_now_is_not_labelled(writer: TestClient, place: Place) -> None:
    fields = fields_for(writer.get("/look").text, "/look/label")
    answer = writer.post("/look/label", data={**fields, "sha256": "ab" * 32, "label": "jelly"})
    assert answer.status_code == 400
    assert "load the page anew" in answer.text
    assert not labels_file(place.ledger).exists()


def test_without_a_token_in_the_server_the_page_says_so(place: Place) -> None:
    with TestClient(create_app(replace(place, token=None)), base_url="http://127.0.0.1:8765") as reader:
        assert "started without a token" in reader.get("/look").text


def test_a_ledger_without_images_is_no_fault(place: Place, tmp_path: Path) -> None:
    from edge.ledger.ledger import open_ledger

    with open_ledger(tmp_path / "new.sqlite"):
        pass
    with TestClient(
        create_app(replace(place, ledger=tmp_path / "new.sqlite")), base_url="http://127.0.0.1:8765"
    ) as reader:
        assert "No image has been counted yet" in reader.get("/look").text


def test_the_page_works_without_the_classifier_at_hand(place: Place) -> None:
    elsewhere = replace(place, bundle=place.ledger.parent / "nowhere")
    with TestClient(create_app(elsewhere), base_url="http://127.0.0.1:8765") as reader:
        assert reader.get("/look").status_code == 200


def test_who_signs_in_from_here_comes_back_here_and_nowhere_else(client):
    assert 'href="/login?back=/look"' in client.get("/look").text
    assert '<input type="hidden" name="back" value="/look">' in client.get("/login?back=/look").text
    assert 'name="back" value="/"' in client.get("/login?back=//evil.example/").text
    refused = client.post("/login", data={"token": "wrong", "back": "/look"})
    assert refused.status_code == 403
    assert 'name="back" value="/look"' in refused.text
    answer = client.post("/login", data={"token": TOKEN, "back": "/look"}, follow_redirects=False)
    assert answer.headers["location"] == "/look"
