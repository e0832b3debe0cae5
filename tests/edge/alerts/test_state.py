"""When alerts are raised, told and over: hysteresis, patience and limits, for any course of things."""

from collections import defaultdict
from dataclasses import replace
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.alerts.memory import Memory, load, save
from edge.alerts.settings import ProblemRule, Rule
from edge.alerts.state import HOUR_NS, SECOND_NS, Reading, RuleState, State, step

MINUTE_NS = 60 * SECOND_NS
T0 = 1_795_600_800 * SECOND_NS


def rule(name: str = "a", **given: object) -> Rule:
    return ProblemRule(name=name, **{"repeat_minutes": 10.0, "clear": 0.5, **given})


def course(rules, pressures, max_per_hour=1000, state=None, every_ns=MINUTE_NS):
    """The events of a course of pressures of the first rule, one each minute: (minute, what)."""
    state, told = state or State(), []
    for minute, pressure in enumerate(pressures):
        readings = {rules[0].name: Reading(pressure, f"at {pressure}")}
        state, events = step(rules, state, readings, T0 + minute * every_ns, max_per_hour)
        told += [(minute, event.what) for event in events]
    return told


def test_it_is_raised_at_its_threshold_and_over_only_below_the_part_that_clears_it():
    assert course([rule()], [0.99, 1.0, 0.9, 0.5, 0.49, 0.9]) == [(1, "raised"), (4, "cleared")]


def test_it_must_hold_without_a_break_and_what_is_not_known_is_no_break():
    patient = rule(for_seconds=120)
    assert course([patient], [1, 1, 0.9, 1, 1, 1]) == [(5, "raised")]
    assert course([patient], [1, None, 1]) == [(2, "raised")]


def test_what_is_not_known_neither_raises_nor_ends_it():
    assert course([rule()], [None, 1, None, None, 0]) == [(1, "raised"), (4, "cleared")]


def test_while_it_lasts_it_is_told_again_after_so_long_and_only_if_wished():
    assert course([rule()], [1] * 25) == [(0, "raised"), (10, "reminder"), (20, "reminder")]
    assert course([rule(remind=False)], [1] * 25) == [(0, "raised")]


def test_one_that_comes_and_goes_is_told_once_in_so_long():
    flutter = [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
    assert course([rule()], flutter) == [(0, "raised"), (1, "cleared"), (10, "raised"), (11, "cleared")]


def test_what_came_and_went_while_nothing_could_be_told_is_not_told():
    assert course([rule()], [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]) == [(0, "raised"), (1, "cleared")]


def test_what_the_limit_of_all_holds_back_is_told_when_there_is_room_if_it_is_still_so():
    rules = [rule(str(number), severity="critical" if number == 3 else "info") for number in range(4)]
    readings = {each.name: Reading(2.0, "much") for each in rules}
    state, events = step(rules, State(), readings, T0, 2)
    assert [event.rule for event in events] == ["3", "0"]  # the most important first
    readings["1"] = Reading(0.0, "none")
    state, events = step(rules, state, readings, T0 + HOUR_NS - 1, 2)
    assert events == ()
    state, events = step(rules, state, readings, T0 + HOUR_NS, 2)
    assert [(event.rule, event.what) for event in events] == [("2", "raised"), ("3", "reminder")]


def test_of_a_rule_that_was_taken_out_it_is_told_that_it_is_over():
    state, _ = step([rule("a"), rule("b")], State(), {"a": Reading(1.0, "full")}, T0, 10)
    state, events = step([rule("b")], state, {}, T0 + 1, 10)
    assert [(event.rule, event.what, event.text) for event in events] == [("a", "cleared", "the rule was taken out")]
    assert step([rule("b")], state, {}, T0 + 2, 10) == (State({"b": RuleState()}, state.told_ns), ())


def test_a_clock_that_is_set_back_by_a_year_silences_nothing_for_longer_than_its_own_limits():
    back = T0 - 365 * 24 * HOUR_NS
    state, _ = step([rule()], State(), {"a": Reading(1.0, "full")}, T0, 10)
    state, events = step([rule()], state, {"a": Reading(1.0, "full")}, back, 10)
    assert events == ()
    _, events = step([rule()], state, {"a": Reading(1.0, "full")}, back + 10 * MINUTE_NS, 10)
    assert [event.what for event in events] == ["reminder"]


RULES = st.lists(
    st.builds(
        rule,
        st.just("a"),
        severity=st.sampled_from(["info", "warning", "critical"]),
        for_seconds=st.sampled_from([0.0, 60.0, 600.0]),
        clear=st.sampled_from([0.1, 0.5, 1.0]),
        repeat_minutes=st.sampled_from([1.0, 7.0, 60.0]),
        remind=st.booleans(),
    ),
    min_size=1,
    max_size=4,
).map(lambda rules: [replace(each, name=f"r{number}") for number, each in enumerate(rules)])
PRESSURE = st.one_of(st.none(), st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.7, 0.99, 1.0, 1.5, float("inf")]))


