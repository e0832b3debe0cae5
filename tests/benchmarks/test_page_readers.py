"""The benchmark of many readers runs, with few, and separates who used the processor."""

from itertools import islice

import pytest

from benchmarks.camera import images_from, write_images
from benchmarks.page_readers import Turn, measure, print_table
from bundle.folder import open_bundle

from ..edge.images import TINY_BUNDLE


def test_readers_come_see_and_are_told_apart(tmp_path, capsys) -> None:
    bundle = open_bundle(TINY_BUNDLE)
    write_images(tmp_path / "flood", islice(images_from(None), 200))
    alone = measure(tmp_path, bundle, tmp_path / "flood", 200, readers=0, every=60)
    beside = measure(tmp_path, bundle, tmp_path / "flood", 200, readers=3, every=60)
    assert (alone.page_seconds, alone.readers_seconds, alone.seen) == (0, 0, {})
    assert (beside.seen["streams"], beside.seen["refused"]) == (3, 0)
    assert beside.seen["processor_seconds"] > 0
    print_table([alone], [beside], 3, "as the test has it")
    assert "readers elsewhere" in capsys.readouterr().out


def test_had_the_readers_their_own_processors_the_flood_would_have_been_shorter_by_their_share() -> None:
    turn = Turn(rate=1000, seconds=10, daemon_seconds=16, page_seconds=2, readers_seconds=2)
    assert turn.rate_elsewhere(cores=2) == pytest.approx(1000 * 10 / 9)
