"""The workers: what comes back of a batch, and what of a worker that dies, hangs or cannot start."""

import contextlib
import fcntl
import hashlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from bundle.errors import PlanktowError
from bundle.folder import open_bundle
from edge.capture.timesettings import TimeSettings
from edge.daemon.outcome import Again, Counted, Outcome, Rejected
from edge.daemon.pool import Pool, Returned
from edge.daemon.worker import Failure, Task
from edge.intake.files import look
from edge.intake.inhand import InHand
from edge.intake.settle import Candidate
from edge.ledger.ledger import open_ledger

from .conftest import Ship, until
from .images import TINY_BUNDLE, image_bytes, kind_of

# A decoder that takes its time over images of a given content, or for ever: for every Python process.
SLOW = """
import hashlib, os, time
import cv2

slow, seconds = os.environ["SLOW"].split()
decode = cv2.imdecode


def decode_slowly(data, flags):
    if slow == "all" or hashlib.sha256(data.tobytes()).hexdigest() == slow:
        time.sleep(float(seconds))
    return decode(data, flags)


cv2.imdecode = decode_slowly
"""


@pytest.fixture
def task(tmp_path: Path) -> Iterator[Task]:
    watch = tmp_path / "capture"
    watch.mkdir()
    ledger = tmp_path / "ledger.sqlite"
    with open_ledger(ledger), InHand(ledger):
        yield Task(watch, ledger, open_bundle(TINY_BUNDLE), TimeSettings(), 1 << 28, False)


def put(task: Task, name: str, data: bytes) -> Candidate:
    (task.root / name).write_bytes(data)
    found = look(task.root, name)
    assert found is not None
    return Candidate(found, settled=True)


def some(task: Task, count: int) -> list[Candidate]:
    return [put(task, f"{number:03d}.png", image_bytes(kind_of(number), number)) for number in range(count)]


def back(pool: Pool, batches: int = 1) -> list[Returned]:
    returned: list[Returned] = []

    def done() -> bool:
        pool.wait([], 0.1)
        returned.extend(pool.collect())
        return len(returned) >= batches

    until(done)
    assert len(returned) == batches
    return returned


def results(returned: Returned) -> list[Outcome | Failure | None]:
    assert returned.report is not None
    return returned.report.results


def test_each_file_of_a_batch_has_its_result_in_its_place(task):
    batch = [
        put(task, "a.png", image_bytes("jelly")),
        put(task, "b.png", b"no image"),
        put(task, "c.png", image_bytes("jelly")),
        put(task, "gone.png", image_bytes("chain")),
        put(task, "d.png", image_bytes("chain")),
    ]
    (task.root / "gone.png").unlink()
    with closing(Pool(task, 2, time.monotonic)) as pool:
        pool.give(batch)
        (returned,) = back(pool)
        assert [type(result) for result in results(returned)] == [Counted, Rejected, Again, type(None), Counted]
        assert [result.found for result in results(returned) if result] == [
            batch[place].found for place in (0, 1, 2, 4)
        ]
        assert (pool.in_hand, pool.room) == ([], 4)


def test_a_file_that_cannot_be_read_now_is_told_with_its_errno(task):
    loop = task.root / "loop.png"
    candidate = put(task, "loop.png", b"x")
    loop.unlink()
    loop.symlink_to("loop.png")
    with closing(Pool(task, 1, time.monotonic)) as pool:
        pool.give([candidate])
        assert results(back(pool)[0]) == [Failure(40, os.strerror(40))]


def test_batches_that_no_socket_holds_come_back_whole(task):
    whole = some(task, 3)
    far = "/".join(["x" * 250] * 15)  # no such folder
    batch = [Candidate(type(whole[0].found)(f"{far}/{number}.png", 1, 1), settled=True) for number in range(1000)]
    with closing(Pool(task, 1, time.monotonic)) as pool:
        pool.give(batch)
        pool.give([*batch, *whole])
        first, second = back(pool, 2)
        assert results(first) == [None] * 1000
        assert [type(result) for result in results(second)[1000:]] == [Counted] * 3


