"""What the daemon says of itself in status.json, and whether it still says it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.bins import SECOND_NS
from edge.daemonsign import DaemonSign, read_sign

LATE_NS = 20 * SECOND_NS  # with the usual 5 s between two writes, three of them were missed

State = Literal["running", "stopped", "silent", "unknown"]


@dataclass(frozen=True)
class DaemonState:
    """The daemon, as status.json has it."""

    state: State  # silent: it ran and has not been heard of for long; unknown: there is no status.json
    sign: DaemonSign | None = None  # what it said; None where the state is unknown

    @property
    def problem(self) -> str | None:
        """What hinders it, in its own words."""
        return None if self.sign is None else self.sign.problem

    @property
    def counting(self) -> bool:
        """Whether it is there to count what comes."""
        return self.state == "running"


UNKNOWN = DaemonState("unknown")


def read_daemon_state(out: Path | None, now_ns: int, publish_seconds: float = 5.0) -> DaemonState:
    """From the folder in which the daemon writes status.json. A file that makes no sense is as good as none."""
    sign = None if out is None else read_sign(out)
    if sign is None:
        return UNKNOWN
    state: State = "stopped" if sign.state == "stopped" else "running"
    late_ns = max(LATE_NS, round(3 * publish_seconds * SECOND_NS))
    if state == "running" and now_ns - sign.now_ns > late_ns:
        state = "silent"
    return DaemonState(state, sign)
