"""The short form of swap_under_fire.py.

PLANKTOW_RELIABILITY_IMAGES raises the number of images; PLANKTOW_SEED draws other moments.
"""

import os

from ..edge.images import TINY_BUNDLE
from .ship import rendered
from .swap_under_fire import play

IMAGES = int(os.environ.get("PLANKTOW_RELIABILITY_IMAGES", "400"))
SEED = int(os.environ.get("PLANKTOW_SEED", "1"))


def test_bundles_swapped_under_kill_9_lose_and_double_no_image(tmp_path):
    assert play(rendered(IMAGES), tmp_path / "run", TINY_BUNDLE, seconds=12, kills=2, seed=SEED) == []
