"""From the members' scores to one verdict an image: pure functions over (N, B, C) arrays.

Axes everywhere: N members, B images, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_LABEL = -1  # the class index of an `unclassified` verdict


@dataclass(frozen=True)
class Votes:
    """The verdicts of a batch, column by column."""

    label: NDArray[np.int32]  # (B,) class index, or NO_LABEL where fewer than min_votes members agreed
    votes: NDArray[np.int32]  # (B,) members whose ballot was the winning class
    score: NDArray[np.float32]  # (B,) mean score of the winning class over all members, 0..1


def ballots(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """Each member's class per image, (N, B): its highest score, the lowest index where scores are equal."""
    winners: NDArray[np.int32] = scores.argmax(axis=2).astype(np.int32)
    return winners


def hard_vote(scores: NDArray[np.float32], min_votes: int = 1) -> Votes:
    """Plurality of the members' ballots.

    scores: (N, B, C) float32. A tie between classes goes to the one with the higher mean score over all members, then
    to the lower index. Below `min_votes` ballots the verdict is NO_LABEL; votes and score still tell of the winner.
    """
    class_count = _checked(scores, min_votes)
    # One row of C counters per image: class index plus an offset for the image, counted in one pass.
    batch = scores.shape[1]
    offset = np.arange(batch) * class_count
    tally = np.bincount((ballots(scores) + offset).ravel(), minlength=batch * class_count).reshape(batch, class_count)
    mean = _mean(scores)  # (B, C)
    tied_at_top = tally == tally.max(axis=1, keepdims=True)
    winner = np.where(tied_at_top, mean, -np.inf).argmax(axis=1)
    return _votes(winner, tally, mean, min_votes)


def soft_vote(scores: NDArray[np.float32], min_votes: int = 1) -> Votes:
    """The class with the highest mean score, whatever the ballots; equal means go to the lower index.

    scores: (N, B, C) float32. `votes` counts the members whose ballot was that class, and `min_votes` asks for at
    least so many, as in `hard_vote`: a class that nobody's ballot names (0 votes) is always NO_LABEL.
    """
    class_count = _checked(scores, min_votes)
    mean = _mean(scores)
    winner = mean.argmax(axis=1)
    tally = (ballots(scores)[:, :, None] == np.arange(class_count)).sum(axis=0)
    return _votes(winner, tally, mean, min_votes)


RULES = {"hard": hard_vote, "soft": soft_vote}


def _mean(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the members, in float64 and then rounded: a float32 sum would depend on the order of the members."""
    mean: NDArray[np.float32] = scores.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def _checked(scores: NDArray[np.float32], min_votes: int) -> int:
    if scores.ndim != 3 or 0 in (scores.shape[0], scores.shape[2]):
        raise ValueError(f"scores must be (members, images, classes), found shape {scores.shape}")
    member_count, _, class_count = (int(length) for length in scores.shape)
    if not 1 <= min_votes <= member_count:
        raise ValueError(f"min_votes must be from 1 to the number of members ({member_count}), found {min_votes}")
    return class_count


def _votes(winner: NDArray[np.int64], tally: NDArray[np.int64], mean: NDArray[np.float32], min_votes: int) -> Votes:
    image = np.arange(len(winner))
    votes = tally[image, winner].astype(np.int32)
    label = np.where(votes >= min_votes, winner, NO_LABEL).astype(np.int32)
    return Votes(label, votes, mean[image, winner])
