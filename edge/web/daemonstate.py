"""What the daemon says of itself in status.json, and whether it still says it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bundle.errors import BadConfig
from edge.bins import SECOND_NS, parse_instant
from edge.daemon.outputs import STATUS_FILE

_MOST_BYTES = 1_000_000
LATE_NS = 20 * SECOND_NS  # with the usual 5 s between two writes, three of them were missed

State = Literal["running", "stopped", "silent", "unknown"]


@dataclass(frozen=True)
class DaemonState:
    """The daemon, as status.json has it."""

    state: State  # silent: it ran and has not been heard of for long; unknown: there is no status.json
    problem: str | None = None  # in its own words
    said_ns: int | None = None  # UTC ns of the file's own time
    started_ns: int | None = None
    last_image_ns: int | None = None  # when it last counted one
    images_per_second: float | None = None
    bundle_name: str | None = None
    bundle_digest: str | None = None

    @property
    def counting(self) -> bool:
        """Whether it is there to count what comes."""
        return self.state == "running"


UNKNOWN = DaemonState("unknown")


def read_daemon_state(out: Path | None, now_ns: int, publish_seconds: float = 5.0) -> DaemonState:
    """From the folder in which the daemon writes status.json. A file that makes no sense is as good as none."""
    if out is None:
        return UNKNOWN
    try:
        with (out / STATUS_FILE).open("rb") as file:
            told = json.loads(file.read(_MOST_BYTES))
        return _of(told, now_ns, max(LATE_NS, round(3 * publish_seconds * SECOND_NS)))
    except (OSError, ValueError, TypeError, KeyError, BadConfig):
        return UNKNOWN


def _of(told: dict[str, Any], now_ns: int, late_ns: int) -> DaemonState:
    said_ns = parse_instant(str(told["now"]))
    state: State = "stopped" if told["state"] == "stopped" else "running"
    if state == "running" and now_ns - said_ns > late_ns:
        state = "silent"
    last, problem = told.get("last_image"), told.get("problem")
    return DaemonState(
        state,
        None if problem is None else str(problem),
        said_ns,
        parse_instant(str(told["started"])),
        None if last is None else parse_instant(str(last)),
        float(told["images_per_second"]),
        str(told["bundle_name"]),
        str(told["bundle_digest"]),
    )
