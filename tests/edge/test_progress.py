"""When the watchdog is fed: an idle daemon and one with an excuse are well, one that has work and does nothing is not."""

import dataclasses
import threading
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watchdog.observers.inotify_c import InotifyFD

from edge.daemon.progress import Look, Progress
from edge.intake.watch import Watcher

WORK = {
    "files that are ready": Look(ready=3),
    "files in the workers' hands": Look(in_hand=64),
    "verdicts that are not written": Look(unrecorded=7),
    "files that nobody looks for": Look(forgotten=True),
    "a ledger that something holds": Look(locked=True),
}


def judged(looks: Iterable[Look], stuck_seconds: float = 10.0, turn_seconds: float = 1.0) -> list[bool]:
    progress = Progress(stuck_seconds)
    return [progress.alive(number * turn_seconds, look) for number, look in enumerate(looks)]


def test_an_idle_daemon_is_well_for_ever():
    assert all(judged([Look(steps=5)] * 1000))


@pytest.mark.parametrize("look", WORK.values(), ids=WORK)
def test_work_that_stands_still_is_a_hang_after_the_patience_and_not_before(look):
    assert judged([look] * 12) == [True] * 10 + [False] * 2


@pytest.mark.parametrize("look", WORK.values(), ids=WORK)
def test_work_that_stands_still_for_a_known_cause_is_none(look):
    assert all(judged([dataclasses.replace(look, excuse="the disk is full")] * 100))


def test_a_full_disk_that_is_over_gives_the_whole_patience_anew():
    full = Look(ready=1, excuse="the disk is full")
    assert judged([Look(ready=1)] * 9 + [full] * 50 + [Look(ready=1)] * 11) == [True] * 68 + [False] * 2


def test_a_slow_pipeline_is_no_hang():
    """One batch in nine seconds, for ever behind."""
    assert all(judged([Look(steps=second // 9, ready=20_000, in_hand=2) for second in range(500)]))


def test_files_that_settle_are_no_work_yet():
    """They are neither ready nor in hand, and the ledger's waiting files are held."""
    assert all(judged([Look()] * 500))


def test_a_hang_that_ends_is_forgiven():
    progress = Progress(2.0)
    looks = [Look(ready=1)] * 4 + [Look(steps=1, ready=1)]
    assert [progress.alive(float(now), look) for now, look in enumerate(looks)] == [True, True, False, False, True]
    assert progress.problem is None


def test_a_dead_ear_is_found_out_though_nothing_waits_and_things_are_done():
    looks = [Look(steps=second, deaf=second > 5) for second in range(20)]
    assert judged(looks) == [True] * 15 + [False] * 5


def test_an_ear_that_is_made_anew_in_time_is_well():
    assert all(judged([Look(deaf=second % 8 != 0) for second in range(100)]))


def test_a_machine_that_slept_did_not_hang():
    progress = Progress(300.0)
    assert progress.alive(0.0, Look(ready=1))
    assert progress.alive(86_400.0, Look(ready=1))


def test_the_problem_says_what_stands_still():
    progress = Progress(2.0)
    for now in range(4):
        progress.alive(float(now), Look(ready=3, in_hand=64))
    assert progress.problem == (
        "nothing was done for 3 s although 3 files are ready and 64 files are in the workers' hands"
    )


def test_a_count_below_nothing_is_refused():
    with pytest.raises(ValueError, match="cannot be -1"):
        Look(in_hand=-1)


def test_the_watcher_tells_when_a_thread_that_hears_has_ended(tmp_path):
    with Watcher(tmp_path, True, 60.0) as watcher:
        assert not watcher.deaf
        (hears,) = [thread for thread in threading.enumerate() if isinstance(thread, InotifyFD)]
        hears.stop()
        hears.join()
        assert watcher.deaf


def test_a_watcher_whose_folder_went_away_is_not_deaf_and_neither_is_one_whose_folder_came_back(tmp_path):
    folder = tmp_path / "capture"
    folder.mkdir()
    now = 0.0
    with Watcher(folder, True, 60.0, lambda: now) as watcher:
        folder.rmdir()
        now = 10.0
        watcher.poll(0.0)
        assert (watcher.here, watcher.deaf) == (False, False)
        folder.mkdir()
        now = 20.0
        watcher.poll(0.0)
        assert (watcher.here, watcher.deaf) == (True, False)


looks = st.builds(
    Look,
    steps=st.integers(0, 3),
    ready=st.integers(0, 2),
    in_hand=st.integers(0, 2),
    unrecorded=st.integers(0, 2),
    forgotten=st.booleans(),
    locked=st.booleans(),
    deaf=st.booleans(),
    excuse=st.sampled_from([None, "away"]),
)


@given(st.lists(looks, max_size=60))
def test_whoever_is_called_stuck_had_work_and_no_excuse_in_every_turn_of_the_patience(seen):
    """The claim itself, against a judge that remembers everything."""
    for number, alive in enumerate(judged(seen, stuck_seconds=5.0)):
        if number < 5:
            assert alive
            continue
        window, before = seen[number - 4 : number + 1], seen[number - 5 : number]
        still = all(
            look.excuse is None and (look.ready or look.in_hand or look.unrecorded or look.forgotten or look.locked)
            for look in window
        ) and all(one.steps == other.steps for one, other in zip(before, window, strict=True))
        deaf = all(look.deaf and look.excuse is None for look in window)
        assert alive == (not still and not deaf)
