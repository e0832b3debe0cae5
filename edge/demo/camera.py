"""A camera that is played: images dropped into a folder one after another, and the mishaps that real ones bring."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bundle.whole import sha256_hex
from edge.demo.flowcam import Specimen

PAUSE_SECONDS = 0.7  # between the two halves of one image: longer than any look at the folder takes
NOTE = b"Station 7, third haul: winch stopped twice, net washed.\n"

Kind = Literal["image", "again", "halves", "torn", "foreign"]


@dataclass(frozen=True)
class Drop:
    """One file that the camera writes, in one or more parts with a pause between them."""

    kind: Kind
    name: str
    parts: tuple[bytes, ...]
    taxon: str | None = None

    @property
    def data(self) -> bytes:
        """The file when it is finished."""
        return b"".join(self.parts)

    @property
    def sha256(self) -> str:
        """Its identity."""
        return sha256_hex(self.data)


@dataclass(frozen=True)
class Expected:
    """What a counter that makes no mistake has in its ledger after the drops."""

    counted: frozenset[str]  # sha-256 of images with a verdict
    rejected: frozenset[str]  # sha-256 of files refused
    duplicates: int  # files whose content was there before


def plan(specimens: Sequence[Specimen]) -> tuple[Drop, ...]:
    """All specimens once, mixed; and, between them, one again under another name, one torn for good and one no image.

    One of the specimens comes in two halves. The order hangs on content alone: a repeated demo is the same demo.
    """
    mixed = sorted({image.sha256: image for image in specimens}.items())
    drops = [
        Drop("image", f"{number:05d}{Path(image.name).suffix}", (image.data,), image.taxon)
        for number, (_, image) in enumerate(mixed, start=1)
    ]
    third, half, late = len(drops) // 3, len(drops) // 2, 2 * len(drops) // 3
    slow, repeated, damaged = drops[third], drops[half // 2], drops[late]
    cut = len(slow.data) // 2
    drops[third] = Drop("halves", slow.name, (slow.data[:cut], slow.data[cut:]), slow.taxon)
    mishaps: list[tuple[int, Drop]] = [
        (late, Drop("foreign", "haul-notes.jpg", (NOTE,))),
        (half, Drop("torn", f"torn-{damaged.name}", (damaged.data[: len(damaged.data) * 2 // 3],))),
        (half, Drop("again", f"copy-of-{repeated.name}", (repeated.data,), repeated.taxon)),
    ]
    for place, drop in mishaps:  # from the back, so that the places hold
        drops.insert(place + 1, drop)
    return tuple(drops)


def expect(drops: Sequence[Drop], fault: Callable[[bytes], str | None]) -> Expected:
    """What must come of the drops; `fault` says what is wrong with an image file's bytes, None where nothing is.

    Torn and foreign files must be refused whatever `fault` says of them.
    """
    refused = {drop.sha256 for drop in drops if drop.kind in ("torn", "foreign") or fault(drop.data)}
    contents = {drop.sha256 for drop in drops}
    return Expected(frozenset(contents - refused), frozenset(refused), len(drops) - len(contents))


def play(drops: Sequence[Drop], folder: Path, seconds: float, stop: threading.Event) -> Iterator[Drop]:
    """Writes the drops to the folder in about `seconds`, yielding each when it is written; ends early once `stop` is set.

    Files are written in place under their last name, as most cameras do.
    """
    interval = seconds / len(drops)
    for drop in drops:
        with (folder / drop.name).open("wb") as file:
            for number, part in enumerate(drop.parts):
                if number and stop.wait(PAUSE_SECONDS):
                    return
                file.write(part)
                file.flush()
        yield drop
        if stop.wait(interval):
            return
