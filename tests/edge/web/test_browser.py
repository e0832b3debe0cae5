"""The page in a real browser, from a real `planktow-edge serve`, while a real daemon counts images as they come.

Skipped where there is no Chromium or no Playwright. Screenshots go to the folder $PLANKTOW_SCREENSHOTS, if it is set.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge.bins import SECOND_NS, utc_text
from edge.corrections.labelsfile import labels_file
from edge.corrections.labelsfile import reading as labels_reading

from ..conftest import Ship, until
from ..images import image_bytes, kind_of
from .sailed import CONFUSION, named_bundle

playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: pip install 'planktow[dev]'"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path: apt install chromium")

PAGES = {
    "/": "now",
    "/time?bin=10m": "time",
    "/time?by=label&of=chain&of=jelly&bin=10m&unit=per_m3": "time-species",
    "/time/places": "places",
    "/time/tows": "tows",
    "/species": "species",
    "/species/chain": "species-chain",
    "/look": "look",
    "/downloads": "downloads",
    "/health": "health",
    "/drift": "drift",
    "/shadow": "shadow",
    "/login": "login",
    "/nowhere": "nowhere",
}
COLOURED = ("/", "/time?bin=10m", "/time/places", "/time/tows", "/species/chain", "/look", "/downloads")
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
IMAGES = 36
SECONDS_TO_SEE = 5.0  # the claim: an image is seen within so many seconds of its arrival
START = int(time.time()) // 3600 * 3600 - 7 * 3600  # s: of the first image; those that come in the test follow soon
SURVEY = """
[volume]
litres_per_second = 2.0
max_gap_seconds = 900
[environment]
files = ["track.csv"]
max_gap_seconds = 900
[tows]
file = "tows.csv"
"""


@dataclass
class Shipboard:
    """The daemon and the page, each a process of its own."""

    ship: Ship
    base: str  # address of the page
    put: int = 0

    def take_image(self) -> None:
        """As a camera writes it: opened, written, closed."""
        self.put += 1
        data = image_bytes(kind_of(self.put), seed=1000 + self.put)
        (self.ship.watch / f"live-{self.put}.png").write_bytes(data)


@dataclass
class Watched:
    """A page, and all that went wrong in it."""

    page: Any
    faults: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('POLICY', e.violatedDirective, e.blockedURI))"
        )
        self.page.on(
            "console", lambda said: self.faults.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.addresses.append(request.url))


@pytest.fixture(scope="module")
def aboard(tmp_path_factory, tiny) -> Iterator[Shipboard]:
    base = tmp_path_factory.mktemp("ship")
    bundle = named_bundle(base, tiny, CONFUSION)
    with closing(Ship(base)) as ship:
        for number in range(IMAGES):
            file = ship.watch / f"{kind_of(number)}-{number:03d}.png"
            file.write_bytes(image_bytes(kind_of(number), seed=number))
            os.utime(file, (START + 600 * number, START + 600 * number))
        _write_survey(base)
        # The settings of a new installation, but for the workers: the claim is made for them.
        ship.start(bundle.path, settle_seconds=2.0, rescan_seconds=30.0, publish_seconds=5.0)
        ship.await_accounting(counted=IMAGES)
        with _serving(ship, base) as address:
            yield Shipboard(ship, address)


def _write_survey(base: Path) -> None:
    (base / "survey.toml").write_text(SURVEY)
    ends = [utc_text((START + 3600 * hours) * SECOND_NS) for hours in (0, 3, 24)]
    (base / "tows.csv").write_text(f"name,start,end\nnorth,{ends[0]},{ends[1]}\nsouth,{ends[1]},{ends[2]}\n")
    rows = (f"{START + 60 * n},{54 + n / 1000:.4f},{8 + n / 2000:.4f},{5 + n % 7 * 5}" for n in range(400))
    (base / "track.csv").write_text("time,latitude,longitude,depth\n" + "\n".join(rows) + "\n")


@contextmanager
def _serving(ship: Ship, base: Path) -> Iterator[str]:
    log = base / "serve.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge", "serve", "--config", str(ship.config), "--survey", str(base / "survey.toml"),
             "--port", "0"],
            stdout=said, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        found = lambda: re.search(r"The page is at (http://\S+)", log.read_text())  # noqa: E731
        until(lambda: found() or process.poll() is not None, "the page's address")
        assert found(), log.read_text()
        yield found()[1].rstrip("/")
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # Debian's Chromium looks for updates and safe-browsing lists unless it is told not to; the pages themselves do not.
        opened = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield opened
        opened.close()


@contextmanager
def looking(browser: Any, aboard: Shipboard, size: dict[str, int] = WIDE, **settings: Any) -> Iterator[Watched]:
    context = browser.new_context(viewport=size, base_url=aboard.base, **settings)
    context.set_default_timeout(20_000)
    try:
        yield Watched(context.new_page())
    finally:
        context.close()


def go(watched: Watched, address: str) -> None:
    """Loads a page, and waits until its chart is drawn where it has one."""
    watched.page.goto(address, wait_until="domcontentloaded")
    if watched.page.locator("#chart").count():
        watched.page.wait_for_selector("#chart[data-drawn]")
    becomes(watched, "[...document.images].filter((each) => each.loading !== 'lazy').every((each) => each.complete)")


def becomes(watched: Watched, expression: str) -> None:
    """Waits until it is true. Playwright's own way evaluates text within the page, which the policy forbids."""
    until(lambda: watched.page.evaluate(expression), expression, 20)


