"""What only a person can say of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Description:
    """As the options of the command have it."""

    title: str
    creators: tuple[str, ...] = ()
    licence: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)  # fields of the iFDO's header by name
