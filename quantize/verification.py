"""What verifying a bundle found, and the limits that decide whether it will do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from quantize.bits import Bits

LEAST_IDENTICAL = 0.99  # share of a part's verdicts that must be those recorded: what tflite-runtime keeps to
MOST_CHANGE = 0.01  # of a part's accuracy, up or down
MOST_TIES = 0.005  # share of images where a member's highest score is not unique


@dataclass(frozen=True)
class Changed:
    """An image whose verdict is not the recorded one."""

    path: Path
    recorded: str  # label
    now: str  # label


@dataclass(frozen=True)
class PartCheck:
    """The bundle's verdicts on one part of the split: those it gave when it was made, and those it gives here."""

    part: str  # "validation" or "test"
    images: int
    recorded_accuracy: float  # share of the recorded verdicts that name the image's folder, 0..1
    accuracy: float  # the same of the verdicts here
    changed: int  # images with another verdict than recorded
    examples: tuple[Changed, ...]  # the first of them

    @property
    def identical(self) -> float:
        """Share of the verdicts that are those recorded, 0..1."""
        return 1 - self.changed / self.images

    def faults(self) -> Iterator[str]:
        """One line for each limit that is not kept."""
        if _too_many(self.changed, self.images, 1 - LEAST_IDENTICAL):
            yield (
                f"{self.part}: {self.changed} of {self.images} verdicts are not those recorded; at least "
                f"{LEAST_IDENTICAL:.0%} must be, found {self.identical:.2%}"
            )
        if _too_many(round(abs(self.accuracy - self.recorded_accuracy) * self.images), self.images, MOST_CHANGE):
            yield (
                f"{self.part}: the accuracy is {self.accuracy:.2%}, recorded are {self.recorded_accuracy:.2%}; they may "
                f"differ by {100 * MOST_CHANGE:g} points"
            )


@dataclass(frozen=True)
class Verification:
    """Everything that was compared."""

    bundle: Path
    name: str
    digest: str
    runtime: str  # "ai-edge-litert" or "tflite-runtime"
    threads: int  # of the many-threaded half of the comparison of bits
    parts: tuple[PartCheck, ...]
    members: tuple[Bits, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """One line for each limit that is not kept."""
        return (
            *(fault for part in self.parts for fault in part.faults()),
            *(fault for member in self.members for fault in _member_faults(member, self.threads)),
        )

    @property
    def passed(self) -> bool:
        """Whether every limit is kept."""
        return not self.faults


def _member_faults(member: Bits, threads: int) -> Iterator[str]:
    if member.differing:
        yield (
            f"{member.member}: the scores of {member.differing} of {member.images} images are not the same to the bit with "
            f"1 and {threads} threads, one by one and in batches; the largest difference is {member.largest:.2g}"
        )
    if _too_many(member.ties, member.images, MOST_TIES):
        yield (
            f"{member.member}: on {member.ties} of {member.images} images the highest score belongs to more than one class; "
            f"at most {100 * MOST_TIES:g} % may"
        )


def _too_many(count: int, images: int, limit: float) -> bool:
    """Whether `count` images are more than the share `limit` of all. One is always allowed, however few there are."""
    return count > max(limit * images, 1) + 1e-9 * images  # a limit that is met exactly is met, in binary too
