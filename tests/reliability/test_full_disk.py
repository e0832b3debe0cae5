"""The short form of full_disk.py. PLANKTOW_FAULTS and PLANKTOW_SEED make it longer or another one."""

import os
import subprocess
from pathlib import Path

import pytest

from .full_disk import inside, why_no_disk

FAULTS = os.environ.get("PLANKTOW_FAULTS", "3")
SEED = os.environ.get("PLANKTOW_SEED", "1")


@pytest.mark.timeout(3600)
@pytest.mark.skipif(why_no_disk() is not None, reason=f"no small disk can be mounted: {why_no_disk()}")
def test_a_full_disk_ends_nothing_and_every_image_counts_once(tmp_path):
    ended = subprocess.run(
        inside(tmp_path, ["--faults", FAULTS, "--seed", SEED]),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.endswith(f"{FAULTS} full disks, and every image was counted once\n")
