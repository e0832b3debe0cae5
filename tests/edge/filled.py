"""Ledgers with known content, written by the ledger's own writer."""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from bundle.folder import Bundle
from edge.files import Found
from edge.ledger import open_ledger
from edge.outcome import Again, Counted, Outcome, Rejected, Unread

SECOND = 1_000_000_000
TEN = 1_795_600_800 * SECOND  # 2026-11-25T10:00:00Z, in UTC ns


def at(clock: str) -> int:
    """UTC ns of "10:15:30" on that day."""
    hours, minutes, seconds = map(int, clock.split(":"))
    return TEN + ((hours - 10) * 3600 + minutes * 60 + seconds) * SECOND


def other_bundle(bundle: Bundle, labels: tuple[str, ...], digest: str = "cd" * 32) -> Bundle:
    """A bundle with other labels and another digest, as far as the ledger looks."""
    return replace(bundle, labels=labels, digest=digest, manifest=replace(bundle.manifest, name="other"))


def fill(
    path: Path,
    bundle: Bundle,
    counted: Iterable[tuple[str, int]] = (),
    rejected: Iterable[str] = (),
    unread: Iterable[str] = (),
    waiting: int = 0,
    duplicates: int = 0,
) -> None:
    """Adds to the ledger: images counted (clock, class index), rejected (reason), unread (reason), waiting, duplicates.

    The duplicates are files with the content of the first image counted.
    """
    with open_ledger(path) as ledger:
        bundle_id = ledger.bundle_id(bundle, now_ns=TEN)
        outcomes: list[Outcome] = []
        for number, (clock, label) in enumerate(counted):
            name = f"{bundle.digest[:4]}-{number}.png"
            outcomes.append(Counted(Found(name, 100, at(clock)), _content(name), 50, 40, label, 3, 0.9))
        for number, reason in enumerate(rejected):
            name = f"{bundle.digest[:4]}-bad-{number}.png"
            outcomes.append(Rejected(Found(name, 10, TEN), _content(name), reason, "as the test has it"))
        for number, reason in enumerate(unread):
            outcomes.append(Unread(Found(f"unread-{number}.png", 10, TEN), reason, "as the test has it"))
        for number in range(duplicates):
            first = f"{bundle.digest[:4]}-0.png"
            outcomes.append(Again(Found(f"copy-{number}.png", 100, TEN), _content(first)))
        ledger.record(outcomes, bundle_id, now_ns=TEN)
        ledger.note([Found(f"late-{number}.png", 100, TEN) for number in range(waiting)], now_ns=TEN)


def _content(name: str) -> bytes:
    return sha256(name.encode()).digest()
