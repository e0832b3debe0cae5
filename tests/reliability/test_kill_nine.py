"""The short form of kill_nine.py.

PLANKTOW_RELIABILITY_IMAGES raises the number of images; PLANKTOW_IMAGES names a folder of real ones, PLANKTOW_BUNDLE the
bundle to use.
"""

import os
from pathlib import Path

import pytest

from ..edge.images import TINY_BUNDLE
from .kill_nine import compare, rendered, taken_from

IMAGES = int(os.environ.get("PLANKTOW_RELIABILITY_IMAGES", "300"))
FOLDER = os.environ.get("PLANKTOW_IMAGES")


@pytest.mark.timeout(1800)
def test_killed_twice_the_daemon_ends_with_the_counts_of_an_undisturbed_run(tmp_path):
    images = taken_from(Path(FOLDER), IMAGES) if FOLDER else rendered(IMAGES)
    assert len(images) >= min(IMAGES, 100), f"too few images in {FOLDER}"
    bundle = Path(os.environ.get("PLANKTOW_BUNDLE", TINY_BUNDLE))
    assert compare(images, tmp_path, bundle, kills=2, seed=1) == []
