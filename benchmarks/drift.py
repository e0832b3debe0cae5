"""How often `planktow-edge drift` warns without a fault, and how often it does with one.

    python -m benchmarks.drift [--part test] [--tows 100] [--bundle DIR] [--images DIR] [--foreign DIR] [--seed 1]

Tows are drawn from held-out images without replacement, so that n images are n images; the compositions are those of
benchmarks.counts_error. Where a composition wants more images of a class than there are, it gets those that there are.

--part validation   what FACTOR was chosen by: the reference is one half of the validation images, tows are of the other
                    (12 splits); z is the greatest (distance - TOLERANCE) / sqrt(1/n + 1/m) of all things seen.
--part test         the judgement: the reference is validation, tows are of test images, as they are and altered. Each
                    alteration is made to the decoded image, and everything is measured and classified anew. 300 and
                    1,000: images of tows composed as the training set; all compositions: of all sizes above too.

--foreign: images that the classifier does not know, for instance of `planktow-edge flowcam DIR`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.altered import ALTERATIONS, Looked, decoded, looked
from benchmarks.heldout import KINDS, prevalence
from benchmarks.table import facts, show
from bundle.command import refusals, say
from bundle.folder import Bundle, open_bundle
from bundle.imagefile import IMAGE_SUFFIXES
from bundle.reference import Reference
from edge.drift.judge import TOLERANCE, Drift, judge
from edge.drift.tally import Tally
from edge.shipped import DEFAULT, shipped_bundle
from quantize.reference import reference_of

SIZES = (100, 300, 1_000)
HALVES = 12
AGAIN = 5_000  # images of a tow for which the same ones are drawn again and again
PARTLY = {"blur, sigma 1 px": (0.1, 0.25), "lamp at 99%": (0.1, 0.25)}  # the fault was there for a part of the tow
FOREIGN = (0.1, 0.3, 1.0)  # share of the images of a tow of 300, or as many as there are


@dataclass(frozen=True)
class Towed:
    """One simulated tow, judged."""

    kind: str
    size: int  # asked for
    drift: Drift

    @property
    def warned(self) -> bool:
        return self.drift.state == "other looks"

    @property
    def z(self) -> float:
        """The greatest distance in units of chance."""
        if not self.drift.compared:
            return 0.0
        chance = sqrt(1 / self.drift.compared + 1 / self.drift.worth)
        return (max(each.distance for each in self.drift.shifts) - TOLERANCE) / chance


def draw(pool: Looked, labels: int, kind: str, size: int, random: np.random.Generator) -> Looked:
    """A tow of about `size` images, each at most once; of AGAIN images, each as often as it takes."""
    there = np.bincount(pool.truth, minlength=labels)
    wanted = random.multinomial(size, prevalence(kind, there, random))
    if size != AGAIN:
        wanted = np.minimum(wanted, there)
    chosen = [random.choice(np.flatnonzero(pool.truth == label), wanted[label], replace=size == AGAIN)
              for label in np.flatnonzero(wanted)]  # fmt: skip
    return pool.only(np.concatenate(chosen))


def judged(reference: Reference, tow: Looked) -> Drift:
    """As the command does, from the verdicts on."""
    tally = Tally(reference)
    tally.add(tow.as_seen(len(reference.labels)))
    return judge(tally)


def towed(
    reference: Reference,
    pool: Looked,
    each: int,
    random: np.random.Generator,
    kinds: Sequence[str] = KINDS,
    sizes: Sequence[int] = SIZES,
) -> Iterator[Towed]:
    """`each` tows of every kind and size."""
    for kind in kinds:
        for size in sizes:
            for _ in range(each):
                tow = draw(pool, len(reference.labels), kind, size, random)
                yield Towed(kind, size, judged(reference, tow))


def false_warnings(tows: Sequence[Towed]) -> Table:
    """Tows without a fault, by composition and size."""
    rows = Table(title="Nothing is wrong", title_justify="left")
    rows.add_column("tows")
    for head in ("tows", "images", "worth", "limit", "too few", "warned", "other species", "z 95 %", "z 99 %"):
        rows.add_column(head, justify="right")
    groups = [("all", list(tows))]
    groups += [(kind, [each for each in tows if each.kind == kind]) for kind in KINDS]
    groups += [(f"{size:,} images asked for", [each for each in tows if each.size == size]) for size in SIZES]
    groups = [(name, [each for each in those if each.size != AGAIN]) for name, those in groups]
    groups.append((f"{AGAIN:,}, drawn again and again", [each for each in tows if each.size == AGAIN]))
    for name, those in groups:
        if not those:
            continue
        enough = [each for each in those if each.drift.state != "too few"]
        rows.add_row(
            name,
            f"{len(those):,}",
            f"{np.median([each.drift.images for each in those]):.0f}",
            f"{np.median([each.drift.worth for each in those]):.0f}",
            f"{np.median([each.drift.limit for each in those]):.2f}",
            f"{1 - len(enough) / len(those):.0%}",
            *([f"{np.mean([each.warned for each in enough]):.2%}",
               f"{np.mean([each.drift.state == 'other species' for each in enough]):.0%}"] if enough else ["", ""]),
            *(f"{np.quantile([each.z for each in enough], q):.2f}" if enough else "" for q in (0.95, 0.99)),
        )  # fmt: skip
    return rows


def faults() -> Table:
    """The heading of the table of alterations."""
    rows = Table(
        title="Something is wrong: share of the tows that warn, of those with enough images", title_justify="left"
    )
    rows.add_column("what", no_wrap=True)
    for head in ("accuracy", "300", "1,000", "all compositions", "by score or votes"):
        rows.add_column(head, justify="right")
    rows.add_column("seen farthest off")
    return rows


def add_fault(rows: Table, name: str, pool: Looked, reference: Reference, tows: int, seed: int) -> None:
    """One alteration: tows as trained of 300 and 1,000 images, and of all compositions and sizes."""
    random = np.random.default_rng(seed)
    as_trained = {size: list(towed(reference, pool, tows, random, KINDS[:1], (size,))) for size in (300, 1_000)}
    mixed = list(towed(reference, pool, max(1, tows // 4), random))
    rows.add_row(name, f"{pool.accuracy:.1%}", *map(_share, as_trained.values()), _share(mixed), *_by(mixed))


def add_foreign(rows: Table, pool: Looked, foreign: Looked, reference: Reference, tows: int, seed: int) -> None:
    """Tows of 300 images of which some are of another camera and of species without a label."""
    random = np.random.default_rng(seed)
    labels = len(reference.labels)
    for share in FOREIGN:
        found = []
        for _ in range(tows):
            strangers = min(round(300 * share), len(foreign.truth))
            tow = foreign.only(random.choice(len(foreign.truth), strangers, replace=False))
            if share < 1:
                tow = tow.with_others(draw(pool, labels, KINDS[0], 300 - strangers, random))
            found.append(Towed("foreign", 300, judged(reference, tow)))
        size = found[0].drift.images
        rows.add_row(f"{share:.0%} of {size} foreign", "", _share(found), "", "", *_by(found))


def _share(tows: Sequence[Towed]) -> str:
    enough = [each for each in tows if each.drift.state != "too few"]
    return f"{np.mean([each.warned for each in enough]):.0%}" if enough else "too few"


def _by(tows: Sequence[Towed]) -> tuple[str, str]:
    """The share that votes or score alone would have warned of, and what was farthest off most often."""
    enough = [each for each in tows if each.drift.state != "too few"]
    surer = [any(shift.beyond for shift in each.drift.shifts if shift.name in ("votes", "score")) for each in enough]
    farthest = [each.drift.beyond[0].name for each in enough if each.warned]
    most = max(sorted(set(farthest)), key=farthest.count) if farthest else ""
    return (f"{np.mean(surer):.0%}" if enough else ""), most


def partly(whole: Looked, faulty: Looked, hit: NDArray[np.bool_]) -> Looked:
    """The same images, those that were hit as they are with the fault."""
    seen = np.where(hit[:, None], faulty.seen, whole.seen)
    return Looked(whole.truth, np.where(hit, faulty.verdict, whole.verdict), seen)


def calibrated(bundle: Bundle, pool: Looked, tows: int, seed: int) -> list[Towed]:
    """Tows of one half of the images against a reference of the other."""
    random = np.random.default_rng(seed)
    found: list[Towed] = []
    for _ in range(HALVES):
        one: NDArray[np.bool_] = random.random(len(pool.truth)) < 0.5
        half = pool.only(one)
        found += towed(reference_of(bundle, half.verdict, half.seen), pool.only(~one), tows, random)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("validation", "test"), default="test")
    parser.add_argument("--tows", type=int, default=100, help="of each composition and size")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--images", type=Path, default=Path("data/planktonset-dev"))
    parser.add_argument("--foreign", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with refusals("benchmarks.drift"):
        bundle = open_bundle(given.bundle or shipped_bundle(DEFAULT))
        say("looking at the validation images")
        validation = looked(bundle, *decoded(bundle, given.images, "validation"))
        if given.part == "validation":
            show(false_warnings(calibrated(bundle, validation, max(1, given.tows // HALVES), given.seed)))
        else:
            _test(bundle, validation, given)
    print(facts(bundle, f"{given.part} images of {given.images}"))


def _test(bundle: Bundle, validation: Looked, given: argparse.Namespace) -> None:
    reference = reference_of(bundle, validation.verdict, validation.seen)
    greys, truth = decoded(bundle, given.images, "test")
    pool = looked(bundle, greys, truth)
    sizes = (*SIZES, AGAIN)
    show(false_warnings(list(towed(reference, pool, given.tows, np.random.default_rng(given.seed), sizes=sizes))))
    rows = faults()
    add_fault(rows, "nothing", pool, reference, given.tows, given.seed)
    for name, alter in ALTERATIONS.items():
        say(name)
        faulty = looked(bundle, greys, truth, alter, given.seed)
        add_fault(rows, name, faulty, reference, given.tows, given.seed)
        for share in PARTLY.get(name, ()):
            hit = np.random.default_rng(given.seed).random(len(truth)) < share
            add_fault(
                rows, f"  in {share:.0%} of the images", partly(pool, faulty, hit), reference, given.tows, given.seed
            )
    if given.foreign is not None:
        files = sorted(file for file in given.foreign.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
        strangers = [bundle.decode(file.read_bytes()) for file in files]
        foreign = looked(bundle, strangers, np.full(len(files), -1, np.int64))
        add_foreign(rows, pool, foreign, reference, given.tows, given.seed)
    show(rows)


if __name__ == "__main__":
    main()
