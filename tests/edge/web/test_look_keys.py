"""/look in a real browser: a person labels images by keys alone, and a key held down says nothing twice."""

import shutil
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from edge.corrections.history import read_labels
from edge.web.app import create_app
from edge.web.place import Place

from ..conftest import until
from .aboard import TOKEN

playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: pip install 'planktow[dev]'"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path: apt install chromium")


@pytest.fixture
def address(place: Place) -> Iterator[str]:
    """The page of `place`, served."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(place), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        until(lambda: server.started, "the server")
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    """Signed in, with a name, at the latest image."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        opened = browser.new_page(base_url=address)
        faults: list[str] = []
        opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.goto("/login")
        opened.fill("#token", TOKEN)
        opened.click("main form button")
        opened.goto("/look?order=latest")
        opened.fill("#person", "Ada")
        opened.press("#person", "Enter")
        at(opened, 9)
        yield opened
        browser.close()
    assert faults == []


def at(page: Any, image: int) -> None:
    """Waits until that image is in view, and loaded."""
    page.wait_for_selector(f'.picture img[src="/image/{image}"]')
    page.wait_for_load_state("load")


def test_images_are_labelled_by_keys_alone(page: Any, place: Place) -> None:
    page.keyboard.press("Enter")  # 9 is a jelly, as the machine says
    at(page, 8)
    page.keyboard.press("u")
    at(page, 7)
    page.keyboard.press("/")
    page.keyboard.type("SPH")
    assert page.locator("#all-labels li:visible").all_inner_texts() == ["sphere"]
    page.keyboard.press("Enter")
    at(page, 6)
    page.keyboard.press("z")
    at(page, 7)
    page.keyboard.press("p")
    at(page, 8)
    page.keyboard.press("n")
    at(page, 7)
    labels = sorted(read_labels(place.ledger).values(), key=lambda each: each.labelled_ns)
    assert sorted((each.label, each.machine_label, each.person) for each in labels) == [
        ("jelly", "jelly", "Ada"),
        ("unclassified", "sphere", "Ada"),
    ]


def test_a_name_of_ones_own_is_asked_about_once(page: Any, place: Place) -> None:
    page.keyboard.press("/")
    page.keyboard.type("lovely worm")
    assert "as one of your own" in page.inner_text("#found")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=A new label?")
    assert read_labels(place.ledger) == {}
    page.click("text=Use “lovely worm” as a new label")
    at(page, 8)
    assert [each.label for each in read_labels(place.ledger).values()] == ["lovely worm"]
    assert page.locator("#all-labels >> text=lovely worm").count() == 1


def test_a_key_that_is_held_down_labels_one_image(page: Any, place: Place) -> None:
    page.keyboard.down("c")
    for _ in range(5):
        page.keyboard.down("c")  # Playwright sends these as repeats of a held key
    at(page, 8)
    for _ in range(5):
        page.keyboard.down("c")
    page.keyboard.up("c")
    page.keyboard.press("u")
    at(page, 7)
    assert sorted(each.label for each in read_labels(place.ledger).values()) == ["jelly", "unclassified"]


def test_keys_that_are_switched_off_do_nothing(page: Any, place: Place) -> None:
    page.keyboard.press("?")
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.keyboard.press("c")
    page.click("text=Cannot tell")
    at(page, 8)
    assert [each.label for each in read_labels(place.ledger).values()] == ["unclassified"]
