"""A page on a real ledger of drawn images: decoded, classified and counted by the tiny bundle, no daemon running."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from edge.web.app import create_app
from edge.web.place import Place

from .aboard import ADDRESS, count_drawn


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Nine images (chain, sphere, jelly in turn; image_id 1 to 9) and a rejected file, no status.json; see aboard.py."""
    return count_drawn(tmp_path, 9)


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    """A browser that asks the page of `place`, without JavaScript; it may only read until it signs in."""
    with TestClient(create_app(place), base_url=ADDRESS, headers={"Origin": ADDRESS}) as browser:
        yield browser
