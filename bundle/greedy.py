"""Which members to ship: greedy forward selection by the vote they will cast, on validation. Arrays in, values out.

Here because two stages choose: the trainer among Keras members, the quantize stage among those of finished bundles.
Axes: N members of the pool, M images, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from bundle.calibration import log_loss
from bundle.pace import Say
from bundle.vote import ballots, hard_vote

RULE = "greedy by the hard vote's accuracy on validation, ties by the soft vote's log loss (Caruana et al. 2004)"


@dataclass(frozen=True)
class Scored:
    """The scores of all members on one part."""

    truth: NDArray[np.int32]  # (M,) class index
    scores: NDArray[np.float32]  # (N, M, C)


@dataclass(frozen=True)
class Step:
    """One member more."""

    member: int  # index into the pool
    accuracy: float  # of the hard vote with it, on validation, 0..1
    gain: float | None  # over the step before, and so it may be negative; None for the first
    log_loss: float  # nats, of the soft vote with it


class Candidate(Protocol):
    """A member of the pool."""

    @property
    def name(self) -> str:
        """For people: where it comes from and what it is called there."""

    @property
    def sha256(self) -> str:
        """Of its file."""


C = TypeVar("C", bound=Candidate)


def distinct(candidates: Iterable[C], say: Say) -> tuple[C, ...]:
    """Each file once, and said where it stands twice: a member that votes twice is no second opinion."""
    taken: dict[str, C] = {}
    for candidate in candidates:
        before = taken.setdefault(candidate.sha256, candidate)
        if before is not candidate:
            say(f"{candidate.name} is the very file {before.name}: it stands in the pool once")
    return tuple(taken.values())


def select_greedily(validation: Scored, size: int) -> tuple[Step, ...]:
    """`size` steps, each with the member that raises the hard vote's accuracy most, ties by the soft vote's log loss.

    Caruana et al. 2004, section 2, without replacement: a member that votes twice would cost the camera host its time twice.
    """
    chosen: list[int] = []
    steps: list[Step] = []
    for _ in range(size):
        left = [member for member in range(len(validation.scores)) if member not in chosen]
        best = max(left, key=lambda member: merit(validation, [*chosen, member]))  # of equals the first
        chosen.append(best)
        accuracy, less_loss = merit(validation, chosen)
        steps.append(Step(best, accuracy, accuracy - steps[-1].accuracy if steps else None, -less_loss))
    return tuple(steps)


def step_table(steps: Sequence[Step], files: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    """As records have them. files: of the chosen, in the order of choice; names: of all the pool."""
    return [
        {
            "file": file,
            "from": names[step.member],
            "accuracy": round(step.accuracy, 6),
            "gain": None if step.gain is None else round(step.gain, 6),
            "log_loss": round(step.log_loss, 6),
        }
        for file, step in zip(files, steps, strict=True)
    ]


def merit(validation: Scored, members: Sequence[int]) -> tuple[float, float]:
    """What the choice of members goes by, more is better: accuracy of the hard vote, then less log loss of the soft vote.

    On a few thousand images many ensembles have the very same accuracy; the log loss tells them apart by more than chance.
    """
    chosen = validation.scores[list(members)]
    right = hard_vote(chosen).label == validation.truth
    return float(right.mean()), -log_loss(validation.truth, chosen.mean(axis=0, dtype=np.float64))


def disagreement(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, N) share of the images, 0..1, on which two members' ballots differ (Skalak 1996): what a vote lives on.

    scores: (N, M, C).
    """
    named = ballots(scores)
    share: NDArray[np.float64] = (named[:, None, :] != named[None, :, :]).mean(axis=2)
    return share
