"""The page as a whole: one HTML text that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge.htmlreport import figures, front, gallery, origin, tables
from edge.htmlreport.markup import Markup, element
from edge.htmlreport.source import Source
from edge.htmlreport.towed import Towed

_STYLE = Path(__file__).with_name("style.css")


def page_html(source: Source, towed: Sequence[Towed] = ()) -> str:
    """The whole page."""
    sections = [
        ("accounting", "Accounts", front.accounting(source)),
        ("totals", "Totals", tables.totals(source)),
        ("time", "Over time", figures.when(source)),
        ("composition", "Composition", figures.composition(source)),
        ("where", "Where", figures.where(source)),
        ("tows", "Tows", tables.tows(source, towed)),
        ("certainty", "How sure", figures.certainty(source)),
        ("images", "Images", gallery.gallery(source)),
        ("quality", "Quality control", origin.quality(source)),
        ("provenance", "Provenance", origin.provenance(source)),
    ]
    there = [(name, words, made) for name, words, made in sections if made is not None]
    links = element("ul", (element("li", element("a", words, href=f"#{name}")) for name, words, _ in there))
    body = element(
        "body",
        element("a", "To the numbers", href="#totals", class_="skip"),
        front.head(source),
        element("nav", links, aria_label="Contents"),
        element("main", (made for _, _, made in there)),
    )
    # The policy of the page itself: whatever a name may hold, nothing is loaded and no script runs.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    head = element(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", f"Plankton counts, {source.origin.ledger}"),
        element("style", Markup(_STYLE.read_text("utf-8"))),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"
