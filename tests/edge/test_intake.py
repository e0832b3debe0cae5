"""What is read next, with more files than memory may hold: real files, the real watcher and ledger, a clock of the test."""

import os
import select
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge.capture.capture import Capture
from edge.config import EdgeConfig
from edge.daemon.outcome import Rejected, Unread
from edge.intake.files import Found
from edge.intake.intake import Intake
from edge.intake.overload import OverloadSettings
from edge.intake.settle import Candidate
from edge.intake.watch import Watcher
from edge.ledger.ledger import open_ledger
from edge.shards.shards import Shards

NOW_NS = 1_800_000_000_000_000_000
HELD = 50


class Deck:
    """A folder, its ledger, and the intakes that run on them, one after another; what is taken is decided on at once."""

    def __init__(self, base: Path, stack: ExitStack) -> None:
        self.watch, self.now = base / "capture", 0.0
        self.watch.mkdir()
        self.ledger = stack.enter_context(open_ledger(base / "ledger.sqlite"))
        self._stack = stack

    def start(self, policy: str = "keep", recursive: bool = True, retry_seconds: float = 60.0) -> Intake:
        config = EdgeConfig(
            watch=self.watch,
            settle_seconds=2.0,
            recursive=recursive,
            retry_seconds=retry_seconds,
            overload=OverloadSettings(policy),
        )
        self.watcher = self._stack.enter_context(Watcher(self.watch, recursive, 3600.0))
        shards = self._stack.enter_context(Shards(self.watch))
        self.intake = Intake(config, self.ledger, self.watcher, shards, lambda: NOW_NS, lambda: self.now, held=HELD)
        return self.intake

    def put(self, name: str, mtime_s: int = 1_700_000_000) -> Path:
        """A file that settled long ago, with content of its own."""
        file = self.watch / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(os.fsencode(name))
        os.utime(file, (mtime_s, mtime_s))
        return file

    def turn(self) -> None:
        self.intake.turn(0.0)

    def decide(self, candidates: list[Candidate]) -> list[str]:
        outcomes = [
            Rejected(
                each.found,
                each.found.path.encode(errors="surrogateescape").ljust(32)[-32:],
                Capture(0, "mtime"),
                "foreign",
                "",
            )
            for each in candidates
        ]
        self.ledger.record(outcomes, 1, NOW_NS)
        for each in candidates:
            self.intake.done(each)
        return [each.found.path for each in candidates]

    def work(self, most_turns: int = 300) -> list[str]:
        """Turns until nothing waits; the paths in the order in which they were taken."""
        order: list[str] = []
        for _ in range(most_turns):
            self.turn()
            assert self.held() <= HELD
            order += self.decide(self.intake.take(16))
            self.now += 0.5
            if self.watcher.passes and not self.ledger.waiting_count() and not self.intake.ready:
                return order
        raise AssertionError(f"{self.ledger.waiting_count()} wait still, {len(order)} were taken")

    def held(self) -> int:
        return len(self.intake._settling)

    def accounts(self) -> dict[str, int]:
        names = ("seen", "rejected", "waiting", "dropped", "duplicates")
        row = self.ledger.connection.execute(f"SELECT {', '.join(names)} FROM accounting").fetchone()
        return dict(zip(names, row, strict=True))

    def reasons(self) -> dict[str, str]:
        return dict(self.ledger.connection.execute("SELECT path, reason FROM sighting WHERE reason IS NOT NULL"))


@pytest.fixture
def deck(tmp_path: Path) -> Iterator[Deck]:
    with ExitStack() as stack:
        yield Deck(tmp_path, stack)


@pytest.mark.parametrize("policy", ["keep", "newest"])
def test_of_more_files_than_memory_holds_each_is_taken_once(deck, policy: str):
    names = {deck.put(f"{number:04d}.png").name for number in range(10 * HELD)}
    deck.start(policy)
    order = deck.work()
    assert (len(order), set(order)) == (len(names), names)
    assert deck.accounts() == {"seen": 500, "rejected": 500, "waiting": 0, "dropped": 0, "duplicates": 0}


def test_with_the_policy_newest_the_last_are_taken_first_whatever_the_order_of_the_folder(deck):
    for number in range(4 * HELD):
        deck.put(f"{number:04d}.png", 1_700_000_000 + (number * 37) % 200)
    by_age = sorted(
        (file.name for file in deck.watch.iterdir()),
        key=lambda name: (deck.watch / name).stat().st_mtime,
        reverse=True,
    )
    deck.start("newest")
    order = deck.work()
    assert order[:32] == by_age[:32]
    assert sorted(order) == sorted(by_age)


def test_a_live_file_goes_before_a_backlog_with_the_policy_newest_and_behind_it_without(deck):
    for policy, place in (("newest", 0), ("keep", HELD)):
        backlog = [deck.put(f"{policy}/{number:04d}.png", 1_700_000_000 + number) for number in range(HELD)]
        deck.start(policy)
        deck.turn()
        deck.put(f"{policy}/live.png", 1_700_001_000)
        assert select.select([deck.watcher.news], [], [], 60)[0], "the system tells of it"
        order = deck.work()
        assert (order.index(f"{policy}/live.png"), len(order)) == (place, len(backlog) + 1)


