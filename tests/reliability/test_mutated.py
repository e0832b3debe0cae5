"""The short form of mutated.py. PLANKTOW_RELIABILITY_IMAGES sets the number of files, PLANKTOW_SEED draws others."""

import os
from pathlib import Path

import pytest

from ..edge.images import TINY_BUNDLE
from .mutated import hostile, sources_from, survive, table
from .recipes import mutation, set_pieces

FILES = int(os.environ.get("PLANKTOW_RELIABILITY_IMAGES", "600"))
SEED = int(os.environ.get("PLANKTOW_SEED", "1"))


@pytest.mark.timeout(1800)
def test_the_daemon_outlives_hostile_files_and_accounts_for_each(tmp_path):
    bundle = Path(os.environ.get("PLANKTOW_BUNDLE", TINY_BUNDLE))
    ended, wrong = survive(hostile(sources_from(None, SEED), FILES, SEED), tmp_path / "ship", bundle)
    assert wrong == [], table(ended)
    assert ended.files == max(FILES, len(set_pieces()))
    assert ended.accounting["counted"] > FILES // 20, table(ended)  # the whole ones among them
    assert ended.accounting["rejected"] > FILES // 4, table(ended)


def test_a_mutation_is_made_again_from_its_seed_and_number():
    sources = sources_from(None, SEED)
    assert mutation(sources, 17, SEED) == mutation(sources, 17, SEED)
    assert len({mutation(sources, number, SEED)[1] for number in range(200)}) > 190
