"""Which images come when: in order, none twice, and never by going through the whole ledger."""

from contextlib import closing

import numpy as np
import pytest

from edge.corrections.humanlabel import HumanLabel
from edge.corrections.looked import read_looked
from edge.counts import read_bundles
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.web.looking import Queue, Wanted, read_queue, read_seen, wanted_of

from ..stocked import Stock


@pytest.fixture
def stock(tmp_path):
    with closing(Stock(tmp_path)) as made:
        yield made


def ids(stock: Stock, wanted: Wanted, window: int = 100) -> list[int]:
    with closing(open_ledger_readonly(stock.file)) as connection:
        return read_queue(connection, wanted, read_bundles(connection), window).ids.tolist()


def test_the_fewest_votes_come_first_then_the_lowest_score_then_the_latest(stock):
    for number, (votes, score) in enumerate([(3, 0.9), (2, 0.8), (2, 0.1), (0, 0.5), (2, 0.1)]):
        stock.counted(f"{number}.png", votes=votes, score=score, written=False)
    stock.counted("aside.png", votes=0, score=0.0, aside="land", written=False)
    assert ids(stock, Wanted()) == [4, 5, 3, 2, 1]
    assert ids(stock, Wanted(order="latest")) == [5, 4, 3, 2, 1]
    assert ids(stock, Wanted(votes=2)) == [5, 3, 2]


def test_a_species_is_chosen_by_the_machines_verdict(stock):
    for number, label in enumerate([0, 1, -1, 1]):
        stock.counted(f"{number}.png", label=label, written=False)
    assert ids(stock, Wanted("jelly", order="latest")) == [4, 2]
    assert ids(stock, Wanted("unclassified")) == [3]
    assert ids(stock, Wanted("jelly", votes=3, order="latest")) == [4, 2]
    assert ids(stock, Wanted("jelly", votes=2)) == []
    assert ids(stock, Wanted("no such label")) == []


def test_windows_follow_each_other_and_leave_nothing_out(stock):
    for number in range(10):
        stock.counted(f"{number}.png", written=False)
    seen: list[int] = []
    before = None
    with closing(open_ledger_readonly(stock.file)) as connection:
        while True:
            queue = read_queue(connection, Wanted(order="latest", before=before), read_bundles(connection), 4)
            seen += queue.ids.tolist()
            if queue.lowest is None:
                break
            before = queue.lowest
    assert seen == list(range(10, 0, -1))


def test_random_order_is_the_same_each_time_and_no_order_at_all(stock):
    for number in range(50):
        stock.counted(f"{number}.png", votes=number % 4, written=False)
    first = ids(stock, Wanted(order="random"))
    assert first == ids(stock, Wanted(order="random"))
    assert sorted(first) == list(range(1, 51))
    assert abs(np.corrcoef(first, range(50))[0, 1]) < 0.5


def queue(*numbers: int) -> Queue:
    return Queue(np.array(numbers, np.int64), tuple(bytes([n]) * 32 for n in numbers), len(numbers), 0, 0, None)


def test_next_is_the_next_that_is_open_and_begins_anew_at_the_end():
    line = queue(5, 3, 8, 1)
    open_ = np.array([True, False, True, True])
    assert line.around(None, open_) == (5, None, 8)
    assert line.around(8, open_) == (8, 3, 1)
    assert line.around(1, open_) == (1, 8, 5)
    assert line.around(3, open_) == (3, 5, 8)
    assert line.around(99, open_) == (99, None, 5), "one that is not in this choice"
    assert line.around(None, np.zeros(4, bool)) == (None, None, None)
    assert line.around(5, np.array([True, False, False, False])) == (5, None, None)
    assert queue().around(None, np.zeros(0, bool)) == (None, None, None)
    assert line.open({bytes([3]) * 32}).tolist() == open_.tolist()


def test_a_choice_is_the_same_from_its_address():
    for wanted in (Wanted(), Wanted("a b&c=d", 2, True, "random", 7), Wanted(votes=0)):
        from urllib.parse import parse_qsl

        assert wanted_of(dict(parse_qsl(wanted.query()))) == wanted
    assert Wanted().query() == ""


def test_no_query_goes_through_all_images(stock):
    for number in range(5):
        stock.counted(f"{number}.png", written=False)
    said: list[str] = []
    with closing(open_ledger_readonly(stock.file)) as connection:
        bundles = read_bundles(connection)
        connection.set_trace_callback(said.append)
        for wanted in (Wanted(), Wanted("jelly", 2), Wanted(order="random", before=4), Wanted(order="latest")):
            read_queue(connection, wanted, bundles)
        seen = read_seen(connection, 3, bundles)
        read_looked(connection, {seen.sha256: HumanLabel(seen.sha256, "jelly", "Ada", None, None, 0)})
        connection.set_trace_callback(None)
        plans = {query: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")] for query in set(said)}
    assert len(plans) >= 8
    for query, plan in plans.items():
        assert not [step for step in plan if step.startswith(("SCAN image", "SCAN verdict", "SCAN sighting"))], query
