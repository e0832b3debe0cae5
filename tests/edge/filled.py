"""Ledgers with known content, written by the ledger's own writer."""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from bundle.folder import Bundle
from bundle.measures import Measures
from edge.capture.capture import Capture
from edge.daemon.outcome import Again, Counted, Outcome, Rejected, Unread
from edge.intake.files import Found
from edge.intake.overload import drop
from edge.ledger.ledger import open_ledger

SECOND = 1_000_000_000
TEN = 1_795_600_800 * SECOND  # 2026-11-25T10:00:00Z, in UTC ns

MEASURES = Measures(50, 40, sharpness=100.0, dark_share=0.0, bright_share=0.1, ink_share=0.2, mean_grey=200.0)


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
    dropped: Iterable[str] = (),
    aside: Iterable[tuple[str, int, str]] = (),
) -> None:
    """Adds to the ledger: images counted (clock, class index), rejected (reason), unread (reason), waiting, duplicates,
    dropped (clock), and those set aside (clock, class index, rule).

    The duplicates are files with the content of the first image counted.
    """
    with open_ledger(path) as ledger:
        bundle_id = ledger.bundle_id(bundle, now_ns=TEN)
        outcomes: list[Outcome] = []
        for number, (clock, label) in enumerate(counted):
            name = f"{bundle.digest[:4]}-{number}.png"
            capture = Capture(at(clock), "mtime")
            outcomes.append(Counted(Found(name, 100, at(clock)), _content(name), capture, MEASURES, label, 3, 0.9))
        for number, (clock, label, rule) in enumerate(aside):
            name, capture = f"{bundle.digest[:4]}-aside-{number}.png", Capture(at(clock), "mtime")
            found = Found(name, 100, at(clock))
            outcomes.append(Counted(found, _content(name), capture, MEASURES, label, 3, 0.9, rule))
        for number, reason in enumerate(rejected):
            name = f"{bundle.digest[:4]}-bad-{number}.png"
            outcomes.append(
                Rejected(Found(name, 10, TEN), _content(name), Capture(TEN, "mtime"), reason, "as the test has it")
            )
        for number, reason in enumerate(unread):
            outcomes.append(Unread(Found(f"unread-{number}.png", 10, TEN), reason, "as the test has it"))
        for number in range(duplicates):
            first = f"{bundle.digest[:4]}-0.png"
            outcomes.append(Again(Found(f"copy-{number}.png", 100, TEN), _content(first), Capture(TEN, "mtime")))
        ledger.record(outcomes, bundle_id, now_ns=TEN)
        left_out = [Found(f"dropped-{number}.png", 100, at(clock)) for number, clock in enumerate(dropped)]
        if left_out:
            ledger.note(left_out, now_ns=TEN)
            paths = drop(ledger.connection, "newest", len(left_out), lambda found: found.mtime_ns, salt=b"")
            assert sorted(paths) == sorted(found.path for found in left_out), "nothing else may wait here"
        ledger.note([Found(f"late-{number}.png", 100, TEN) for number in range(waiting)], now_ns=TEN)


def _content(name: str) -> bytes:
    return sha256(name.encode()).digest()
