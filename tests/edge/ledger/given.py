"""Files found, and what becomes of them, in the fewest words that a ledger understands."""

import hashlib

from bundle.measures import Measures
from edge.capture.capture import Capture
from edge.daemon.outcome import Again, Counted, Rejected
from edge.intake.files import Found

NOW = 1_790_000_000_000_000_000


def sha(content: str) -> bytes:
    return hashlib.sha256(content.encode()).digest()


def file(path: str, size: int = 10, mtime_ns: int = 5) -> Found:
    return Found(path, size, mtime_ns)


MEASURES = Measures(8, 9, sharpness=100.5, dark_share=0.25, bright_share=0.125, ink_share=0.5, mean_grey=99.5)


def taken(found: Found) -> Capture:
    return Capture(found.mtime_ns, "mtime")


def counted(found: Found, content: str, label: int = 0, aside: str | None = None) -> Counted:
    return Counted(found, sha(content), taken(found), MEASURES, label, 3, 0.75, aside)


def again(found: Found, content: str) -> Again:
    return Again(found, sha(content), taken(found))


def rejected(found: Found, content: str, reason: str, detail: str) -> Rejected:
    return Rejected(found, sha(content), taken(found), reason, detail)


def torn(found: Found, content: str) -> Rejected:
    return rejected(found, content, "truncated", "the PNG file ends before its image does")


def waiting_paths(ledger) -> list[str]:
    return [found.path for _, found in ledger.waiting(1000)]


def accounting(rows) -> tuple:
    """Seen, counted, rejected, waiting, duplicates, where nothing was dropped; as the triggers have it, and it is true."""
    columns = "seen, counted, rejected, waiting, duplicates, dropped"
    (account,) = rows(f"SELECT {columns} FROM accounting")
    assert [account] == rows(f"SELECT {columns} FROM audit")
    *numbers, dropped = account
    assert dropped == 0
    return tuple(numbers)
