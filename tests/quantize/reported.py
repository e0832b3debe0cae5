"""A report as large as a real one: three members in four schemes, 121 classes; its figures are made up, from a seed."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np

from bundle.machine import Machine
from bundle.scores import Summary
from quantize.comparison import AS_SHIPPED, Choice, ClassRecall, Latency, Refused, Report, Variant
from quantize.front import subsets
from quantize.gates import Finding

MEMBERS = ("01-residual-a", "02-residual-b", "03-residual-c")
# scheme: bytes, ms of an image alone and in the best batch on one core, the same on two; accuracy change; agreement
SCHEMES = {
    "int8": (2_996_776, 1.62, 1.21, 1.05, 0.66, -0.001, 0.981),
    "dynamic": (3_010_112, 3.48, 2.75, 2.11, 1.52, 0.0, 0.996),
    "float16": (5_893_220, 3.97, 3.06, 2.35, 1.68, 0.0, 1.0),
    "float32": (11_731_344, 3.95, 3.04, 2.31, 1.66, 0.0, 1.0),
    "int16x8": (3_055_432, 71.2, 70.6, 71.5, 70.4, 0.0004, 0.997),
}
WORD = ("copepod", "chaetognath", "hydromedusae", "siphonophore", "protist", "tunicate", "echinoderm", "fish_larvae")


def finding(**changes: object) -> Finding:
    """A gate that holds, or another."""
    plain = Finding("top-1 drop", "validation", MEMBERS[0], None, 2380, 0.7084, 0.7063, 0.0021, 0.01)
    return dataclasses.replace(plain, **changes)


def variant(member: str, scheme: str, chosen: bool = False, /, **changes: object) -> Variant:
    """One of SCHEMES."""
    size_bytes, single, best, single_all, best_all, change, agreement = SCHEMES[scheme]
    weight = 1 + 0.03 * MEMBERS.index(member)
    latencies = tuple(
        Latency(threads, batch, round(milliseconds * weight, 4))
        for threads, batch, milliseconds in (
            (1, 1, single),
            (1, 8, best),
            (1, 32, best * 1.05),
            (2, 1, single_all),
            (2, 16, best_all),
        )
    )
    accuracy = round(0.715 + 0.004 * MEMBERS.index(member) + change, 6)
    scores = Summary(2380, accuracy, round(accuracy - 0.18, 6), round(accuracy - 0.19, 6))
    plain = Variant(member, "residual_cnn", scheme, chosen, size_bytes, (), agreement, scores, latencies)
    return dataclasses.replace(plain, **changes)


def choice(members: tuple[str, ...], scheme: str, chosen: bool = False, /, **changes: object) -> Choice:
    """Members of one scheme; two vote a little better than one, three than two."""
    of = [variant(member, scheme) for member in members]
    accuracy = round(
        max(each.scores.accuracy for each in of) + 0.012 * (len(of) - 1) - 0.0004 * (scheme == "dynamic"), 6
    )
    plain = Choice(
        members,
        scheme,
        chosen,
        size_bytes=sum(each.size_bytes for each in of),
        accuracy=accuracy,
        balanced_accuracy=round(accuracy - 0.18, 6),
        count_error=round(0.35 - 0.35 * accuracy, 6),
        milliseconds_one=sum(each.one_core.best for each in of),
        milliseconds_all=sum(each.all_cores.best for each in of),
    )
    return dataclasses.replace(plain, **changes)


def report(**changes: object) -> Report:
    """The whole, with all gates held."""
    random = np.random.default_rng(1)
    classes = []
    for index in range(121):
        images = int(random.integers(2, 9) if index % 3 == 0 else random.integers(9, 300))
        found = int(images * random.uniform(0.2, 0.98))
        moved = int(np.clip(found + random.integers(-2, 3), 0, images))
        label = f"{WORD[index % len(WORD)]}_{'type' if index % 2 else 'sp'}{index:03d}"
        classes.append(ClassRecall(label, images, round(found / images, 6), round(moved / images, 6)))
    choices = [
        choice(members, scheme, chosen=(len(members) == len(MEMBERS) and scheme == "int8"))
        for members, scheme in product(subsets(MEMBERS), SCHEMES)
    ]
    keras, shipped = Summary(2380, 0.7471, 0.5673, 0.5562), Summary(2380, 0.746, 0.566, 0.5551)
    plain = Report(
        name="planktonset-121",
        digest="6c7b1d04a1e6be4ba9a1e6c1f6a3a2c8f0a7e2f8d8b5f9a3c4b7f1e2d3c4b5a6",
        measured="2026-11-24T10:12:05Z",
        machine=Machine("AMD EPYC", "x86_64", 2, "Debian GNU/Linux 12 (bookworm), Linux 6.1.0", "ai-edge-litert 2.3.0"),
        validation_images=2380,
        test_images=3033,
        representative_images=1000,
        keras=keras,
        shipped=shipped,
        keras_test=Summary(3033, 0.7311, 0.5502, 0.5377),
        shipped_test=Summary(3033, 0.7313, 0.5499, 0.5371),
        variants=tuple(variant(member, scheme, scheme == "int8") for member in MEMBERS for scheme in SCHEMES),
        refused=(),
        choices=tuple(choices),
        classes=tuple(classes),
        findings=(
            *(finding(gate=gate, subject=member) for member in MEMBERS for gate in ("top-1 drop", "disagreement")),
            finding(gate="vote drop", subject="ensemble", limit=0.005),
            finding(gate="recall drop", subject="ensemble", label="copepod_sp000", images=44, found=0.0455, limit=0.1),
            finding(gate="vote drop", part="test", subject="ensemble", images=3033, found=-0.0002, limit=0.005),
        ),
    )
    return dataclasses.replace(plain, **changes)


def awkward() -> Report:
    """What a report may have to show: failed gates, refused schemes, layers in float, hostile names, mixed schemes."""
    two = MEMBERS[:2]
    in_float = ("stem/conv2d", "a/<b>")
    mixed = choice(two, "int8", chosen=True, milliseconds_one=4.4)
    return report(
        name='a <b>&" name',
        variants=(
            variant(two[0], "int8", chosen=True, in_float=in_float),
            variant(two[0], "float32"),
            variant(two[1], "int8"),
            variant(two[1], "float32", chosen=True),
        ),
        refused=(Refused(two[1], "int16x8", "the operator GELU of layer <act> has no integer kernel"),),
        choices=(
            *(choice(members, scheme) for members in subsets(two) for scheme in ("int8", "float32")),
            dataclasses.replace(mixed, scheme=AS_SHIPPED),
        ),
        classes=(ClassRecall('<b>&"', 50, 0.9, 0.6), ClassRecall("$x$ 水母", 20, 0.5, 0.55)),
        findings=(finding(), finding(gate="recall drop", label='<b>&"', images=50, found=0.3, limit=0.1)),
    )
