from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundle.order import cheapest_order
from bundle.vote import hard_vote_in_turn


def test_two_cheap_members_that_agree_spare_the_dear_one():
    ballots = np.array([[0, 1, 2, 0], [0, 1, 2, 0], [0, 1, 2, 1]], np.int32)
    found = cheapest_order(ballots, [5.0, 1.0, 2.0], 1)
    assert found.members == (1, 2, 0)
    assert found.asked == (1.0, 1.0, 0.25)
    assert found.cost == 1 + 2 + 0.25 * 5


def test_a_dear_member_goes_first_where_the_cheap_ones_never_agree():
    ballots = np.array([[0] * 8, [1] * 4 + [0] * 4, [0] * 4 + [1] * 4], np.int32)
    found = cheapest_order(ballots, [1.5, 1.0, 1.0], 1)
    assert found.members[:2] == (0, 1)
    assert found.asked == (1.0, 1.0, 0.5)


def test_of_many_members_the_cheapest_are_asked_first():
    found = cheapest_order(np.zeros((7, 3), np.int32), [7, 6, 5, 4, 3, 2, 1], 1)
    assert found.members == (6, 5, 4, 3, 2, 1, 0)
    assert found.asked == (1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.data())
def test_the_cost_is_what_asking_in_turn_costs_and_no_order_costs_less(members, images, data):
    min_votes = data.draw(st.integers(1, members))
    costs = data.draw(st.lists(st.integers(1, 9), min_size=members, max_size=members))
    ballots = np.array(
        data.draw(st.lists(st.lists(st.integers(0, 2), min_size=images, max_size=images), min_size=members, max_size=members)),
        np.int32,
    )  # fmt: skip
    scores = np.eye(3, dtype=np.float32)[ballots]

    def spent(order: tuple[int, ...]) -> float:
        asked = hard_vote_in_turn(lambda turn, rows: scores[order[turn]][rows], members, images, min_votes).asked
        return sum(costs[member] for count in asked.tolist() for member in order[:count]) / images

    found = cheapest_order(ballots, costs, min_votes)
    assert found.cost == pytest.approx(spent(found.members))
    assert found.cost == pytest.approx(min(map(spent, permutations(range(members)))))
