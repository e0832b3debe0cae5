from collections import Counter
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundle.vote import (
    NO_LABEL,
    RULES,
    Votes,
    ballots,
    decided,
    hard_vote,
    hard_vote_in_turn,
    has_majority,
    soft_vote,
)


def scores_of(*members):
    """(N, 1, C): one image, each member's scores as a row."""
    return np.array(members, np.float32)[:, np.newaxis, :]


def verdict(votes: Votes):
    assert [column.dtype for column in (votes.label, votes.votes, votes.score)] == [np.int32, np.int32, np.float32]
    assert len(votes.label) == 1
    return int(votes.label[0]), int(votes.votes[0]), pytest.approx(float(votes.score[0]))


def test_the_plurality_wins_and_the_score_is_its_mean_over_all_members():
    scores = scores_of([0.6, 0.4, 0.0], [0.5, 0.3, 0.2], [0.0, 1.0, 0.0])
    assert verdict(hard_vote(scores)) == (0, 2, (0.6 + 0.5 + 0.0) / 3)


def test_a_tie_goes_to_the_higher_mean_score_among_the_tied_only():
    # Ballots 0, 0, 1, 1; class 2 has the highest mean of all but no ballot.
    scores = scores_of([0.50, 0.01, 0.49], [0.50, 0.01, 0.49], [0.01, 0.52, 0.47], [0.01, 0.52, 0.47])
    assert scores.mean(axis=0).argmax() == 2
    assert verdict(hard_vote(scores)) == (1, 2, 0.265)
    assert verdict(soft_vote(scores)) == (NO_LABEL, 0, 0.48)  # nobody's ballot: fewer than one vote


def test_a_tie_in_votes_and_mean_goes_to_the_lower_index():
    assert verdict(hard_vote(scores_of([0.0, 0.25, 0.75], [0.0, 0.75, 0.25]))) == (1, 1, 0.5)
    assert verdict(soft_vote(scores_of([0.0, 0.25, 0.75], [0.0, 0.75, 0.25]))) == (1, 1, 0.5)


def test_a_member_whose_scores_are_equal_casts_its_ballot_for_the_lower_index():
    assert ballots(scores_of([0.2, 0.4, 0.4], [0.3, 0.3, 0.3])).tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("rule", "min_votes", "expected"),
    [
        (hard_vote, 1, (0, 2, 0.5)),
        (hard_vote, 2, (0, 2, 0.5)),
        (hard_vote, 3, (NO_LABEL, 2, 0.5)),  # the winner's votes and score are told all the same
        (soft_vote, 2, (0, 2, 0.5)),
        (soft_vote, 3, (NO_LABEL, 2, 0.5)),
    ],
)
def test_below_min_votes_there_is_no_label(rule, min_votes, expected):
    assert verdict(rule(scores_of([0.75, 0.25], [0.5, 0.25], [0.25, 0.5]), min_votes)) == expected


def test_soft_voting_may_choose_a_class_that_few_members_chose():
    scores = scores_of([0.51, 0.49], [0.51, 0.49], [0.0, 1.0])
    assert verdict(soft_vote(scores)) == (1, 1, 1.98 / 3)
    assert verdict(hard_vote(scores)) == (0, 2, 1.02 / 3)
    assert verdict(soft_vote(scores, min_votes=2)) == (NO_LABEL, 1, 1.98 / 3)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_batch_of_no_images_has_no_verdicts(rule):
    found = rule(np.zeros((3, 0, 5), np.float32))
    assert [column.shape for column in (found.label, found.votes, found.score)] == [(0,), (0,), (0,)]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize(
    ("shape", "min_votes", "text"),
    [
        ((3, 5), 1, r"scores must be \(members, images, classes\), found shape \(3, 5\)"),
        ((0, 2, 5), 1, r"scores must be \(members, images, classes\), found shape \(0, 2, 5\)"),
        ((3, 2, 0), 1, r"scores must be \(members, images, classes\), found shape \(3, 2, 0\)"),
        ((3, 2, 5), 0, r"min_votes must be from 1 to the number of members \(3\), found 0"),
        ((3, 2, 5), 4, r"min_votes must be from 1 to the number of members \(3\), found 4"),
    ],
)
def test_what_is_no_ensemble_of_scores_is_refused(rule, shape, min_votes, text):
    with pytest.raises(ValueError, match=text):
        rule(np.zeros(shape, np.float32), min_votes)


# ---- properties: int8 scores (k / 256) tie often; float scores seldom
# (in steps of 2**-24, so that their float64 sums are exact in any order).

LEVELS = {
    "int8": st.integers(0, 256).map(lambda k: k / 256),
    "coarse": st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    "float": st.integers(0, 2**24).map(lambda k: k / 2**24),
}


@st.composite
def score_arrays(draw):
    members, images, classes = draw(st.integers(1, 7)), draw(st.integers(1, 4)), draw(st.integers(1, 6))
    level = draw(st.sampled_from(list(LEVELS.values())))
    size = members * images * classes
    return np.array(draw(st.lists(level, min_size=size, max_size=size)), np.float32).reshape(members, images, classes)


def slow_verdict(rows, rule, min_votes):
    """One image's verdict by the words of the rule, in exact arithmetic. rows: one list of scores a member."""
    cast = Counter(row.index(max(row)) for row in rows)
    # The mean is a float32 by definition; two classes tie where their float32 means do.
    mean = [float(np.float32(float(sum(map(Fraction, column)) / len(rows)))) for column in zip(*rows, strict=True)]
    electable = range(len(mean)) if rule == "soft" else [c for c in cast if cast[c] == max(cast.values())]
    winner = min(electable, key=lambda c: (-mean[c], c))
    return (winner if cast[winner] >= min_votes else NO_LABEL), cast[winner], mean[winner]