@st.composite
def courses(draw, least_step_seconds: int = 0):
    rules = draw(RULES)
    steps = draw(
        st.lists(
            st.tuples(
                st.integers(least_step_seconds, 1200), st.lists(PRESSURE, min_size=len(rules), max_size=len(rules))
            ),
            max_size=60,
        )
    )
    return rules, steps, draw(st.integers(1, 6))


def played(rules, steps, limit, between=lambda state: state):
    """All events, and at each step whether each rule holds."""
    state, now_ns, told, held = State(), T0, [], []
    for seconds, pressures in steps:
        now_ns += seconds * SECOND_NS
        readings = {each.name: Reading(p, str(p)) for each, p in zip(rules, pressures, strict=True)}
        state, events = step(rules, between(state), readings, now_ns, limit)
        told += events
        held.append({each.name: state.rules[each.name].raised for each in rules})
    return told, held


@settings(deadline=None)
@given(courses())
def test_in_no_hour_is_more_told_than_the_limit_of_all(given_course):
    rules, steps, limit = given_course
    told, _ = played(rules, steps, limit)
    times = [event.time_ns for event in told]
    assert all(sum(at - HOUR_NS < other <= at for other in times) <= limit for at in times)


@settings(deadline=None)
@given(courses())
def test_each_alert_is_told_as_over_at_most_once_and_only_after_it_was_told_as_raised(given_course):
    rules, steps, limit = given_course
    told, _ = played(rules, steps, limit)
    of_each = defaultdict(list)
    for event in told:
        of_each[event.rule].append(event)
    for each in rules:
        events = of_each[each.name]
        before = "cleared"
        for event in events:
            assert (event.what == "raised") == (before == "cleared"), [event.what for event in events]
            before = event.what
        loud = [event.time_ns for event in events if event.what != "cleared"]
        assert all(later - earlier >= each.repeat_minutes * MINUTE_NS for earlier, later in pairwise(loud))
        assert each.remind or all(event.what != "reminder" for event in events)


@settings(deadline=None)
@given(courses())
def test_it_begins_to_hold_only_at_the_threshold_and_ceases_only_below_the_part_that_clears(given_course):
    rules, steps, limit = given_course
    _, held = played(rules, steps, limit)
    before = dict.fromkeys((each.name for each in rules), False)
    for (_, pressures), now in zip(steps, held, strict=True):
        for each, pressure in zip(rules, pressures, strict=True):
            if now[each.name] and not before[each.name]:
                assert pressure is not None
                assert pressure >= 1
            if before[each.name] and not now[each.name]:
                assert pressure is not None
                assert pressure < each.clear
            if pressure is not None and pressure < each.clear:
                assert not now[each.name]
            if pressure is not None and pressure >= 1 and each.for_seconds == 0:
                assert now[each.name]
        before = now


@settings(deadline=None, max_examples=60)
@given(courses(), st.sets(st.integers(0, 59), max_size=3))
def test_a_restart_anywhere_changes_nothing(tmp_path_factory, given_course, restarts):
    file = tmp_path_factory.mktemp("restart") / "alerts.json"
    numbers = count()

    def restarted(state: State) -> State:
        if next(numbers) not in restarts:
            return state
        save(file, Memory(state))
        assert load(file) == Memory(state)
        return load(file).state

    rules, steps, limit = given_course
    assert played(rules, steps, limit, restarted) == played(rules, steps, limit)


def test_a_reading_without_a_limit_to_it_is_an_alert():
    assert course([rule()], [float("inf"), 0.0]) == [(0, "raised"), (1, "cleared")]


@pytest.mark.parametrize("limit", [1, 3])
def test_a_limit_delays_the_end_of_an_alert_and_does_not_lose_it(limit):
    rules = [rule(str(number), remind=False) for number in range(limit)]
    state, events = step(rules, State(), {each.name: Reading(1.0, "") for each in rules}, T0, limit)
    assert len(events) == limit
    state, events = step(rules, state, {each.name: Reading(0.0, "") for each in rules}, T0 + MINUTE_NS, limit)
    assert events == ()
    _, events = step(rules, state, {each.name: Reading(0.0, "") for each in rules}, T0 + HOUR_NS, limit)
    assert [event.what for event in events] == ["cleared"] * limit