def test_a_restart_goes_on_with_what_waits_in_the_ledger_without_a_scan_that_finds_it(deck):
    names = {deck.put(f"tow1/{number:04d}.png").name for number in range(3 * HELD)}
    deck.start()
    while deck.accounts()["seen"] < 3 * HELD:
        deck.turn()
    deck.start(recursive=False)  # a scan of this one does not come there
    order = deck.work()
    assert {Path(path).name for path in order} == names
    assert len(order) == 3 * HELD


@pytest.mark.parametrize("way", ["held", "only in the ledger"])
def test_a_waiting_file_that_is_deleted_before_it_was_read_ends_as_vanished(deck, way: str):
    count = 3 if way == "held" else 3 * HELD
    files = [deck.put(f"{number:04d}.png") for number in range(count)]
    deck.start()
    while deck.accounts()["seen"] < count:
        deck.turn()
    for file in files[:2]:
        file.unlink()
    for candidate in deck.intake.take(HELD):
        if (deck.watch / candidate.found.path).exists():
            deck.decide([candidate])
        else:
            deck.intake.defer(candidate)
    deck.work()
    assert deck.reasons() == {"0000.png": "vanished", "0001.png": "vanished"}
    assert deck.accounts()["seen"] == deck.accounts()["rejected"] == count
    assert deck.intake.lost == 2


def test_files_of_one_size_and_second_that_are_deleted_are_each_told_as_vanished(deck):
    """As a tar of raw frames has them, or a stick with FAT: that looks like renaming, and must not be taken for it."""
    for number in range(10):
        deck.put(f"{number}.png")
    deck.start()
    deck.turn()
    for candidate in deck.intake.take(10):
        (deck.watch / candidate.found.path).unlink()
        deck.intake.defer(candidate)
    deck.work()
    assert deck.reasons() == {f"{number}.png": "vanished" for number in range(10)}


def test_while_the_whole_folder_is_away_nothing_vanishes_and_then_all_is_taken(deck):
    for number in range(2 * HELD):
        deck.put(f"{number:04d}.png")
    deck.start()
    while deck.accounts()["seen"] < 2 * HELD:
        deck.turn()
    away = deck.watch.with_name("unmounted")
    deck.watch.rename(away)
    for candidate in deck.intake.take(HELD):
        deck.intake.defer(candidate)
    for _ in range(20):
        deck.turn()
        deck.now += 1.0
    assert deck.accounts() == {"seen": 100, "rejected": 0, "waiting": 100, "dropped": 0, "duplicates": 0}
    away.rename(deck.watch)
    assert len(deck.work()) == 2 * HELD
    assert deck.intake.lost == 0


def test_names_that_are_not_utf8_come_back_from_the_ledger_as_they_are_on_disk(deck):
    names = {os.fsdecode(b"tow\xe9/caf\xe9 %d.png" % number) for number in range(3 * HELD)} | {r"tow/literal \xe9.png"}
    for name in names:
        deck.put(name)
    deck.start()
    while deck.accounts()["seen"] < len(names):
        deck.turn()
    deck.start(recursive=False)
    order = deck.work()
    assert (set(order), len(order)) == (names, len(names))
    assert deck.accounts()["seen"] == len(names)


def test_a_file_that_cannot_be_read_is_tried_again_after_1_2_and_4_seconds_then_rejected_and_then_once_a_scan(deck):
    deck.put("a.png")
    error = PermissionError(13, "Permission denied")
    deck.start(retry_seconds=7.0)
    tries, unread = [], None
    while unread is None:
        deck.turn()
        for candidate in deck.intake.take(1):
            tries.append(deck.now)
            unread = deck.intake.failed(candidate, error)
        deck.now += 0.25
    assert tries == [0.0, 1.0, 3.0, 7.0]
    (found,) = [Found("a.png", 5, 1_700_000_000_000_000_000)]
    assert unread == Unread(found, "unreadable", "Permission denied")
    deck.ledger.record([unread], 1, NOW_NS)
    for _ in range(2):
        deck.watcher.rescan()
        deck.turn()
        (again,) = deck.intake.take(16)
        assert deck.intake.failed(again, error) == unread
        assert deck.held() == 0, "thousands of such files must not fill the memory for those that can be read"
    deck.watcher.rescan()
    deck.turn()
    deck.decide(deck.intake.take(16))
    assert deck.accounts() == {"seen": 1, "rejected": 1, "waiting": 0, "dropped": 0, "duplicates": 0}
    assert deck.reasons() == {}


def test_our_own_want_of_handles_is_no_fault_of_the_file(deck):
    deck.put("a.png")
    deck.start()
    deck.turn()
    (candidate,) = deck.intake.take(1)
    with pytest.raises(OSError, match="Too many open files"):
        deck.intake.failed(candidate, OSError(24, "Too many open files"))
