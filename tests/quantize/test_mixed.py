from collections.abc import Set

from quantize.mixed import search


def passes_with(*needed: str):
    """An attempt that passes once all of `needed` stay in float32, and the list of what was tried."""
    tried: list[Set[str]] = []

    def attempt(in_float: Set[str]) -> tuple[str, bool]:
        tried.append(in_float)
        return f"{len(in_float)} in float", set(needed) <= in_float

    return attempt, tried


def test_where_int8_throughout_passes_nothing_is_ranked():
    attempt, tried = passes_with()
    found = search(attempt, lambda: (_ for _ in ()).throw(AssertionError("ranked")), 8)
    assert (found.in_float, found.result, found.passed) == ((), "0 in float", True)
    assert tried == [frozenset()]


def test_the_most_harmful_are_left_in_float_1_2_4_at_a_time_until_the_gates_hold():
    attempt, tried = passes_with("a", "c")
    found = search(attempt, lambda: ["a", "b", "c", "d", "e", "f"], 8)
    assert (found.in_float, found.passed) == (("a", "b", "c", "d"), True)
    assert [len(each) for each in tried] == [0, 1, 2, 4]


def test_no_more_than_the_limit_are_left_in_float_and_the_last_attempt_is_what_failed():
    attempt, tried = passes_with("f")
    found = search(attempt, lambda: ["a", "b", "c", "d", "e", "f"], 5)
    assert (found.in_float, found.result, found.passed) == (("a", "b", "c", "d", "e"), "5 in float", False)
    assert [len(each) for each in tried] == [0, 1, 2, 4, 5]


def test_a_limit_of_none_tries_int8_throughout_alone():
    attempt, tried = passes_with("a")
    assert search(attempt, lambda: ["a"], 0).in_float == ()
    assert tried == [frozenset()]
