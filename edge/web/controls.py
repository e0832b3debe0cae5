"""The form of the pages over time, and the links that lead from one of them to another. All of it works without JavaScript."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edge.bins import parse_width, width_text
from edge.htmlreport.markup import Child, Markup, element, joined
from edge.htmlreport.spell import plural, whole
from edge.reported import Reported
from edge.web.asked import NAMES_MOST, WIDTHS, Asked, By, local_text
from edge.web.lines import title_of
from edge.web.reading import Read

PAGES = (("/time", "Over time"), ("/time/places", "Depth and track"), ("/time/tows", "Tows compared"))
_WORDS = {"m": "minute", "h": "hour", "d": "day"}


def pages(here: str, asked: Asked) -> Markup:
    """The three pages over time; the stretch and the choice go along."""
    links = (
        element("li", element("a", words, href=path + asked.query(), aria_current="page" if path == here else None))
        for path, words in PAGES
    )
    return element("nav", element("ul", links), class_="sub", aria_label="Ways to look at the counts")


def controls(
    action: str,
    asked: Asked,
    read: Read,
    by: By,
    names: Iterable[str],
    every: Mapping[str, tuple[str, ...]],
    bins: bool = True,
    units: bool = True,
) -> Markup:
    """names: those that are shown; every: what there is to choose, by `members`."""
    reported = read.reported
    return element(
        "form",
        element(
            "div",
            _choice("Show", "by", (("group", "Groups"), ("label", "Species")), by),
            _choice("As", "unit", _units(read), asked.unit or "images") if units else None,
            _choice("Bins of", "bin", _widths(read), "auto" if asked.width_ns is None else width_text(asked.width_ns))
            if bins
            else None,
            _instant("From (UTC)", "from", asked.from_ns),
            _instant("To (UTC)", "to", asked.to_ns),
            _classifier(read, asked),
            element("button", "Show", type="submit", class_="primary"),
            class_="row",
        ),
        element("input", type="hidden", name="was", value=by),
        _names(reported, by, tuple(names), every),
        action=action,
        method="get",
        class_="panel asks",
    )


def width_words(text: str) -> str:
    """10m -> 10 minutes."""
    number, unit = int(text[:-1]), _WORDS[text[-1]]
    return plural(number, unit)


def _units(read: Read) -> tuple[tuple[str, str], ...]:
    known = any(read.reported.per_m3(label) for label in read.reported.ranked)
    return (("images", "Counts"), ("per_m3", "Per m³")) if known else (("images", "Counts"),)


def _widths(read: Read) -> tuple[tuple[str, str], ...]:
    usual = width_text(read.plan.width_ns)
    fitting = width_words(usual) if read.plan.width_ns in map(parse_width, WIDTHS) else usual
    return (("auto", f"what fits ({fitting})"), *((text, width_words(text)) for text in WIDTHS))


def _choice(words: str, name: str, options: Iterable[tuple[str, str]], chosen: str) -> Markup:
    field = f"asks-{name}"
    return element(
        "p",
        element("label", words, for_=field),
        element(
            "select",
            (element("option", said, value=value, selected=value == chosen) for value, said in options),
            id=field,
            name=name,
        ),
    )


def _instant(words: str, name: str, instant_ns: int | None) -> Markup:
    field = f"asks-{name}"
    told = local_text(instant_ns).removesuffix(":00")
    return element(
        "p",
        element("label", words, for_=field),
        element(
            "input", type="datetime-local", step=1 if len(told) > 16 else None, id=field, name=name, value=told or None
        ),
    )


def _classifier(read: Read, asked: Asked) -> Markup | None:
    if len(read.classifiers) < 2 and asked.classifier is None:
        return None
    options = [("", "all, uncorrected"), *((each.digest[:12], str(each)) for each in read.classifiers)]
    return _choice("Counted by", "classifier", options, (asked.classifier or "")[:12])


def _names(reported: Reported, by: By, names: tuple[str, ...], every: Mapping[str, tuple[str, ...]]) -> Child:
    if not every:
        return None
    what = "groups" if by == "group" else "species"
    totals = reported.counts.totals
    boxes = (
        element(
            "li",
            element(
                "label",
                element("input", type="checkbox", name="of", value=name, checked=name in names),
                " ",
                title_of(reported, name, by),
                " ",
                element("span", whole(sum(totals[label] for label in labels)), class_="quiet"),
            ),
        )
        for name, labels in every.items()
    )
    return element(
        "details",
        element("summary", f"Which {what} ({len(names)} of {len(every)} shown, at most {NAMES_MOST})", data_key="w"),
        joined(
            element(
                "p",
                element("label", f"Find {what} ", for_="asks-find"),
                element("input", type="search", id="asks-find", autocomplete="off"),
                hidden=True,
                class_="find",
            ),
            element("ul", boxes, class_="names"),
        ),
        class_="which",
    )
