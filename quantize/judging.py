"""TFLite members judged on the images held out: what `rejudge` and `combine` make a bundle's figures of, without Keras."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bundle.ensemble import MemberModel
from bundle.manifest import Member, VoteRule
from bundle.order import Order, cheapest_order
from bundle.pace import Say
from bundle.preprocess import InputSpec
from bundle.training import Split
from bundle.writing import writing_to
from quantize.images import find_images, load_images, require_images
from quantize.score import ballots, tflite_scores, threads
from quantize.validation import HeldOut


def judge(
    models: Mapping[str, bytes], labels: Sequence[str], split: Split, spec: InputSpec, data: Path, near: Path, say: Say
) -> tuple[HeldOut, HeldOut]:
    """All members on the validation and on the test images.

    models: .tflite files by what a person calls them. data: the data set the members were trained on. near: the images lie
    in a folder beside this path meanwhile. Raises BadData.
    """
    say(f"looking for the images that no member was trained on in {data}")
    found = find_images(data, labels, say)
    for part in ("validation", "test"):
        require_images(found, getattr(split, part), part, data)
    with writing_to(near.parent):
        near.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{near.name}.", dir=near.parent) as scratch:
            keys = [*split.validation, *split.test]
            loaded = [MemberModel(model, name, threads()) for name, model in models.items()]
            sides = {model.side for model in loaded}
            images = load_images(found, keys, spec, sides, lambda side: Path(scratch) / f"pixels-{side}.npy", say)
            scores = []
            for model in loaded:
                say(f"{model.name}: on {len(images)} images")
                scores.append(tflite_scores(model, images, None, say))
            truth, border = images.classes.copy(), len(split.validation)
    validation, test = (
        HeldOut(truth[where], [], [each[where] for each in scores]) for where in (slice(border), slice(border, None))
    )
    return validation, test


def cheapest(members: Sequence[Member], validation: HeldOut, rule: VoteRule) -> Order:
    """In which order these members are asked, by their ballots on the validation images and their multiplications."""
    said = np.stack([ballots(scores) for scores in validation.tflite])
    return cheapest_order(said, [member.multiply_adds for member in members], rule.min_votes)
