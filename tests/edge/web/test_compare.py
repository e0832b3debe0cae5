"""Tows compared: counts and concentrations of each, and how unlike they are."""

import pytest
from starlette.testclient import TestClient

from edge.web.app import create_app
from edge.web.compare import bray_curtis
from edge.web.dots import Dot, dots
from edge.web.place import Place

from .reading_page import Read
from .sailed import sailed


@pytest.fixture
def aboard(tmp_path, tiny) -> Place:
    return sailed(tmp_path, tiny)


def shown(place: Place, address: str, status: int = 200) -> Read:
    answer = TestClient(create_app(place), base_url="http://127.0.0.1:8765").get(address)
    assert answer.status_code == status, answer.text
    return Read(answer.text)


def test_each_tow_has_its_images_water_and_composition(aboard):
    page = shown(aboard, "/time/tows?by=label&of=chain&of=sphere")
    tows = {row[0]: row for row in page.rows if row[0] in ("tow1", "tow2") and len(row) == 6}
    # Two litres a second for the time between the first and the last image of each.
    assert {name: row[2] for name, row in tows.items()} == {"tow1": "14", "tow2": "14"}
    assert float(tows["tow1"][4]) == pytest.approx(float(tows["tow1"][3]) * 60 * 2 / 1000, rel=0.02)
    assert {name: row[5] for name, row in tows.items()} == {"tow1": "Diatom chains", "tow2": "Bubble"}
    held = {row[0]: row for row in page.rows if row[0] in ("tow1", "tow2") and len(row) == 7}
    assert float(held["tow1"][1]) > 0.5, "chains per m³"
    assert held["tow2"][4] != "0", "bubbles"
    assert page.html.count("<svg") == 2


def test_counts_stand_where_they_are_asked_for(aboard):
    page = shown(aboard, "/time/tows?by=label&of=chain&unit=images")
    assert page.chosen["unit"] == "images"
    assert "Corrected images with 95 % intervals" in page.text


def test_tows_of_nothing_in_common_are_one_apart_and_like_ones_none(aboard):
    assert bray_curtis({"a": 3.0, "b": 1.0}, {"a": 30.0, "b": 10.0}) == 0
    assert bray_curtis({"a": 3.0}, {"b": 1.0}) == 1
    assert bray_curtis({"a": 1.0, "b": 1.0}, {"a": 1.0}) == pytest.approx(0.5)
    assert bray_curtis({"a": 0.0}, {"a": 1.0}) is None
    page = shown(aboard, "/time/tows")
    pair = [row for row in page.rows if row[0] in ("tow1", "tow2") and len(row) == 3]
    assert [row[1:] for row in pair] == [["", pair[0][2]], [pair[0][2], ""]], "the same in both directions"
    assert 0.5 < float(pair[0][2]) <= 1, "chains in the one, bubbles in the other"


def test_without_tows_the_page_says_what_it_needs(place, aboard, tmp_path):
    assert "No survey.toml was given" in shown(place, "/time/tows", 400).text
    (tmp_path / "survey.toml").write_text("[volume]\nlitres_per_second = 1.0\n")
    assert "ins of tows need tows" in shown(aboard, "/time/tows", 400).text


def test_one_wide_interval_does_not_flatten_the_others():
    drawn = dots([Dot("a", 1.0, 0.5, 100.0), Dot("b", 2.0, 1.5, 2.5), Dot("c", None)], "Jelly", "per m³")
    assert drawn.count("<circle") == 2
    assert ">6<" in drawn, "the scale ends at three times the highest value"
    assert ">100<" not in drawn
    assert "Jelly, per m³: a 1; b 2; c –" in drawn
