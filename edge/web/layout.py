"""The frame of every page: head, navigation, colours, keys. No inline script and no inline style stands in it."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from edge.htmlreport.markup import Child, Markup, element, joined
from edge.web.assets import address
from edge.web.security import may_write, writing_possible

# Address, words, key. A page may give any of its own links and buttons a key with data-key; those come first.
NAVIGATION = (
    ("/", "Now", "n"),
    ("/time", "Over time", "t"),
    ("/species", "Species", "s"),
    ("/look", "Look", "l"),
    ("/downloads", "Downloads", "d"),
    ("/health", "Health", "h"),
)
THEMES = (("auto", "Auto"), ("light", "Light"), ("dark", "Dark"), ("red", "Red"))  # auto: as the device has it
THEME_COOKIE = "planktow_theme"


def page(
    request: Request,
    title: str,
    *body: Child,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    refresh_seconds: int | None = None,
    status: int = 200,
) -> Response:
    """A whole page. `scripts` and `styles` are names in static/, beside page.js and style.css, which all pages have.

    refresh_seconds: how often a browser without JavaScript loads the page again.
    """
    theme = theme_of(request)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content=_SCHEMES[theme]),
        element("title", f"{title} · Planktow"),
        element("link", rel="icon", href=address("icon.svg"), type="image/svg+xml"),
        (element("link", rel="stylesheet", href=address(name)) for name in ("style.css", *styles)),
        element("noscript", element("meta", http_equiv="refresh", content=str(refresh_seconds)))
        if refresh_seconds
        else None,
        (element("script", src=address(name), defer=True) for name in ("page.js", *scripts)),
    )
    held = element(
        "body",
        element("a", "To the content", href="#main", class_="skip"),
        _header(request, theme),
        element("main", element("h1", title), *body, id="main", tabindex="-1"),
        _footer(request),
        _help(),
    )
    html = element("html", head, held, lang="en", data_theme=None if theme == "auto" else theme)
    return HTMLResponse("<!doctype html>\n" + html, status_code=status)


def theme_of(request: Request) -> str:
    """The colours that this browser has chosen."""
    told = request.cookies.get(THEME_COOKIE, "auto")
    return told if told in _SCHEMES else "auto"


_SCHEMES = {"auto": "light dark", "light": "light", "dark": "dark", "red": "dark"}


def _header(request: Request, theme: str) -> Markup:
    here = request.url.path
    links = (
        element(
            "li",
            element(
                "a",
                words,
                href=path,
                data_key=key,
                aria_current="page" if _within(here, path) else None,
            ),
        )
        for path, words, key in NAVIGATION
    )
    return element(
        "header",
        element("a", "Planktow", href="/", class_="brand"),
        element("nav", element("ul", links), aria_label="Pages"),
        _themes(here, theme),
        class_="top",
    )


def _within(here: str, path: str) -> bool:
    return here == path or (path != "/" and here.startswith(path + "/"))


def _themes(here: str, theme: str) -> Markup:
    """Buttons that work without JavaScript: a GET sets the cookie and comes back."""
    return element(
        "form",
        element("input", type="hidden", name="back", value=here),
        (
            element(
                "button",
                words,
                name="to",
                value=name,
                type="submit",
                aria_pressed="true" if name == theme else "false",
                class_=f"theme theme-{name}",
            )
            for name, words in THEMES
        ),
        action="/theme",
        method="get",
        class_="themes",
        role="group",
        aria_label="Colours",
    )


def _footer(request: Request) -> Markup:
    return element(
        "footer",
        element("p", _writing(request)),
        element("p", element("button", "Keys ", element("kbd", "?"), type="button", id="help-button", hidden=True)),
        class_="bottom",
    )


def _writing(request: Request) -> Markup:
    if not writing_possible(request):
        return joined("Read only.")
    if may_write(request):
        return joined("You may write. ", element("a", "Sign out", href="/login"))
    return joined("Reading. ", element("a", "Sign in to write", href="/login"))


def _help() -> Markup:
    """Filled with the page's keys by page.js."""
    return element(
        "dialog",
        element("h2", "Keys", id="help-title"),
        element("dl", id="help-keys", class_="keys"),
        element("p", element("label", element("input", type="checkbox", id="keys-on"), " Single keys act")),
        element("form", element("button", "Close", type="submit"), method="dialog"),
        id="help",
        aria_labelledby="help-title",
    )
