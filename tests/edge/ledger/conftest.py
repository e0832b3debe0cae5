"""A ledger with the tiny bundle, on a real SQLite file."""

import pytest

from edge.ledger.ledger import open_ledger

from .given import NOW


@pytest.fixture
def ledger(tmp_path, tiny):
    with open_ledger(tmp_path / "ledger.sqlite") as opened:
        assert opened.bundle_id(tiny, NOW) == 1
        yield opened
