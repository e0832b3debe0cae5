"""The page /drift: the newest days against the bundle's validation images, in plain words."""

from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from bundle.folder import open_bundle
from edge.ledger.ledger import open_ledger
from edge.web.app import create_app

from ..drifting import DAY, count_images, drawn, mixed, with_reference
from ..filled import TEN
from ..test_drift import blurred

IMAGES = 150


@pytest.fixture
def validated(tmp_path):
    return with_reference(tmp_path / "bundles" / "validated", mixed(2 * IMAGES))


@pytest.fixture
def aboard(place, validated, tmp_path):
    """The same bundle's digest with a reference, and a ledger without an image."""
    return replace(place, bundle=validated, ledger=tmp_path / "drift.sqlite")


def browser(place):
    return TestClient(create_app(place), base_url="http://127.0.0.1:8765")


def shown(place) -> str:
    with browser(place) as client:
        answer = client.get("/drift")
    assert answer.status_code == 200
    return answer.text


def test_the_newest_day_is_said_to_be_as_in_validation(aboard, validated):
    count_images(aboard.ledger, open_bundle(validated), drawn(mixed(IMAGES), seed=2))
    text = shown(aboard)
    assert "2026-11-25 UTC" in text
    assert "Verdict for verdict, the images look as those that the classifier was validated on." in text
    assert "WARNING" not in text


def test_a_blurred_day_is_a_warning_with_what_to_think_of_and_the_day_before_is_none(aboard, validated):
    count_images(aboard.ledger, open_bundle(validated), drawn(mixed(IMAGES), seed=2))
    count_images(aboard.ledger, open_bundle(validated), drawn(mixed(IMAGES), seed=3), TEN + DAY, alter=blurred)
    text = shown(aboard)
    assert "2026-11-26 UTC" in text
    assert "focus, dirt or growth on the window" in text
    assert text.count("WARNING: other looks") == 2  # of the day, and in its row
    assert text.count("as in validation") == 1


def test_days_before_the_last_seven_are_not_shown(aboard, validated):
    bundle = open_bundle(validated)
    for day in range(9):
        count_images(aboard.ledger, bundle, drawn(mixed(6), seed=day), TEN + day * DAY)
    text = shown(aboard)
    assert "2026-11-27" in text
    assert "2026-11-26" not in text


def test_a_ledger_of_a_bundle_without_a_reference_says_so_without_a_path(client, place):
    text = client.get("/drift").text
    assert "holds no reference.json, so there is nothing to hold the sea against" in text
    assert str(place.bundle.parent) not in text


def test_a_ledger_of_a_bundle_that_is_not_at_hand_says_so(place):
    text = shown(replace(place, bundle=None))
    assert "is not at hand, so nothing can be said of what it counted" in text


def test_a_ledger_without_a_count_says_so(aboard):
    with open_ledger(aboard.ledger):
        pass
    assert "Nothing has been counted yet." in shown(aboard)


def test_a_reference_of_another_bundle_is_said_and_no_fault_of_the_page(aboard, validated, tmp_path):
    count_images(aboard.ledger, open_bundle(validated), drawn(mixed(6)))
    file = validated / "reference.json"
    file.write_text(file.read_text().replace(open_bundle(validated).digest, "ab" * 32))
    with browser(aboard) as client:
        answer = client.get("/drift")
    assert answer.status_code == 400
    assert "of the bundle abababababab" in answer.text
    assert str(tmp_path) not in answer.text


def test_it_is_computed_once_for_all_who_ask_within_a_minute(aboard, validated):
    bundle = open_bundle(validated)
    count_images(aboard.ledger, bundle, drawn(mixed(IMAGES), seed=2))
    with browser(aboard) as client:
        first = client.get("/drift").text
        count_images(aboard.ledger, bundle, drawn(mixed(IMAGES), seed=3), TEN + DAY, alter=blurred)
        assert client.get("/drift").text == first
    assert shown(aboard) != first
