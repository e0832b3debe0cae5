"""The tiny bundle with a reference of drawn images, and ledgers of such images, measured and classified as the daemon does."""

import shutil
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import count
from pathlib import Path

import numpy as np

from bundle.folder import Bundle, open_bundle
from bundle.measures import measure
from bundle.preprocess import Pixels
from bundle.reference import REFERENCE, write_reference
from edge.capture.capture import Capture
from edge.daemon.outcome import Counted
from edge.intake.files import Found
from edge.ledger.ledger import open_ledger
from quantize.reference import look, reference_of

from .filled import TEN
from .images import KINDS, TINY_BUNDLE, render

SECOND = 10**9
DAY = 86_400 * SECOND
_numbers = count()


def drawn(kinds: Sequence[str], seed: int = 0) -> list[Pixels]:
    """An image of each kind, some a little darker than others."""
    random = np.random.default_rng(seed)
    return [
        np.rint(render(kind, int(random.integers(10**9))) * random.uniform(0.9, 1.0)).astype(np.uint8) for kind in kinds
    ]


def mixed(images: int) -> list[str]:
    """All kinds in turn."""
    return [KINDS[number % len(KINDS)] for number in range(images)]


def with_reference(folder: Path, kinds: Sequence[str]) -> Path:
    """A copy of the tiny bundle in `folder` that was validated on these drawn images."""
    shutil.copytree(TINY_BUNDLE, folder)
    bundle = open_bundle(folder)
    reference = reference_of(bundle, *look(bundle, iter(drawn(kinds, seed=1))))
    write_reference(folder / REFERENCE, reference, bundle.manifest.name)
    return folder


def count_images(
    ledger_file: Path,
    bundle: Bundle,
    images: Sequence[Pixels],
    start_ns: int = TEN,
    *,
    step_ns: int = SECOND,
    all_ballots: bool = False,
    alter: Callable[[Pixels], Pixels] = lambda grey: grey,
    aside: str | None = None,
) -> None:
    """Adds the images to the ledger, the first captured at `start_ns`, each altered first."""
    altered = [alter(grey) for grey in images]
    votes = bundle.classify(bundle.load(), [bundle.prepare_grey(grey) for grey in altered], all_ballots)
    outcomes = []
    for place, grey in enumerate(altered):
        name = f"{next(_numbers)}.png"
        capture_ns = start_ns + place * step_ns
        outcomes.append(
            Counted(
                Found(name, 100, capture_ns),
                sha256(name.encode()).digest(),
                Capture(capture_ns, "mtime"),
                measure(grey),
                int(votes.label[place]),
                int(votes.votes[place]),
                float(votes.score[place]),
                aside,
                asked=int(votes.asked[place]),
            )
        )
    with open_ledger(ledger_file) as ledger:
        ledger.record(outcomes, ledger.bundle_id(bundle, now_ns=TEN), now_ns=TEN)
