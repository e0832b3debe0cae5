"""A ledger and its folder, with one image that has just come."""

from contextlib import closing

import pytest

from ..stocked import Stock


@pytest.fixture
def stock(tmp_path):
    with closing(Stock(tmp_path)) as made:
        made.counted("new.png", age=0, label=2)  # ages count from the newest image
        yield made
