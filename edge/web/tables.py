"""Tables as the pages have them: pushed sideways where they do not fit, and reached with the keyboard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge.htmlreport.markup import Child, Markup, element


def head_row(heads: Sequence[str], words: int = 1) -> Markup:
    """One row of heads; the columns from `words` on hold numbers."""
    return element(
        "tr",
        (element("th", head, scope="col", class_="number" if at >= words else None) for at, head in enumerate(heads)),
    )


def held(head: Child, rows: Iterable[Markup], name: str, id_: str | None = None) -> Markup:
    """The whole table; `name` is what a screen reader calls it."""
    table = element("table", element("thead", head), element("tbody", rows), id=id_)
    return element("div", table, class_="table", tabindex="0", role="region", aria_label=name)
