"""What one setting of edge.toml says of itself: its unit, its text for a person, and its range.

Every table of edge.toml is a frozen dataclass beside the code it steers; its fields are made with `about`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from bundle.errors import BadConfig


def about(unit: str, text: str, least: float | None = None, most: float | None = None) -> dict[str, Any]:
    """The metadata of a dataclass field: text for a person (lines of at most 115 letters), and the range of a number."""
    return {"unit": unit, "text": text, "least": least, "most": most}


def check_ranges(settings: Any) -> None:
    """For the `__post_init__` of a dataclass of settings: raises BadConfig for a number outside its range."""
    for setting in dataclasses.fields(settings):
        value, least, most = getattr(settings, setting.name), setting.metadata["least"], setting.metadata["most"]
        if least is not None and value is not None and not (value >= least and (most is None or value <= most)):
            wanted = f"from {least:g} to {most:g}" if most is not None else f"at least {least:g}"
            raise BadConfig(f"{setting.name} must be {wanted} {setting.metadata['unit']}, found {value:g}")