def test_what_a_killed_worker_had_comes_back_and_only_the_batch_in_hand_is_guilty(task, tmp_path, monkeypatch):
    files = some(task, 4)
    first, second = files[:2], files[2:]
    hold(tmp_path, monkeypatch, "all", 60)
    with closing(Pool(task, 1, time.monotonic)) as pool:
        pool.give(first)
        pool.give(second)
        until(lambda: not pool.collect() and pool.ready)
        (worker,) = children(os.getpid())
        os.kill(worker, signal.SIGKILL)
        returned = back(pool, 2)
        assert [(each.batch, each.report, each.guilty) for each in returned] == [
            (first, None, True),
            (second, None, False),
        ]
        assert children(os.getpid()) != [worker], "another is in its place"


def test_a_worker_that_hangs_is_replaced_and_one_that_is_slow_is_not(task, tmp_path, monkeypatch):
    files = some(task, 5)
    hanging, others = files[:1], files[1:]
    hold(tmp_path, monkeypatch, hashlib.sha256(image_bytes(kind_of(0), 0)).hexdigest(), 3600)
    with closing(Pool(task, 1, time.monotonic, stall_seconds=3)) as pool:
        pool.give(hanging)
        (returned,) = back(pool)
        assert (returned.batch, returned.report, returned.guilty) == (hanging, None, True)
        monkeypatch.setenv("SLOW", "all 1.2")
        (old,) = children(os.getpid())
        os.kill(old, signal.SIGKILL)  # the next one has the new speed
        until(lambda: not pool.collect() and old not in children(os.getpid()) and pool.ready)
        pool.give(others)
        (returned,) = back(pool)  # 5 s of work
        assert [type(result) for result in results(returned)] == [Counted] * 4


def test_a_pool_whose_workers_cannot_start_says_so(task, capfd):
    task.ledger.unlink()
    pool = Pool(task, 1, time.monotonic)
    with closing(pool), pytest.raises(PlanktowError, match="ended 3 times before it was ready"):
        until(lambda: pool.collect())
    assert "no such ledger" in capfd.readouterr().err


def test_a_large_image_waits_while_another_is_held_and_small_ones_do_not(task):
    noise = np.random.default_rng(1).integers(0, 255, (2100, 2100), np.uint8)
    large = put(task, "large.bmp", cv2.imencode(".bmp", noise)[1].tobytes())
    with closing(Pool(task, 2, time.monotonic)) as pool, Path(f"{task.ledger}.inhand").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        pool.give([large])
        pool.give(some(task, 3))
        (returned,) = back(pool)
        assert [type(result) for result in results(returned)] == [Counted] * 3
        fcntl.flock(file, fcntl.LOCK_UN)
        assert [type(result) for result in results(back(pool)[0])] == [Counted]


def test_workers_killed_again_and_again_lose_and_double_nothing(ship: Ship):
    images = 600
    ship.start(workers=2, batch_images=8)
    for number in range(images):
        (ship.watch / f"{number:03d}.png").write_bytes(image_bytes(kind_of(number), number))
        if number % 100 == 99:
            until(lambda: ship.accounting()["counted"] >= number - 50)  # noqa: B023
            os.kill(children(ship.process.pid)[number // 100 % 2], signal.SIGKILL)
    ship.await_accounting(counted=images)
    assert ship.verdicts() == {f"{number:03d}.png": kind_of(number) for number in range(images)}
    assert ship.stop() == 0


def test_the_workers_end_when_the_daemon_is_killed(ship: Ship):
    ship.start(workers=2)
    until(lambda: len(children(ship.process.pid)) == 2)
    workers = children(ship.process.pid)
    ship.kill()
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def hold(folder: Path, monkeypatch, which: str, seconds: float) -> None:
    """Every Python process that starts from now on decodes these images so slowly."""
    (folder / "sitecustomize.py").write_text(SLOW)  # Python runs it when it starts
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("SLOW", f"{which} {seconds}")


def children(process: int) -> list[int]:
    """The workers of a process."""
    found = []
    for child in psutil.Process(process).children():  # not /proc/PID/task/PID/children, which may miss some
        with contextlib.suppress(psutil.Error):
            if "edge.daemon.worker" in " ".join(child.cmdline()):
                found.append(child.pid)
    return found
