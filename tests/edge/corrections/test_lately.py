"""Labels looked up every few seconds: exact while there are few, and bearable when there are a great many."""

import sqlite3
from contextlib import closing
from hashlib import sha256

import pytest

from edge.corrections.history import add_labels
from edge.corrections.humanlabel import HumanLabel
from edge.corrections.labelsfile import labels_file
from edge.corrections.lately import Lately
from edge.ledger.ledgerfile import open_ledger_readonly

from ..filled import fill


@pytest.fixture
def ledger(tmp_path, tiny):
    """Two images, both labelled."""
    fill(tmp_path / "x.sqlite", tiny, [("10:00:00", 0), ("11:00:00", 0)])
    say(tmp_path / "x.sqlite", tiny, 0, "jelly")
    say(tmp_path / "x.sqlite", tiny, 1, "jelly")
    return tmp_path / "x.sqlite"


def say(ledger, tiny, number: int, label: str) -> None:
    content = sha256(f"{tiny.digest[:4]}-{number}.png".encode()).digest()
    add_labels(labels_file(ledger), [HumanLabel(content, label, "Ada", None, None, 0)])


def set_aside(ledger, number: int) -> None:
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("UPDATE image SET aside = 'land' WHERE id = ?", (number,))


class Clock:
    """A second passes each time it is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def labels(found) -> list[str]:
    return [each.label for each in found]


def test_few_labels_are_looked_up_each_time(ledger):
    lately = Lately(many=3)
    with closing(open_ledger_readonly(ledger)) as connection:
        assert labels(lately.looked(connection)) == ["jelly", "jelly"]
        set_aside(ledger, 1)
        assert labels(lately.looked(connection)) == ["jelly"]


def test_of_many_the_answer_serves_for_a_while_until_a_label_is_given(ledger, tiny):
    clock = Clock()
    lately = Lately(many=2, seconds=clock)
    with closing(open_ledger_readonly(ledger)) as connection:
        assert labels(lately.looked(connection)) == ["jelly", "jelly"]
        set_aside(ledger, 1)
        assert labels(lately.looked(connection)) == ["jelly", "jelly"], "it took a second and serves for twenty"
        say(ledger, tiny, 1, "sphere")
        assert labels(lately.looked(connection)) == ["sphere"]
        set_aside(ledger, 2)
        clock.now += 25
        assert labels(lately.looked(connection)) == []


def test_a_ledger_without_labels_and_one_in_memory_have_none(ledger):
    labels_file(ledger).unlink()
    with closing(open_ledger_readonly(ledger)) as connection:
        assert Lately().looked(connection) == []
    with closing(sqlite3.connect(":memory:")) as connection:
        assert Lately().looked(connection) == []
