"""The short form of soak.py: half a minute; PLANKTOW_SOAK_MINUTES makes it longer, PLANKTOW_SEED draws another."""

import os
from pathlib import Path

import pytest

from ..edge.images import TINY_BUNDLE
from .soak import BASE_MIB, MIB_PER_1000, Ended, Expected, Sample, leaks, soak, sources_from

MINUTES = float(os.environ.get("PLANKTOW_SOAK_MINUTES", "0.5"))
SEED = int(os.environ.get("PLANKTOW_SEED", "1"))
BUNDLE = Path(os.environ.get("PLANKTOW_BUNDLE", TINY_BUNDLE))


@pytest.mark.timeout(600 + 90 * MINUTES)
def test_images_in_every_way_for_long_count_once_each_and_memory_and_handles_stay_flat(tmp_path):
    ended, wrong = soak(sources_from(None), tmp_path / "ship", BUNDLE, MINUTES * 60, 60, 0, SEED)
    assert wrong == [], ended.table()
    assert ended.expected.images > 500 * MINUTES


def test_a_leak_of_memory_or_handles_is_found():
    def ended(mib_a_sample: float, handles_a_sample: int) -> Ended:
        samples = (
            Sample(0, at, 100 * at, 80 + mib_a_sample * at, 20 + handles_a_sample * at, 9, 4.0, 1.0) for at in range(60)
        )
        return Ended(Expected(), tuple(samples), 100, 0)

    assert leaks(ended(0, 0)) == []
    allowed = BASE_MIB + MIB_PER_1000 * 3.9
    assert leaks(ended(2, 0)) == [f"life 0: memory grew by 78.0 MiB in 3900 images, allowed {allowed:.1f}"]
    assert leaks(ended(0, 1)) == ["life 0: handles grew from 40 to 67"]
