"""WCAG 2.2 AA, computed from the style sheet itself: text 4.5:1, controls and drawings 3:1, in all three themes."""

import re
from pathlib import Path

import pytest

import edge.web

STYLE = (Path(edge.web.__file__).parent / "static" / "style.css").read_text()
BLOCKS = {
    "light": r":root \{",
    "dark": r':root\[data-theme="dark"\] \{',
    "device in the dark": r":root:not\(\[data-theme\]\) \{",
    "red": r':root\[data-theme="red"\] \{',
}
TEXT = ("ink", "muted", "accent", "warn", "bad", "good")
GRAPHIC = ("control", "focus")


def colours(theme: str) -> dict[str, str]:
    block = re.search(BLOCKS[theme] + r"(.*?)\}", STYLE, re.DOTALL)
    assert block is not None
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6});", block[1]))


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, definitions)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_ratio_is_that_of_the_standard() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", BLOCKS)
@pytest.mark.parametrize("ground", ["page", "panel"])
@pytest.mark.parametrize("name", TEXT)
def test_text_is_read(theme: str, ground: str, name: str) -> None:
    found = colours(theme)
    assert contrast(found[name], found[ground]) >= 4.5


@pytest.mark.parametrize("theme", BLOCKS)
def test_words_on_the_accent_are_read(theme: str) -> None:
    found = colours(theme)
    assert contrast(found["on-accent"], found["accent"]) >= 4.5
    assert contrast(found["page"], found["bad"]) >= 4.5, "the banner of a lost connection"


@pytest.mark.parametrize("theme", BLOCKS)
@pytest.mark.parametrize("name", GRAPHIC)
def test_borders_of_controls_and_the_focus_are_seen(theme: str, name: str) -> None:
    found = colours(theme)
    assert contrast(found[name], found["page"]) >= 3
    assert contrast(found[name], found["panel"]) >= 3


@pytest.mark.parametrize("theme", BLOCKS)
def test_bars_are_seen(theme: str) -> None:
    found = colours(theme)
    assert contrast(found["bar"], found["panel"]) >= 3


def test_the_red_theme_lights_nothing_but_red() -> None:
    for name, colour in colours("red").items():
        assert colour[3:] == "0000", name


def test_every_theme_has_every_colour() -> None:
    assert colours("light").keys() == colours("dark").keys() == colours("red").keys()
    assert colours("dark") == colours("device in the dark")
