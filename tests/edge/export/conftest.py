"""The command, and a cruise to export."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from edge.cli import app

from ..images import TINY_BUNDLE
from .cruise import Cruise, sail


@pytest.fixture
def cruise(tmp_path, tiny) -> Cruise:
    return sail(tmp_path, tiny)


@pytest.fixture
def export() -> Callable:
    """Runs the command with the tiny bundle at hand."""

    def run(form, *arguments, bundle=TINY_BUNDLE):
        given = [form, *(["--bundle", bundle] if bundle else []), *arguments]
        return CliRunner().invoke(app, ["export", *map(str, given)], prog_name="planktow-edge")

    return run