def shoot(watched: Watched, name: str) -> None:
    folder = os.environ.get("PLANKTOW_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        watched.page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def theme_of(watched: Watched) -> str:
    return str(watched.page.evaluate("document.documentElement.dataset.theme || 'auto'"))


def test_an_image_is_seen_within_five_seconds_of_its_arrival(browser, aboard, capsys):
    with looking(browser, aboard) as watched:
        go(watched, "/")
        counted = watched.page.locator("#tiles .tile", has=watched.page.get_by_text("Counted in all")).locator(
            ".figure"
        )
        for _ in range(3):
            before = counted.inner_text()
            begun = time.monotonic()
            aboard.take_image()
            playwright.expect(counted).not_to_have_text(before, timeout=SECONDS_TO_SEE * 1000)
            taken = time.monotonic() - begun
            assert int(counted.inner_text()) == int(before) + 1
            with capsys.disabled():
                print(f"\nan image was seen {taken:.2f} s after it was written", end=" ")
        assert watched.page.locator("#latest img").first.evaluate("each => each.complete && each.naturalWidth > 0")
        assert watched.faults == []
        shoot(watched, "now-1280-live")


@pytest.mark.parametrize("theme", ["light", "dark", "red"])
def test_every_page_is_whole_in_every_colour_and_asks_nobody_else(browser, aboard, theme):
    with looking(browser, aboard) as watched:
        every = theme == "light" or "PLANKTOW_SCREENSHOTS" in os.environ  # else what has colours of its own
        for address, name in PAGES.items():
            if not (every or address in COLOURED):
                continue
            watched.page.context.add_cookies([{"name": "planktow_theme", "value": theme, "url": aboard.base}])
            go(watched, address)
            assert theme_of(watched) == theme
            assert watched.page.locator("h1").count() == 1, address
            shoot(watched, f"{name}-1280-{theme}")
        foreign = [url for url in watched.addresses if not url.startswith((aboard.base + "/", "data:", "blob:"))]
        assert foreign == [], "no request leaves the machine"
        expected = [said for said in watched.faults if "404 (Not Found)" in said]
        assert [said for said in watched.faults if said not in expected] == []
        assert len(expected) <= 1, "the page that is not there, and nothing else"


def test_a_phone_shows_every_page_without_scrolling_sideways(browser, aboard):
    with looking(browser, aboard, PHONE, has_touch=True, is_mobile=True, color_scheme="dark") as watched:
        for address, name in PAGES.items():
            go(watched, address)
            wide = watched.page.evaluate(
                "[document.documentElement.scrollWidth, document.documentElement.clientWidth, innerWidth]"
            )
            assert wide[0] <= wide[1], f"{address} is {wide[0]} pixels wide on a screen of {wide[1]}"
            assert wide[2] == PHONE["width"], f"{address} makes the phone zoom out to {wide[2]}"
            shoot(watched, f"{name}-390-dark")


def test_the_colours_change_at_once_and_the_chart_with_them(browser, aboard):
    lines = "[...document.querySelectorAll('#chart path.js-line')].map((each) => getComputedStyle(each).stroke)"
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    with looking(browser, aboard, color_scheme="light") as watched:
        go(watched, "/time?bin=10m")
        seen = set()
        for theme in ("Light", "Dark", "Red"):
            watched.page.locator(f"button.theme-{theme.lower()}").click()
            assert theme_of(watched) == theme.lower()
            accent = watched.page.evaluate(
                "getComputedStyle(document.documentElement).getPropertyValue('--accent').trim()"
            )
            wanted = "rgb({}, {}, {})".format(*(int(accent[at : at + 2], 16) for at in (1, 3, 5)))
            becomes(watched, f"{lines}.includes('{wanted}')")
            seen.add(watched.page.evaluate(ground))
        assert len(seen) == 3
        go(watched, "/species")
        assert theme_of(watched) == "red", "it stays on the next page"
        assert watched.faults == []


def test_the_page_follows_the_colours_of_the_device_until_it_is_told(browser, aboard):
    with looking(browser, aboard, color_scheme="dark") as watched:
        go(watched, "/time?bin=10m")
        dark = watched.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        watched.page.emulate_media(color_scheme="light")
        assert watched.page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != dark


def test_everything_can_be_reached_with_the_keyboard(browser, aboard):
    with looking(browser, aboard) as watched:
        page = watched.page
        for address in ("/", "/time?bin=10m", "/species", "/downloads", "/health"):
            go(watched, address)
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.className") == "skip", "first the way to the content"
            reached = 1
            for _ in range(12):
                page.keyboard.press("Tab")
                outline = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
                assert outline >= 2, f"the focus is not seen on {page.evaluate('document.activeElement.outerHTML')}"
                reached += 1
            hidden = page.evaluate(
                "[...document.querySelectorAll('main a[href], main button, main input, main select, main summary')]"
                ".filter((each) => each.tabIndex < 0).map((each) => each.outerHTML)"
            )
            assert hidden == []


def test_single_keys_lead_to_the_pages_and_are_listed(browser, aboard):
    with looking(browser, aboard) as watched:
        page = watched.page
        go(watched, "/")
        for key, path in (("t", "/time"), ("s", "/species"), ("d", "/downloads"), ("h", "/health"), ("n", "/")):
            page.keyboard.press(key)
            page.wait_for_url(f"**{path}")
            page.wait_for_load_state("domcontentloaded")
        page.keyboard.press("?")
        page.wait_for_selector("dialog#help[open]")
        assert page.locator("#help-keys dt").count() >= 6
        shoot(watched, "keys-1280")
        page.keyboard.press("Escape")
        assert page.locator("dialog#help[open]").count() == 0


def test_the_chart_zooms_and_offers_finer_bins(browser, aboard):
    with looking(browser, aboard) as watched:
        page = watched.page
        go(watched, "/time?bin=1h&by=label&of=chain&of=sphere")
        assert page.locator("#chart").get_attribute("data-drawn") == "2"
        assert page.locator("#finer").is_hidden()
        box = page.locator("#chart .nsewdrag").first.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 42, steps=5)
        page.mouse.up()
        page.wait_for_selector("#finer:not([hidden])")
        page.locator("#finer").click()
        page.wait_for_url("**from=*to=*")
        page.wait_for_selector("#chart[data-drawn]")
        assert "of=chain&of=sphere" in page.url, "the choice of species stays"
        assert watched.faults == []


