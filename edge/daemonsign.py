"""The last sign of life of `planktow-edge run`: what it wrote to status.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadConfig
from edge.bins import parse_instant
from edge.daemon.outputs import STATUS_FILE

_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class DaemonSign:
    """What the daemon said; times in UTC ns."""

    state: str
    now_ns: int  # when it said so
    started_ns: int | None = None
    problem: str | None = None  # in its own words
    images_per_second: float = 0.0
    bundle_name: str = ""
    bundle_digest: str = ""
    last_image_ns: int | None = None  # when it last counted one


def read_sign(out: Path) -> DaemonSign | None:
    """What status.json in the folder `out` says; None where there is none, or none that makes sense."""
    try:
        with (out / STATUS_FILE).open("rb") as file:
            told = json.loads(file.read(_MOST_BYTES))
        started, last, problem = (told.get(key) for key in ("started", "last_image", "problem"))
        return DaemonSign(
            str(told["state"]),
            parse_instant(str(told["now"])),
            None if started is None else parse_instant(str(started)),
            None if problem is None else str(problem),
            float(told.get("images_per_second", 0.0)),
            str(told.get("bundle_name", "")),
            str(told.get("bundle_digest", "")),
            None if last is None else parse_instant(str(last)),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadConfig):
        return None
