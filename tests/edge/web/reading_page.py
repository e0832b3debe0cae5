"""A page as a reader without JavaScript has it: its text, tables, links and fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "br", "hr", "img", "link", "input"}


@dataclass
class Read(HTMLParser):
    """Parsed at once; every element is closed where it must be."""

    html: str
    rows: list[list[str]] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)  # words -> address
    images: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)  # values of boxes that are checked
    chosen: dict[str, str] = field(default_factory=dict)  # name of a list -> value
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)
        self._open: list[tuple[str, dict[str, str]]] = []
        self._words: list[str] = []
        self.feed(self.html)
        self.close()
        assert self._open == [], "all elements are closed"

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        told = {name: value or "" for name, value in attrs}
        assert "style" not in told, "the page's policy forbids it"
        assert not any(name.startswith("on") for name in told), "the page's policy forbids it"
        if tag == "img":
            self.images.append(told["src"])
            assert told.get("alt"), "an image without words"
        if tag == "input" and "checked" in told:
            self.checked.append(told["value"])
        if tag == "option" and "selected" in told:
            select = next(its for name, its in reversed(self._open) if name == "select")
            self.chosen[select["name"]] = told["value"]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in _VOID:
            self._open.append((tag, told))
        if tag == "a":
            self._words = []

    def handle_endtag(self, tag):
        name, told = self._open.pop()
        assert name == tag
        if tag == "a":
            self.links[" ".join("".join(self._words).split())] = told.get("href", "")

    def handle_data(self, data):
        self.words.append(data)
        self._words.append(data)
        if any(name in ("td", "th") for name, _ in self._open):
            self.rows[-1][-1] += data
