"""Whether the daemon gets on with its work: what systemd's watchdog is fed by.

That the loop turns proves little: it also turns when a batch was lost between two hands. Here is judged what was done.
An idle daemon is well, and so is one that cannot go on for a cause outside of it that a person was told of (a full disk,
a folder that went away, a disk that hangs): a restart would mend none of these. One that has work, no excuse, and does
nothing is restarted, which loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# A worker without a word for pool.STALL_SECONDS (120) is replaced by the daemon itself, which is cheaper than a restart.
STUCK_SECONDS = 300.0
_MOST_A_TURN = 15.0  # seconds; a longer gap means that we were stopped, or the machine slept: nobody stood still for it


@dataclass(frozen=True)
class Look:
    """What the daemon sees of itself in one turn of its loop."""

    steps: int = 0  # batches that came back and outcomes written to the ledger, since the start
    ready: int = 0  # files that could be read now
    in_hand: int = 0  # files given to workers that have not come back
    unrecorded: int = 0  # outcomes that are not in the ledger yet
    forgotten: bool = False  # the ledger has files waiting that are neither held, nor settling, nor looked for
    locked: bool = False  # the ledger cannot be written, and neither for want of room nor by its disk's fault
    deaf: bool = False  # a thread that hears notifications has ended
    excuse: str | None = None  # why nothing can go on, by no fault of ours; told in status.json

    def __post_init__(self) -> None:
        for count in (self.steps, self.ready, self.in_hand, self.unrecorded):
            if count < 0:
                raise ValueError(f"a count cannot be {count}")


class Progress:
    """The judge. One thread; looked at in each turn, at no cost.

    problem   in one line what stands still, or None
    """

    def __init__(self, stuck_seconds: float = STUCK_SECONDS) -> None:
        """stuck_seconds: so long must work stand still before this is called a hang."""
        self.problem: str | None = None
        self._stuck_seconds = stuck_seconds
        self._steps = -1
        self._still = 0.0  # seconds of work standing still
        self._deaf = 0.0  # seconds without ears
        self._last: float | None = None

    def alive(self, now: float, look: Look) -> bool:
        """Whether the watchdog may be told that all is well; `now` in seconds of a steady clock."""
        passed = 0.0 if self._last is None else min(max(0.0, now - self._last), _MOST_A_TURN)
        self._last = now
        moved, self._steps = look.steps != self._steps, look.steps
        waits = " and ".join(_work(look))
        self._still = 0.0 if moved or look.excuse or not waits else self._still + passed
        self._deaf = self._deaf + passed if look.deaf and not look.excuse else 0.0
        if self._still >= self._stuck_seconds:
            self.problem = f"nothing was done for {self._still:.0f} s although {waits}"
        elif self._deaf >= self._stuck_seconds:
            self.problem = f"the thread that hears of new files ended {self._deaf:.0f} s ago"
        else:
            self.problem = None
        return self.problem is None


def _work(look: Look) -> Iterator[str]:
    """What there is to do, in words."""
    if look.ready:
        yield f"{look.ready} files are ready"
    if look.in_hand:
        yield f"{look.in_hand} files are in the workers' hands"
    if look.unrecorded:
        yield f"{look.unrecorded} verdicts are to be written"
    if look.forgotten:
        yield "files wait in the ledger that nobody looks for"
    if look.locked:
        yield "the ledger is to be written"
