"""The parts of a swap: workers replaced one after another, and the eye on the path that a bundle stands at."""

import os
import shutil
import signal
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bundle.folder import Bundle, open_bundle
from edge.capture.timesettings import TimeSettings
from edge.config import EdgeConfig, read_config
from edge.daemon.outcome import Counted
from edge.daemon.pool import Pool
from edge.daemon.worker import Task
from edge.intake.files import look as look_at
from edge.intake.inhand import InHand
from edge.intake.settle import Candidate
from edge.ledger.ledger import open_ledger
from edge.swap.lookout import Lookout, look

from .conftest import until
from .images import TINY_BUNDLE, image_bytes, kind_of
from .second import second_bundle, turn


@pytest.fixture
def second(tmp_path: Path) -> Bundle:
    return second_bundle(tmp_path / "second")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    watch, ledger = tmp_path / "images", tmp_path / "l.sqlite"
    watch.mkdir()
    with open_ledger(ledger), InHand(ledger):
        yield Task(watch, ledger, open_bundle(TINY_BUNDLE), TimeSettings(), 1 << 28, False)


def batch_of(task: Task, numbers: range) -> list[Candidate]:
    for number in numbers:
        (task.root / f"{number:04d}.png").write_bytes(image_bytes(kind_of(number), number))
    return [Candidate(look_at(task.root, f"{number:04d}.png"), settled=True) for number in numbers]


def test_batches_in_hand_end_with_the_bundle_they_began_with_and_say_so(task, second):
    with closing(Pool(task, 1, time.monotonic)) as pool:
        pool.give(batch_of(task, range(40)))
        pool.give(batch_of(task, range(40, 80)))
        pool.renew(replace(task, bundle=second))
        returned, late = [], None
        deadline = time.monotonic() + 60
        while (len(returned) < 3 or pool.renewing) and time.monotonic() < deadline:
            pool.wait([], 0.1)
            returned += pool.collect()
            if late is None and not pool.on_trial:
                pool.give(late := batch_of(task, range(80, 90)))
    assert [len(each.batch) for each in returned if each.digest == task.bundle.digest] == [40, 40]
    assert [each.batch for each in returned if each.digest == second.digest] == [late]
    assert all(isinstance(result, Counted) for each in returned for result in each.report.results)


def test_a_task_that_no_worker_can_load_is_given_up_and_the_workers_before_go_on(task, second):
    file = "members/01-tiny.tflite"
    broken = replace(second, contents={**second.contents, file: b"no model"})
    with closing(Pool(task, 2, time.monotonic)) as pool:
        pool.renew(replace(task, bundle=broken))
        refusals: list[str] = []

        def refused() -> bool:
            pool.wait([], 0.1)
            assert pool.collect() == []
            refusals.extend(filter(None, [pool.refusal()]))
            return bool(refusals)

        until(refused)
        assert "01-tiny.tflite" in refusals[0]
        assert not pool.renewing
        pool.give(batch_of(task, range(5)))
        returned = []
        until(lambda: pool.wait([], 0.1) or returned.extend(pool.collect()) or returned)
        assert [each.digest for each in returned] == [task.bundle.digest]


def test_a_worker_that_dies_while_another_comes_is_replaced_and_its_batch_comes_back(task, second):
    with closing(Pool(task, 2, time.monotonic)) as pool:
        until(lambda: not pool.collect() and pool.ready)
        pool.renew(replace(task, bundle=second))
        pool.collect()
        before = [int(child) for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
        os.kill(before[0], signal.SIGKILL)
        until(lambda: pool.wait([], 0.1) or (not pool.collect() and not pool.renewing))
        pool.give(batch_of(task, range(5)))
        returned = []
        until(lambda: pool.wait([], 0.1) or returned.extend(pool.collect()) or returned)
        assert [each.digest for each in returned] == [second.digest]
        assert pool.count == 2


def opened_by(lookout: Lookout, clock: list[float]) -> Bundle | None:
    """What comes of the next look."""
    clock[0] += 3
    found = lookout.turn()
    deadline = time.monotonic() + 60
    while lookout.busy and time.monotonic() < deadline:
        found = lookout.turn()
        time.sleep(0.02)
    return found


def test_a_copy_of_the_same_bundle_at_the_path_is_no_news(tmp_path, second):
    link, clock = tmp_path / "current", [0.0]
    link.symlink_to(second.path)
    shutil.copytree(second.path, tmp_path / "copy")
    with closing(Lookout("bundle", link, look(link), second.digest, lambda _: None, lambda: clock[0])) as lookout:
        turn(link, tmp_path / "copy")
        assert (opened_by(lookout, clock), lookout.problem) == (None, None)


def test_a_bundle_that_workers_refused_is_given_again_after_a_minute(tmp_path, second):
    link, clock = tmp_path / "current", [0.0]
    link.symlink_to(TINY_BUNDLE)
    tiny = open_bundle(TINY_BUNDLE)
    with closing(Lookout("bundle", link, look(link), tiny.digest, lambda _: None, lambda: clock[0])) as lookout:
        turn(link, second.path)
        assert opened_by(lookout, clock) == second
        lookout.refuse("no memory")
        assert lookout.problem == "the new bundle is refused, the one before stays: no memory"
        assert opened_by(lookout, clock) is None
        clock[0] += 60
        assert opened_by(lookout, clock) == second
        assert lookout.problem is None


def test_a_bundle_renamed_to_the_path_is_another_one(tmp_path, second):
    path, clock = tmp_path / "bundle", [0.0]
    shutil.copytree(TINY_BUNDLE, path)
    tiny = open_bundle(path)
    with closing(Lookout("bundle", path, look(path), tiny.digest, lambda _: None, lambda: clock[0])) as lookout:
        path.rename(tmp_path / "old")
        second.path.rename(path)
        assert opened_by(lookout, clock).digest == second.digest


def test_the_settings_name_a_shadow_relative_to_their_file(tmp_path):
    (tmp_path / "edge.toml").write_text('[shadow]\nbundle = "next"\nshare = 0.5\n')
    assert read_config(tmp_path / "edge.toml").shadow.folder == tmp_path / "next"
    assert EdgeConfig().shadow.folder is None
