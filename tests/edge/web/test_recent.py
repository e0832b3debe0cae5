"""What was counted in the last minutes: read a little at a time, and always what a look at the whole would give."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from edge.ledger.ledgerfile import open_ledger_readonly
from edge.ledger.migrations import migrate
from edge.web.backlog import Backlog, Queue
from edge.web.recent import SLOT_NS, WINDOW_NS, Recent, first_since, read_latest

from .aboard import NOW_NS as NOW
from .aboard import SECOND


class Stock:
    """A ledger whose images were counted when the test says; its connection is the writer's."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.connection = connect(file, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = OFF")
        migrate(self.connection)
        self.connection.execute(
            "INSERT INTO bundle (id, digest, name, labels, opened_ns) VALUES (1, 'ab', 'one', '[\"a\", \"b\", \"c\"]', 0)"
        )

    def counted(self, age: int, label: int = 0, aside: str | None = None) -> None:
        """An image that was counted so many seconds before NOW."""
        made = self.connection.execute(
            "INSERT INTO image (sha256, bytes, width, height, capture_ns, time_source, aside)"
            " VALUES (randomblob(32), 1, 2, 2, 0, 'mtime', ?)",
            (aside,),
        )
        self.connection.execute(
            "INSERT INTO verdict (image_id, bundle_id, label, votes, score, classified_ns, asked)"
            " VALUES (?, 1, ?, 3, 0.5, ?, 3)",
            (made.lastrowid, label, NOW - age * SECOND),
        )


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[Stock]:
    stocked = Stock(tmp_path / "ledger.sqlite")
    with closing(stocked.connection):
        yield stocked


def counted(stock: Stock, ages: list[int], label: int = 0) -> None:
    for age in ages:
        stock.counted(age, label)


def looked(stock: Stock, recent: Recent, now_ns: int = NOW) -> dict:
    with closing(open_ledger_readonly(stock.file)) as connection:
        recent.look(connection, now_ns)
    return dict(recent.totals)


def test_each_look_adds_what_is_new(stock: Stock) -> None:
    recent = Recent()
    counted(stock, [400, 300, 200])
    assert looked(stock, recent) == {(1, 0): 3}
    counted(stock, [100], label=2)
    assert looked(stock, recent) == {(1, 0): 3, (1, 2): 1}
    assert looked(stock, recent) == {(1, 0): 3, (1, 2): 1}


def test_what_is_older_than_the_window_is_not_counted_and_leaves(stock: Stock) -> None:
    recent = Recent()
    counted(stock, [5000, 700, 594, 3])
    assert looked(stock, recent) == {(1, 0): 2}
    assert looked(stock, recent, NOW + WINDOW_NS // 2) == {(1, 0): 1}
    assert looked(stock, recent, NOW + 2 * WINDOW_NS) == {}
    assert recent.slots == {}


def test_images_set_aside_are_not_counted(stock: Stock) -> None:
    stock.counted(1, aside="dark")
    counted(stock, [1])
    assert looked(stock, Recent()) == {(1, 0): 1}


def test_a_ledger_taken_back_to_a_backup_is_read_anew(stock: Stock) -> None:
    recent = Recent()
    counted(stock, [10, 9, 8])
    looked(stock, recent)
    stock.connection.execute("DELETE FROM verdict WHERE image_id = 3")
    assert looked(stock, recent) == {(1, 0): 2}


def test_a_clock_that_was_set_back_leaves_no_images_of_the_future(stock: Stock) -> None:
    recent = Recent()
    counted(stock, [3])
    looked(stock, recent)
    assert looked(stock, recent, NOW - 3600 * SECOND) == {}


def test_the_slots_end_with_the_one_that_is_now(stock: Stock) -> None:
    recent = Recent()
    counted(stock, [594, 6, 2, 1])
    looked(stock, recent, NOW)
    slots = recent.per_slot(NOW)
    assert len(slots) == WINDOW_NS // SLOT_NS
    assert slots[-3:] == [1, 2, 0]


@pytest.mark.parametrize("since", [0, 5, 6, 50, 99, 100])
def test_the_first_image_since_an_instant_is_found_by_halving(stock: Stock, since: int) -> None:
    counted(stock, [age for age in range(100, 0, -1) for _ in range(2)])
    stock.connection.execute("DELETE FROM verdict WHERE image_id % 3 = 0")  # gaps, as rejected images leave
    newest, instant = 200, NOW - since * SECOND
    with closing(connect(stock.file)) as connection:
        found = first_since(connection, 0, newest, instant)
        after = connection.execute("SELECT image_id FROM verdict WHERE classified_ns >= ?", (instant,)).fetchall()
        beyond = connection.execute("SELECT image_id FROM verdict WHERE image_id >= ?", (found,)).fetchall()
    assert beyond == after


def test_a_look_does_not_walk_through_the_whole_ledger(stock: Stock) -> None:
    """Steps of SQLite's own machine, however long the ledger: a look at 20 images among 20,000 takes no more than among 2,000."""

    def steps(images: int) -> int:
        stock.connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO image"
            " (sha256, bytes, capture_ns, time_source) SELECT randomblob(32), 1, 0, 'mtime' FROM n",
            (images,),
        )
        stock.connection.execute(
            "INSERT INTO verdict (image_id, bundle_id, label, votes, score, classified_ns, asked)"
            " SELECT id, 1, 0, 3, 0.5, ? - 3600000000000, 3 FROM image"
            " WHERE id NOT IN (SELECT image_id FROM verdict)",
            (NOW,),
        )
        counted(stock, [5] * 20)
        counter = Counter[str]()
        with closing(open_ledger_readonly(stock.file)) as connection:
            connection.set_progress_handler(lambda: counter.update(["step"]), 1)
            recent = Recent()
            recent.look(connection, NOW)
            read_latest(connection, 18)
        assert recent.totals[1, 0] >= 20
        return counter["step"]

    few, many = steps(2_000), steps(20_000)
    assert many < 2 * few


def test_the_latest_are_the_newest_that_count(stock: Stock) -> None:
    counted(stock, [9, 8, 7])
    stock.counted(1, aside="dark")
    with closing(connect(stock.file)) as connection:
        assert [each.image_id for each in read_latest(connection, 2)] == [3, 2]


def test_the_backlog_is_foreseen_from_how_it_shrank() -> None:
    queue = Queue()
    assert queue.foresee(NOW, 1000, 100.0) == Backlog(1000, "unknown", 10.0)
    assert queue.foresee(NOW + 10 * SECOND, 800, 100.0) == Backlog(800, "shrinking", 40.0)
    assert queue.foresee(NOW + 20 * SECOND, 1200, 100.0) == Backlog(1200, "growing")
    assert queue.foresee(NOW + 21 * SECOND, 150, 100.0) == Backlog(150, "none", 0.0)
    assert queue.foresee(NOW - 3600 * SECOND, 1000, 0.0) == Backlog(1000, "unknown"), "the clock was set back"
