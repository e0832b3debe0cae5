"""What a training run left behind, verified before any work begins."""

from __future__ import annotations

from pathlib import Path

from bundle.errors import BadData
from bundle.training import Record, read_finished, require_usable


def read_record(folder: Path) -> tuple[Record, bytes]:
    """The record of the trainer's output folder, and the bytes it was read from. Raises BadData.

    Every member must be there with the hash that the record gives: a bundle is never made of a half-written run.
    """
    run = read_finished(folder)
    require_usable(run)
    for part in ("train", "validation"):
        if not getattr(run.facts.split, part):
            raise BadData(f"{run.path}: the {part} split is empty; train on more images, or with another split")
    return run.facts, run.data