@settings(max_examples=250, deadline=None)
@given(score_arrays(), st.sampled_from(sorted(RULES)), st.data())
def test_each_verdict_is_that_of_a_slow_count_by_the_words_of_the_rule(scores, rule, data):
    min_votes = data.draw(st.integers(1, len(scores)))
    found = RULES[rule](scores, min_votes)
    expected = [
        slow_verdict(scores[:, image].astype(float).tolist(), rule, min_votes) for image in range(scores.shape[1])
    ]
    assert list(zip(found.label.tolist(), found.votes.tolist(), found.score.tolist(), strict=True)) == expected


@settings(max_examples=150, deadline=None)
@given(score_arrays(), st.sampled_from(sorted(RULES)), st.randoms(use_true_random=False))
def test_the_order_of_the_members_changes_nothing(scores, rule, random):
    shuffled = scores[random.sample(range(len(scores)), len(scores))]
    before, after = RULES[rule](scores), RULES[rule](shuffled)
    assert before.label.tolist() == after.label.tolist()
    assert before.votes.tolist() == after.votes.tolist()
    assert before.score.tolist() == after.score.tolist()


@settings(max_examples=150, deadline=None)
@given(score_arrays(), st.sampled_from(sorted(RULES)))
def test_each_image_is_judged_by_itself(scores, rule):
    together = RULES[rule](scores)
    alone = [RULES[rule](scores[:, image : image + 1]) for image in range(scores.shape[1])]
    assert together.label.tolist() == [int(each.label[0]) for each in alone]
    assert together.score.tolist() == [float(each.score[0]) for each in alone]


@settings(max_examples=100, deadline=None)
@given(score_arrays())
def test_where_all_members_agree_that_is_the_verdict_of_hard_voting_even_if_all_must(scores):
    cast = ballots(scores)
    unanimous = (cast == cast[0]).all(axis=0)
    found = hard_vote(scores, min_votes=len(scores))
    assert found.label.tolist() == [
        int(first) if agreed else NO_LABEL for first, agreed in zip(cast[0], unanimous, strict=True)
    ]


# ---- asking in turn


def in_turn(scores, min_votes):
    """The votes, and the (member, images) that were asked."""
    asked = []

    def ask(turn, images):
        asked.append((turn, images.tolist()))
        return scores[turn, images]

    return hard_vote_in_turn(ask, len(scores), scores.shape[1], min_votes), asked


def outcomes(ballots_so_far, member_count, min_votes):
    """All that the members still to be asked can make of one image: (label, whether it has a majority)."""
    classes = set(ballots_so_far) | {-1 - number for number in range(member_count)}  # and classes nobody named yet
    found = set()
    for rest in product(sorted(classes), repeat=member_count - len(ballots_so_far)):
        tally = Counter([*ballots_so_far, *rest])
        most = max(tally.values())
        for winner in (label for label, votes in tally.items() if votes == most):  # the scores may break a tie any way
            found.add((winner, 2 * most > member_count) if most >= min_votes else (None, False))
    return found


@settings(max_examples=300, deadline=None)
@given(score_arrays(), st.data())
def test_asking_in_turn_gives_the_label_and_the_majority_of_the_whole_vote(scores, data):
    min_votes = data.draw(st.integers(1, len(scores)))
    found, whole = in_turn(scores, min_votes)[0], hard_vote(scores, min_votes)
    assert found.label.tolist() == whole.label.tolist()
    assert has_majority(found, len(scores)).tolist() == has_majority(whole, len(scores)).tolist()


@settings(max_examples=300, deadline=None)
@given(score_arrays(), st.data())
def test_votes_and_score_are_those_of_the_members_that_were_asked(scores, data):
    min_votes = data.draw(st.integers(1, len(scores)))
    found, asked = in_turn(scores, min_votes)
    for image in range(scores.shape[1]):
        count = int(found.asked[image])
        assert [turn for turn, images in asked if image in images] == list(range(count))
        alone = hard_vote(scores[:count, [image]])
        assert (found.votes[image], found.score[image]) == (alone.votes[0], alone.score[0])


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 4), st.data())
def test_members_are_asked_as_long_as_they_can_change_something_and_no_longer(member_count, data):
    min_votes = data.draw(st.integers(1, member_count))
    named = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=member_count))
    known = bool(decided(np.array(named, np.int32)[:, np.newaxis], member_count, min_votes)[0])
    assert known == (len(outcomes(named, member_count, min_votes)) == 1 or len(named) == member_count)


def test_two_that_agree_outvote_a_third_and_two_that_differ_wait_for_it():
    scores = np.eye(3, dtype=np.float32)[[[0, 0, 1], [0, 1, 2], [2, 1, 0]]]  # three members, three images
    found, asked = in_turn(scores, 1)
    assert asked == [(0, [0, 1, 2]), (1, [0, 1, 2]), (2, [1, 2])]
    assert found.asked.tolist() == [2, 3, 3]
    assert found.votes.tolist() == [2, 2, 1]
    assert found.label.tolist() == [0, 1, 0]  # all three tie in the last: the lower index


def test_no_member_is_asked_for_no_images():
    found, asked = in_turn(np.zeros((3, 0, 5), np.float32), 1)
    assert [len(column) for column in (found.label, found.votes, found.score, found.asked)] == [0, 0, 0, 0]
    assert asked == []
