"""Members of a training run made to TFLite for a benchmark, in the very way that planktow-quantize makes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bundle.command import say
from bundle.manifest import Scheme
from bundle.training import FinishedRun, TrainedMember, read_finished, require_usable
from quantize.config import Settings
from quantize.images import Found, Labelled, draw_representative, find_images, load_images, require_images
from quantize.worker import HELD_OUT, REPRESENTATIVE, Converted, Job, pixels_file, run_worker, write_images


@dataclass(frozen=True)
class Workshop:
    """A run, its images and a scratch folder."""

    run: FinishedRun
    found: dict[str, Found]
    held_out: Labelled  # validation images
    scratch: Path


def open_workshop(run: Path, data: Path, scratch: Path, images: int | None = None) -> Workshop:
    """`images`: so many validation images at most, from all over the split; None takes all."""
    finished = read_finished(run)
    require_usable(finished)
    facts = finished.facts
    say(f"looking for the images of '{facts.name}' in {data}")
    found = find_images(data, facts.labels, say)
    hashes = facts.split.validation
    for part, wanted in (("train", facts.split.train), ("validation", hashes)):
        require_images(found, wanted, part, data)
    if images is not None and images < len(hashes):
        hashes = tuple(hashes[place * len(hashes) // images] for place in range(images))
    sides = {member.side for member in facts.members}
    return Workshop(finished, found, load_images(found, hashes, facts.input, sides, say=say), scratch)


def convert(workshop: Workshop, member: TrainedMember, schemes: Sequence[Scheme], settings: Settings) -> Converted:
    """The member in each of `schemes`, and the scores of its Keras original on the held-out images.

    Every convolution of int8 in integers, whatever it costs. The representative images are those that `settings` draws.
    """
    name = f"{member.stem}-{settings.representative_images}-{settings.seed}"
    images, outcome = workshop.scratch / f"{name}-images", workshop.scratch / name
    images.mkdir()
    outcome.mkdir()
    facts = workshop.run.facts
    drawn = draw_representative(workshop.found, facts.split.train, settings.representative_images, settings.seed)
    store = partial(pixels_file, images, REPRESENTATIVE)
    write_images(images, REPRESENTATIVE, load_images(workshop.found, drawn, facts.input, [member.side], store))
    np.save(pixels_file(images, HELD_OUT, member.side), workshop.held_out.inputs.pixels[member.side])
    write_images(images, HELD_OUT, workshop.held_out)
    first, *others = schemes
    settings = dataclasses.replace(settings, scheme=first, compare=tuple(others), max_layers_in_float=0)
    file = str(workshop.run.folder / member.file)
    job = Job(file, member.stem, member.side, facts.labels, len(workshop.held_out), settings)
    return run_worker(images, outcome, job, say)
