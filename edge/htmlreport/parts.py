"""The blocks that the page is built from."""

from __future__ import annotations

from collections.abc import Sequence

from edge.htmlreport.markup import Child, Markup, element, joined


def section(name: str, title: str, *children: Child) -> Markup:
    """A part of the page under its own heading, which the contents list links to."""
    return element(
        "section", element("h2", title, id=f"{name}-title"), *children, id=name, aria_labelledby=f"{name}-title"
    )


def figure(drawing: Markup, title: Child, caption: Child = None, wide: bool = False) -> Markup:
    """A plot with its title above and what it shows below. A wide one is pushed sideways on a narrow screen."""
    return element(
        "figure",
        element("h3", title),
        element("div", drawing, class_="drawing", tabindex="0" if wide else None, role="group" if wide else None,
                aria_label="plot; scroll sideways on a narrow screen" if wide else None),
        element("figcaption", caption) if caption else None,
        class_="wide" if wide else None,
    )  # fmt: skip


def table(caption: Child, heads: Sequence[Child], body: Child, numbers_from: int = 1, name: str = "table") -> Markup:
    """A table that is pushed sideways where it does not fit; columns from `numbers_from` on hold numbers."""
    held = element(
        "div",
        element(
            "table",
            element("thead", element("tr", (
                element("th", head, scope="col", class_="number" if at >= numbers_from else None)
                for at, head in enumerate(heads)
            ))),
            body,
        ),
        class_="table", tabindex="0", role="region", aria_label=name,
    )  # fmt: skip
    return joined(element("p", caption, class_="caption") if caption else None, held)


def row(head: Child, *cells: Child, class_: str | None = None) -> Markup:
    """One row: its head, and cells with numbers."""
    return element(
        "tr",
        element("th", head, scope="row"),
        (element("td", cell, class_="number") for cell in cells),
        class_=class_,
    )


def note(*children: Child) -> Markup:
    """Something that a reader must know before the numbers are used."""
    return element("p", *children, class_="note", role="note")


def facts(pairs: Sequence[tuple[Child, Child]]) -> Markup:
    """Names and what they are."""
    return element("dl", ((element("dt", name), element("dd", what)) for name, what in pairs), class_="facts")
