"""How many representative images int8 needs: one member converted with ever more of them, three draws of each size.

    python -m benchmarks.representative RUN --data DIR [--member 01-residual-a] [--sizes 50,125,…] [--seeds 1,2,3]

RUN is a folder that planktow-trainer wrote. A line of the table is a size: median and, in brackets, lowest and highest of the
draws, on all validation images. Agreement is with Keras; the drop is Keras' accuracy less int8's. The last columns compare what
the 256 steps of an activation span with the values that it takes on the validation images: "width" is the one range over the
other, "cut off" the share of the values' range that lies beyond the steps; both are means over the activations. A set is large
enough where more images change these figures by no more than another draw does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from rich.console import Console
from rich.table import Table

from benchmarks.converted import Workshop, convert, open_workshop
from bundle.command import refusals, say
from bundle.ensemble import MemberModel
from bundle.errors import BadConfig
from bundle.graph import operators, trunk
from bundle.manifest import Scheme
from bundle.pace import paced
from bundle.training import TrainedMember
from quantize.config import Settings
from quantize.images import Labelled
from quantize.score import tflite_scores, threads

SIZES = "50,125,250,500,1000,2000,4000"
SEEDS = "1,2,3"
BATCH = 32  # images
TABLE_WIDTH = 120  # columns, also where the terminal has fewer: a number that is cut is no number

Ranges = Mapping[str, tuple[float, float]]  # lowest and highest value, by activation


@dataclass(frozen=True)
class Draw:
    """What came of one representative set."""

    images: int
    agreement: float  # share, 0..1
    drop: float  # of accuracy, share
    width: float  # of the ranges against those that the validation images need, 1: the same
    cut_off: float  # share of the needed ranges that is beyond the steps
    seconds: float


def main() -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--member", help="its file without .keras; without it the first")
    options.add_argument("--sizes", default=SIZES)
    options.add_argument("--seeds", default=SEEDS)
    chosen = options.parse_args()
    sizes, seeds = ([int(number) for number in text.split(",")] for text in (chosen.sizes, chosen.seeds))
    with refusals("benchmarks.representative"), tempfile.TemporaryDirectory(prefix="planktow-sets-") as scratch:
        workshop = open_workshop(chosen.run, chosen.data, Path(scratch))
        member = member_named(workshop, chosen.member)
        needed: Ranges = {}
        draws = []
        for size in sizes:
            for seed in seeds:
                say(f"{member.stem} with {size} representative images, draw {seed}")
                began = time.monotonic()
                schemes: tuple[Scheme, ...] = ("int8",) if needed else ("int8", "float32")
                converted = convert(workshop, member, schemes, Settings(representative_images=size, seed=seed))
                seconds = time.monotonic() - began
                needed = needed or activation_ranges(converted.models["float32"], workshop.held_out)
                keras = np.asarray(converted.keras_scores)
                draws.append(judged(size, converted.models["int8"], keras, workshop.held_out, needed, seconds))
    show(draws, member, seeds, len(workshop.held_out))


def member_named(workshop: Workshop, name: str | None) -> TrainedMember:
    """The member called `name`, or the first. Raises BadConfig."""
    members = workshop.run.facts.members
    for member in members:
        if name in (None, member.stem):
            return member
    raise BadConfig(f"--member: the run has no '{name}'; it has {', '.join(member.stem for member in members)}")


def judged(size: int, model: bytes, keras_scores: np.ndarray, images: Labelled, needed: Ranges, seconds: float) -> Draw:
    """The figures of one conversion."""
    keras = keras_scores.argmax(axis=1)
    tflite = tflite_scores(MemberModel(model, "int8", threads()), images, say=say).argmax(axis=1)
    steps = step_ranges(model)
    shared = sorted(steps.keys() & needed.keys())
    wide = np.array([steps[name][1] - steps[name][0] for name in shared])
    need = np.array([needed[name][1] - needed[name][0] for name in shared])
    beyond = np.array(
        [max(steps[name][0] - needed[name][0], 0) + max(needed[name][1] - steps[name][1], 0) for name in shared]
    )
    return Draw(
        size,
        agreement=float((keras == tflite).mean()),
        drop=float((keras == images.classes).mean() - (tflite == images.classes).mean()),
        width=float((wide / need).mean()),
        cut_off=float((beyond / need).mean()),
        seconds=seconds,
    )


def step_ranges(model: bytes) -> Ranges:
    """What the 256 steps of each int8 activation of the trunk span."""
    inside = trunk(operators(model))
    interpreter = Interpreter(model_content=model)
    ranges = {}
    for detail in interpreter.get_tensor_details():
        scale, zero_point = detail["quantization"]
        if detail["name"] in inside and detail["dtype"] is np.int8:
            ranges[detail["name"]] = (-128 - zero_point) * scale, (127 - zero_point) * scale
    return ranges


def activation_ranges(float32: bytes, images: Labelled) -> Ranges:
    """The lowest and highest value of each activation of the trunk over all `images`, in float."""
    names = trunk(operators(float32))
    interpreter = Interpreter(
        model_content=float32,
        num_threads=threads(),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,  # XNNPACK hides inner tensors
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    lowest: dict[str, float] = {}
    highest: dict[str, float] = {}
    starts = range(0, len(images), BATCH)
    for start in paced(starts, len(starts), f"batches of {BATCH} images for their activations", say):
        run(interpreter, images.part(slice(start, start + BATCH)))
        for detail in interpreter.get_tensor_details():
            if (name := detail["name"]) in names:
                values = interpreter.get_tensor(detail["index"])
                lowest[name] = min(lowest.get(name, np.inf), float(values.min()))
                highest[name] = max(highest.get(name, -np.inf), float(values.max()))
    return {name: (lowest[name], highest[name]) for name in lowest}


def run(interpreter: Interpreter, images: Labelled) -> None:
    """One batch through a model with pixels and features."""
    inputs = []
    for detail in interpreter.get_input_details():
        of_pixels, side = len(detail["shape"]) == 4, detail["shape"][1]
        values = images.inputs.pixels[side][..., np.newaxis] if of_pixels else images.inputs.features
        inputs.append((detail, values))
    if any(tuple(detail["shape"]) != values.shape for detail, values in inputs):
        for detail, values in inputs:
            interpreter.resize_tensor_input(detail["index"], values.shape)
        interpreter.allocate_tensors()
    for detail, values in inputs:
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()


def show(draws: Sequence[Draw], member: TrainedMember, seeds: Sequence[int], images: int) -> None:
    """The table."""
    table = Table(title=f"{member.stem} in int8 on {images} validation images, draws {', '.join(map(str, seeds))}")
    for column in ("images", "agreement, %", "accuracy drop, points", "width", "cut off, %", "seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    for size in dict.fromkeys(draw.images for draw in draws):
        of = [draw for draw in draws if draw.images == size]
        table.add_row(
            f"{size:,}",
            _spread([100 * draw.agreement for draw in of], ".2f"),
            _spread([100 * draw.drop for draw in of], "+.2f"),
            _spread([draw.width for draw in of], ".3f"),
            _spread([100 * draw.cut_off for draw in of], ".2f"),
            f"{median(draw.seconds for draw in of):.0f}",
        )
    Console(width=max(Console().width, TABLE_WIDTH)).print(table)


def _spread(values: Sequence[float], how: str) -> str:
    return f"{median(values):{how}} ({min(values):{how}} … {max(values):{how}})"


if __name__ == "__main__":
    main()
