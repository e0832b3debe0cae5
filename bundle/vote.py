"""From the members' scores to one verdict an image: pure functions over (N, B, C) arrays.

Axes everywhere: N members, B images, C classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_LABEL = -1  # the class index of an `unclassified` verdict


@dataclass(frozen=True)
class Votes:
    """The verdicts of a batch, column by column."""

    label: NDArray[np.int32]  # (B,) class index, or NO_LABEL where fewer than min_votes members agreed
    votes: NDArray[np.int32]  # (B,) members whose ballot was the winning class, of those that were asked
    score: NDArray[np.float32]  # (B,) mean score of the winning class over the members that were asked, 0..1
    asked: NDArray[np.int32]  # (B,) members that were asked
    mean: NDArray[np.float32]  # (B, C) mean scores of all classes over the members that were asked


def ballots(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """Each member's class per image, (N, B): its highest score, the lowest index where scores are equal."""
    winners: NDArray[np.int32] = scores.argmax(axis=2).astype(np.int32)
    return winners


def hard_vote(scores: NDArray[np.float32], min_votes: int = 1) -> Votes:
    """Plurality of the members' ballots.

    scores: (N, B, C) float32. A tie between classes goes to the one with the higher mean score over all members, then
    to the lower index. Below `min_votes` ballots the verdict is NO_LABEL; votes and score still tell of the winner.
    """
    _checked(scores, min_votes)
    return _hard_vote(scores, min_votes)


def _hard_vote(scores: NDArray[np.float32], min_votes: int) -> Votes:
    class_count = scores.shape[2]
    # One row of C counters per image: class index plus an offset for the image, counted in one pass.
    batch = scores.shape[1]
    offset = np.arange(batch) * class_count
    tally = np.bincount((ballots(scores) + offset).ravel(), minlength=batch * class_count).reshape(batch, class_count)
    mean = _mean(scores)  # (B, C)
    tied_at_top = tally == tally.max(axis=1, keepdims=True)
    winner = np.where(tied_at_top, mean, -np.inf).argmax(axis=1)
    return _votes(winner, tally, mean, min_votes, len(scores))


def hard_vote_in_turn(
    ask: Callable[[int, NDArray[np.intp]], NDArray[np.float32]], member_count: int, images: int, min_votes: int = 1
) -> Votes:
    """`hard_vote` that asks no member in vain: each is asked only for the images that are still open.

    ask: the scores (I, C) of member 0, 1, … for the images of these I indexes. Label and majority are those of
    `hard_vote` over all members; votes and score are of the members that were asked, `asked` of them.
    """
    label, votes, asked = (np.empty(images, np.int32) for _ in range(3))
    score = np.empty(images, np.float32)
    mean = np.empty((images, 0), np.float32)
    still = np.arange(images)
    so_far: list[NDArray[np.float32]] = []  # scores of the images in `still`
    for turn in range(member_count):
        if not len(still):
            break
        so_far.append(ask(turn, still))
        scores = np.stack(so_far)
        if turn == 0:
            mean = np.empty((images, scores.shape[2]), np.float32)
        over = decided(ballots(scores), member_count, min_votes)
        if over.any():
            here, found = still[over], _hard_vote(scores[:, over], min_votes)
            label[here], votes[here], score[here], asked[here] = found.label, found.votes, found.score, turn + 1
            mean[here] = found.mean
            still = still[~over]
            so_far = [each[~over] for each in so_far]
    return Votes(label, votes, score, asked, mean)


def decided(ballots: NDArray[np.int32], member_count: int, min_votes: int) -> NDArray[np.bool_]:
    """(B,) whether the members that were not asked can change nothing: neither the label nor whether it has a majority.

    ballots: (A, B) of the A members that were asked, of `member_count`; 1 <= A. A majority is more than half of all
    members. Leading by more than the ballots still out is to win; a tie would be for the scores to break.
    """
    rest = member_count - len(ballots)
    if rest == 0:
        return np.ones(ballots.shape[1], bool)
    # How many agree with each ballot: (A, A, B) comparisons, few as A is small.
    agreeing = (ballots[:, np.newaxis] == ballots[np.newaxis]).sum(axis=1)
    leading = agreeing.max(axis=0)
    leader = np.take_along_axis(ballots, agreeing.argmax(axis=0)[np.newaxis], axis=0)
    second = np.where(ballots == leader, 0, agreeing).max(axis=0)
    labelled = (leading > second + rest) & (leading >= min_votes)
    majority_known = (2 * leading > member_count) | (2 * (leading + rest) <= member_count)
    unlabelled = leading + rest < min_votes
    known: NDArray[np.bool_] = (labelled & majority_known) | unlabelled
    return known


def has_majority(votes: Votes, member_count: int) -> NDArray[np.bool_]:
    """(B,) whether there is a label that more than half of all members voted for; the same however many were asked."""
    reached: NDArray[np.bool_] = (votes.label != NO_LABEL) & (2 * votes.votes > member_count)
    return reached


def soft_vote(scores: NDArray[np.float32], min_votes: int = 1) -> Votes:
    """The class with the highest mean score, whatever the ballots; equal means go to the lower index.

    scores: (N, B, C) float32. `votes` counts the members whose ballot was that class, and `min_votes` asks for at
    least so many, as in `hard_vote`: a class that nobody's ballot names (0 votes) is always NO_LABEL.
    """
    class_count = _checked(scores, min_votes)
    mean = _mean(scores)
    winner = mean.argmax(axis=1)
    tally = (ballots(scores)[:, :, None] == np.arange(class_count)).sum(axis=0)
    return _votes(winner, tally, mean, min_votes, len(scores))


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


def _votes(
    winner: NDArray[np.int64], tally: NDArray[np.int64], mean: NDArray[np.float32], min_votes: int, member_count: int
) -> Votes:
    image = np.arange(len(winner))
    votes = tally[image, winner].astype(np.int32)
    label = np.where(votes >= min_votes, winner, NO_LABEL).astype(np.int32)
    asked = np.full(len(winner), member_count, np.int32)
    return Votes(label, votes, mean[image, winner], asked, mean)
