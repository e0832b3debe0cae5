"""HTML and SVG as text, escaped by construction: a plain string set into an element is text, never markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

Value = str | int | float | bool | None


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | Iterable["Child"] | None
_VOID = frozenset(("br", "hr", "img", "input", "link", "meta"))


def element(name: str, /, *children: Child, **attributes: Value) -> Markup:
    """<name attributes>children</name>.

    A child that is no Markup is escaped; None is left out; others than strings are taken apart. Attributes that are None
    or False are left out. `class_` is class, `aria_label` is aria-label.
    """
    told = "".join(
        f' {_attribute(key)}="{escape(_spelled(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{told}>")
    return Markup(f"<{name}{told}>{joined(*children)}</{name}>")


def joined(*children: Child) -> Markup:
    """The children one after another, without an element around them."""
    return Markup("".join(_texts(children)))


def _texts(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, str):
            yield escape(child)
        elif child is not None:
            yield from _texts(child)


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _spelled(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return "" if value is True else str(value)