def test_the_list_of_species_is_searched_as_one_types(browser, aboard):
    with looking(browser, aboard) as watched:
        go(watched, "/species")
        watched.page.keyboard.press("f")
        watched.page.keyboard.type("bub")
        assert watched.page.locator("#species tbody tr:visible").all_inner_texts()[0].startswith("Bubble")
        assert watched.page.locator("#species tbody tr:visible").count() == 1


def test_without_javascript_every_number_stands_in_tables(browser, aboard):
    with looking(browser, aboard, java_script_enabled=False) as watched:
        page = watched.page
        page.goto("/time?bin=1h&by=label&of=chain")
        assert page.locator("#numbers tbody tr").first.is_visible()
        assert page.locator("#chart-said").inner_text() == ""
        page.select_option("#asks-bin", "3h")
        page.locator("form.asks button").click()
        page.wait_for_url("**bin=3h**")
        page.goto("/")
        assert "Counted in all" in page.locator("main").inner_text()
        page.locator("button.theme-red").click()
        assert page.locator("html").get_attribute("data-theme") == "red"


def test_a_report_is_downloaded(browser, aboard, tmp_path):
    with looking(browser, aboard) as watched:
        go(watched, "/downloads")
        with watched.page.expect_download() as coming:
            watched.page.locator("button[formaction='/downloads/report.csv']").click()
        assert coming.value.suggested_filename.startswith("planktow-ledger-report-")
        coming.value.save_as(tmp_path / "report.csv")
        assert (tmp_path / "report.csv").read_text().startswith("# accounting: seen ")
        assert watched.faults == []


def test_a_person_signs_in_and_labels_with_the_keyboard_alone(browser, aboard):
    token = aboard.ship.ledger.with_name("page.token").read_text().strip()
    with looking(browser, aboard) as watched:
        page = watched.page

        def press(key: str) -> None:
            with page.expect_navigation(wait_until="domcontentloaded"):
                page.keyboard.press(key)

        go(watched, "/login")
        page.focus("#token")
        page.keyboard.type(token)
        press("Enter")
        go(watched, "/look?order=latest")
        page.focus("#person")
        page.keyboard.type("A. Sailor")
        press("Enter")
        shoot(watched, "look-1280-signed-in")
        first = page.locator("button.confirm").get_attribute("value")
        press("c")
        press("u")
        assert _said(aboard) == [(first,), ("unclassified",)]
        assert watched.faults == []


def _said(aboard: Shipboard) -> list[tuple[str]]:
    with labels_reading(labels_file(aboard.ship.ledger)) as connection:
        until(lambda: connection.execute("SELECT COUNT(*) FROM label").fetchone()[0] == 2, "two labels")
        return connection.execute("SELECT label FROM label ORDER BY id").fetchall()
