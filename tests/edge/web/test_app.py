"""The frame: what every page has, and what it never has."""

import gzip
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import edge.web
from edge.web.layout import NAVIGATION


def test_a_page_that_is_not_there_is_said_in_the_frame(client: TestClient) -> None:
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert "<nav" in answer.text


def test_the_colours_are_chosen_without_javascript_and_stay(client: TestClient) -> None:
    client.get("/theme?to=red&back=/login")
    answer = client.get("/login")
    assert '<html lang="en" data-theme="red">' in answer.text


@pytest.mark.parametrize("address", ["/", "/health", "/login", "/nowhere"])
def test_no_script_and_no_style_stands_in_a_page(client: TestClient, address: str) -> None:
    text = client.get(address).text
    assert not re.search(r"<style|style=|<script(?![^>]*\bsrc=)|\son\w+=|javascript:", text)


@pytest.mark.parametrize("address", ["/", "/health"])
def test_nothing_is_fetched_from_elsewhere(client: TestClient, address: str) -> None:
    text = client.get(address).text
    assert all(found.startswith("/") for found in re.findall(r'(?:src|href|action)="([^"#]+)"', text))


def test_the_style_sheets_and_scripts_fetch_nothing_from_elsewhere() -> None:
    for file in (Path(edge.web.__file__).parent / "static").iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(\s*['\"]?//", text), file.name


def test_the_page_that_is_open_is_marked_in_the_navigation(client: TestClient) -> None:
    text = client.get("/health").text
    assert re.findall(r'<a href="([^"]+)"[^>]*aria-current="page"', text) == ["/health"]
    for path, words, key in NAVIGATION:
        assert re.search(rf'<a href="{path}" data-key="{key}"[^>]*>{words}</a>', text)


def test_every_page_begins_with_a_way_past_the_navigation_and_has_one_heading(client: TestClient) -> None:
    for address in ("/", "/health", "/login", "/nowhere"):
        text = client.get(address).text
        assert re.search(r'<body><a href="#main" class="skip">', text)
        assert text.count("<h1>") == 1


def test_without_javascript_the_first_page_comes_anew(client: TestClient) -> None:
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in client.get("/").text


def test_a_file_of_the_page_is_kept_as_long_as_its_content_stays(client: TestClient) -> None:
    address = re.search(r'href="(/static/style\.css\?v=\w+)"', client.get("/").text)[1]
    answer = client.get(address)
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    plain = client.get("/static/style.css", headers={"Accept-Encoding": "identity"})
    assert plain.headers["cache-control"] == "no-cache"
    assert plain.text == answer.text
    again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_plotly_comes_from_its_wheel(client: TestClient) -> None:
    answer = client.get("/static/plotly.min.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert b"plotly" in answer.content[:500].lower()
    assert len(gzip.compress(answer.content)) > 1_000_000


@pytest.mark.parametrize("theme", ["light", "dark", "red"])
def test_a_theme_is_known_before_anything_is_drawn(client: TestClient, theme: str) -> None:
    client.cookies.set("planktow_theme", theme)
    text = client.get("/").text
    assert f'<html lang="en" data-theme="{theme}">' in text
    assert f'<meta name="color-scheme" content="{"light" if theme == "light" else "dark"}">' in text


def test_a_cookie_that_is_no_theme_is_as_none(client: TestClient) -> None:
    client.cookies.set("planktow_theme", "x onload=alert(1)")
    assert '<html lang="en">' in client.get("/").text
