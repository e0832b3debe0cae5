from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.front import all_cores, front, one_core, subsets

from .reported import MEMBERS, choice


def placed(accuracy, one, every=1.0, name="a"):
    return choice(MEMBERS[:1], "int8", members=(name,), accuracy=accuracy, milliseconds_one=one, milliseconds_all=every)


def superior(other, each):
    """The definition, spelled out."""
    no_worse = other.accuracy >= each.accuracy and other.milliseconds_one <= each.milliseconds_one
    return no_worse and (other.accuracy > each.accuracy or other.milliseconds_one < each.milliseconds_one)


places = st.tuples(st.integers(0, 5), st.integers(1, 6))  # a small grid, so that ties are common


@given(st.lists(places, max_size=12))
def test_the_front_is_all_choices_to_which_none_is_superior_from_fast_to_accurate(grid):
    choices = [placed(accuracy / 5, float(one), name=f"{number}") for number, (accuracy, one) in enumerate(grid)]
    found = front(choices, one_core)
    assert set(found) == {each for each in choices if not any(superior(other, each) for other in choices)}
    assert sorted(found, key=lambda each: (each.milliseconds_one, each.accuracy)) == list(found)


def test_equal_choices_are_on_the_front_together_in_the_order_given():
    twins = placed(0.8, 2.0, name="a"), placed(0.8, 2.0, name="b")
    assert front([*twins, placed(0.8, 3.0), placed(0.7, 2.0)], one_core) == twins


def test_the_front_of_all_cores_may_be_another_than_that_of_one():
    threaded, not_threaded = placed(0.8, 4.0, 1.0), placed(0.8, 3.0, 3.0)
    assert front([threaded, not_threaded], one_core) == (not_threaded,)
    assert front([threaded, not_threaded], all_cores) == (threaded,)


def test_no_choices_have_no_front():
    assert front([], one_core) == ()


def test_of_three_members_every_subset_is_compared():
    assert subsets("abc") == [("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")]


@pytest.mark.parametrize("count", [1, 8])
def test_up_to_eight_members_have_all_their_subsets(count):
    assert len(subsets(range(count))) == 2**count - 1


@pytest.mark.parametrize("count", [9, 20])
def test_more_members_are_compared_alone_as_the_first_few_without_one_and_together(count):
    found = subsets(range(count))
    alone = {(member,) for member in range(count)}
    first = {tuple(range(size)) for size in range(1, count + 1)}
    assert set(found) == alone | first | set(combinations(range(count), count - 1))
    assert len(set(found)) == len(found)
