"""When a file may be read: pure, with time as an argument."""

from edge.intake.files import Found
from edge.intake.settle import Candidate, Settling

SECOND = 1_000_000_000
HALF, WHOLE = Found("a.png", 10, 1 * SECOND), Found("a.png", 20, 2 * SECOND)


def ready(settling: Settling) -> list[Candidate]:
    return settling.take(100)


def test_a_closed_file_is_ready_at_once_but_not_settled():
    settling = Settling(2.0)
    settling.notice(WHOLE, closed=True, age_seconds=0.0, now=0.0)
    assert ready(settling) == [Candidate(WHOLE, settled=False)]


def test_a_found_file_that_is_old_enough_is_ready_and_settled():
    settling = Settling(2.0)
    settling.notice(WHOLE, closed=False, age_seconds=2.0, now=0.0)
    assert ready(settling) == [Candidate(WHOLE, settled=True)]


def test_a_found_young_file_is_ready_once_it_stayed_the_same_for_settle_seconds():
    settling = Settling(2.0)
    settling.notice(WHOLE, closed=False, age_seconds=1.9, now=100.0)
    assert settling.mature(101.9, lambda _path: WHOLE) == []
    assert ready(settling) == []
    assert "a.png" in settling
    settling.mature(102.0, lambda _path: WHOLE)
    assert ready(settling) == [Candidate(WHOLE, settled=True)]
    assert "a.png" not in settling


def test_a_file_with_another_name_is_forgotten_waiting_or_ready():
    settling = Settling(2.0)
    settling.notice(WHOLE, closed=False, age_seconds=0.0, now=0.0)
    settling.forget("a.png")
    assert "a.png" not in settling
    settling.notice(WHOLE, closed=True, age_seconds=0.0, now=0.0)
    settling.forget("a.png")
    assert ready(settling) == []
    settling.forget("never-seen.png")


def test_a_file_that_changed_meanwhile_waits_anew():
    settling = Settling(2.0)
    settling.notice(HALF, closed=False, age_seconds=0.0, now=0.0)
    settling.mature(2.0, lambda _path: WHOLE)
    assert (ready(settling), len(settling)) == ([], 1)
    settling.mature(3.9, lambda _path: WHOLE)
    assert ready(settling) == []
    settling.mature(4.0, lambda _path: WHOLE)
    assert ready(settling) == [Candidate(WHOLE, settled=True)]


def test_a_file_of_the_future_settles_too():
    """The camera's clock may be ahead of ours: its files have a negative age."""
    settling = Settling(2.0)
    settling.notice(WHOLE, closed=False, age_seconds=-3600.0, now=0.0)
    settling.mature(2.0, lambda _path: WHOLE)
    assert ready(settling) == [Candidate(WHOLE, settled=True)]


def test_being_noticed_again_unchanged_does_not_prolong_the_wait():
    settling = Settling(2.0)
    for now in (0.0, 1.0, 1.9):
        settling.notice(WHOLE, closed=False, age_seconds=now, now=now)
    settling.mature(2.0, lambda _path: WHOLE)
    assert ready(settling) == [Candidate(WHOLE, settled=True)]


def test_closing_ends_the_wait():
    settling = Settling(2.0)
    settling.notice(HALF, closed=False, age_seconds=0.0, now=0.0)
    settling.notice(WHOLE, closed=True, age_seconds=0.0, now=0.1)
    assert ready(settling) == [Candidate(WHOLE, settled=False)]
    assert len(settling) == 0


def test_a_file_deferred_by_its_reader_waits_to_settle():
    settling = Settling(2.0)
    settling.notice(HALF, closed=True, age_seconds=0.0, now=0.0)
    assert ready(settling) == [Candidate(HALF, settled=False)]
    settling.defer(HALF, 0.1)
    settling.mature(2.1, lambda _path: HALF)
    assert ready(settling) == [Candidate(HALF, settled=True)]


def test_a_file_that_is_gone_is_named_and_forgotten():
    settling = Settling(2.0)
    settling.notice(WHOLE, closed=False, age_seconds=0.0, now=0.0)
    assert settling.mature(2.0, lambda _path: None) == ["a.png"]
    assert (ready(settling), len(settling)) == ([], 0)


def test_files_are_taken_in_the_order_in_which_they_became_ready_each_once():
    settling = Settling(2.0)
    files = [Found(f"{number}.png", 1, 1) for number in range(5)]
    for file in files:
        settling.notice(file, closed=True, age_seconds=0.0, now=0.0)
    assert settling.ready == 5
    assert [candidate.found for candidate in settling.take(2)] == files[:2]
    assert [candidate.found for candidate in settling.take(2)] == files[2:4]
    assert [candidate.found for candidate in settling.take(2)] == files[4:]
    assert settling.take(2) == []


def test_the_newest_can_be_taken_first():
    settling = Settling(2.0)
    files = [Found(f"{number}.png", 1, 1) for number in range(5)]
    for file in files:
        settling.notice(file, closed=True, age_seconds=0.0, now=0.0)
    assert [candidate.found for candidate in settling.take(2, newest_first=True)] == [files[4], files[3]]
    assert [candidate.found for candidate in settling.take(2)] == [files[0], files[1]]
    assert [candidate.found for candidate in settling.take(2, newest_first=True)] == [files[2]]


def test_more_ready_files_than_there_is_room_for_are_let_go_those_that_came_first():
    settling = Settling(2.0)
    files = [Found(f"{number}.png", 1, 1) for number in range(5)]
    for file in files:
        settling.notice(file, closed=True, age_seconds=0.0, now=0.0)
    settling.notice(Found("young.png", 1, 1), closed=False, age_seconds=0.0, now=0.0)
    assert not settling.let_go(5), "those that wait to settle are not ready"
    assert settling.let_go(2)
    assert "2.png" not in settling
    assert "young.png" in settling
    assert [candidate.found for candidate in settling.take(100)] == files[3:]


def test_a_file_can_be_deferred_for_another_time_than_it_takes_to_settle():
    settling = Settling(2.0)
    settling.defer(WHOLE, 0.0, seconds=8.0)
    settling.mature(7.9, lambda _path: WHOLE)
    assert ready(settling) == []
    settling.mature(8.0, lambda _path: WHOLE)
    assert ready(settling) == [Candidate(WHOLE, settled=True)]
