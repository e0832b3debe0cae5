"""The short form of flood.py. PLANKTOW_RELIABILITY_IMAGES sets the number of images."""

import hashlib
import os
from pathlib import Path

import pytest

from bundle.preprocess import decode

from ..edge.images import TINY_BUNDLE
from .flood import distinct, flood, sources_from

IMAGES = int(os.environ.get("PLANKTOW_RELIABILITY_IMAGES", "4000"))


@pytest.mark.timeout(7200)
def test_a_backlog_and_a_burst_of_renames_are_counted_once_each_within_bounded_memory(tmp_path):
    bundle = Path(os.environ.get("PLANKTOW_BUNDLE", TINY_BUNDLE))
    # A rescan that comes soon finds what the notifications of the burst lost, within the time of a test.
    ended, wrong = flood(sources_from(None), IMAGES, tmp_path / "ship", bundle, rescan_seconds=3)
    assert wrong == [], ended.table()


def test_the_images_of_the_flood_differ_in_bytes_and_can_all_be_decoded():
    images = [data for _, data in distinct(sources_from(None), range(60))]
    assert len({hashlib.sha256(data).digest() for data in images}) == 60
    assert {decode(data).ndim for data in images} == {2}
