"""The short form of folder.py: each scenario with 30 images."""

import os
from pathlib import Path

import pytest

from ..edge.images import TINY_BUNDLE
from .folder import SCENARIOS, images_for, inside_namespace, play

IMAGES = int(os.environ.get("PLANKTOW_RELIABILITY_IMAGES", "30"))
SEED = int(os.environ.get("PLANKTOW_SEED", "1"))
BUNDLE = Path(os.environ.get("PLANKTOW_BUNDLE", TINY_BUNDLE))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", sorted(set(SCENARIOS) - {"mounted"}))
def test_whatever_becomes_of_the_folder_each_image_counts_once_and_the_operator_is_told(scenario, tmp_path):
    ended = play(scenario, images_for(None, IMAGES), tmp_path / "ship", BUNDLE, SEED)
    assert ended.wrong == ()
    assert ended.counted >= IMAGES


@pytest.mark.timeout(600)
def test_a_disk_mounted_over_the_folder_and_taken_away_loses_nothing():
    ended = inside_namespace(
        ["--only", "mounted", "--images", str(IMAGES), "--seed", str(SEED), "--bundle", str(BUNDLE)]
    )
    if isinstance(ended, str):
        pytest.skip(ended)
    assert ended.returncode == 0, ended.stdout
