"""The short form of clock.py. PLANKTOW_RELIABILITY_IMAGES sets the number of images, PLANKTOW_SEED draws others."""

import os
from pathlib import Path

import pytest

from ..edge.images import TINY_BUNDLE
from .clock import jump

IMAGES = int(os.environ.get("PLANKTOW_RELIABILITY_IMAGES", "90"))
SEED = int(os.environ.get("PLANKTOW_SEED", "1"))


@pytest.mark.timeout(600)
def test_clocks_that_jump_and_names_used_again_lose_and_merge_no_image(tmp_path):
    bundle = Path(os.environ.get("PLANKTOW_BUNDLE", TINY_BUNDLE))
    ended, wrong = jump(IMAGES, tmp_path / "ship", bundle, SEED)
    assert wrong == [], ended.table()
    assert ended.files == max(9, IMAGES // 3 * 3)
