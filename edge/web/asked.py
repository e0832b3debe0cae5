"""What a reader asks of the pages over time: the query of the address, which is the whole state of the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlencode

from bundle.errors import BadConfig
from edge.bins import SECOND_NS, parse_stretch, parse_width, utc_text, width_text

By = Literal["label", "group"]
Unit = Literal["images", "per_m3"]

WIDTHS = ("1m", "5m", "10m", "30m", "1h", "3h", "6h", "12h", "1d")
NARROWEST_NS, WIDEST_NS = parse_width(WIDTHS[0]), parse_width(WIDTHS[-1])
AUTO = "auto"
NAMES_MOST = 12  # lines that one page draws
DEFAULT_NAMES = 5


@dataclass(frozen=True)
class Asked:
    """The query. None: left to the page."""

    width_ns: int | None = None
    from_ns: int | None = None  # captured in [from_ns, to_ns), UTC ns
    to_ns: int | None = None
    by: By | None = None  # None: groups where the bundle has them
    names: tuple[str, ...] = ()  # of labels, or of groups; none: the most frequent ones
    unit: Unit | None = None  # None: images
    classifier: str | None = None  # the beginning of a digest, where several counted

    def query(self, **changes: object) -> str:
        """The same as the query of an address, with `changes` of these fields."""
        changed = replace(self, **changes)  # type: ignore[arg-type]
        pairs = [
            ("bin", None if changed.width_ns is None else width_text(changed.width_ns)),
            ("from", None if changed.from_ns is None else utc_text(changed.from_ns)),
            ("to", None if changed.to_ns is None else utc_text(changed.to_ns)),
            ("by", changed.by),
            ("unit", changed.unit),
            ("classifier", changed.classifier),
            *(("of", name) for name in changed.names),
        ]
        told = urlencode([(name, value) for name, value in pairs if value])
        return f"?{told}" if told else ""


def read_asked(pairs: Iterable[tuple[str, str]]) -> Asked:
    """From the query's pairs; what is empty is not asked, and what is not known is passed by. Raises BadConfig."""
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        if value.strip():
            given.setdefault(name, []).append(value.strip())
    first = {name: values[0] for name, values in given.items()}
    width = first.get("bin", AUTO)
    width_ns = None if width == AUTO else parse_width(width)
    if width_ns is not None and not NARROWEST_NS <= width_ns <= WIDEST_NS:
        raise BadConfig(f"'{width}' is no width of bins here: choose from a minute (1m) to a day (1d)")
    from_ns, to_ns = parse_stretch(first.get("from"), first.get("to"))
    by, unit = first.get("by"), first.get("unit")
    if by not in (None, "label", "group"):
        raise BadConfig(f"by={by}: it is label or group")
    if unit not in (None, "images", "per_m3"):
        raise BadConfig(f"unit={unit}: it is images or per_m3")
    names = tuple(dict.fromkeys(given.get("of", ())))
    if first.get("was", by) != by:  # the form's boxes were of groups, and species are asked for, or the other way round
        names = ()
    if len(names) > NAMES_MOST:
        raise BadConfig(f"{len(names)} names were chosen; choose at most {NAMES_MOST}")
    return Asked(width_ns, from_ns, to_ns, by, names, unit, first.get("classifier"))  # type: ignore[arg-type]


def local_text(instant_ns: int | None) -> str:
    """As <input type=datetime-local> has it, to the second; nothing for None. The page says that it is UTC."""
    return "" if instant_ns is None else utc_text(instant_ns // SECOND_NS * SECOND_NS)[:19]
