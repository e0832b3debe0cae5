"""Requests to take up dropped images: small files beside the ledger, since only the daemon writes the ledger.

A request stays until all its images have been taken up, and each time that nothing else waits a part of them is: live
images go first, and a restart loses nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bundle.errors import BadConfig
from bundle.whole import json_bytes, write_whole


@dataclass(frozen=True)
class Request:
    """Images captured in [from_ns, to_ns), UTC ns; None: no bound."""

    from_ns: int | None = None
    to_ns: int | None = None

    def __post_init__(self) -> None:
        if self.from_ns is not None and self.to_ns is not None and self.from_ns >= self.to_ns:
            raise BadConfig("--from must be before --to")


def ask(ledger: Path, request: Request, now_ns: int) -> Path:
    """Leaves a request for the daemon of this ledger. Raises BadConfig where it cannot be written."""
    file = ledger.with_name(f"{ledger.name}.catch-up-{now_ns}")
    try:
        write_whole(file, json_bytes(asdict(request)))
    except OSError as error:
        raise BadConfig(f"{file}: cannot be written ({error.strerror}); run this as the user of the daemon") from None
    return file


def requests(ledger: Path) -> list[tuple[Path, Request]]:
    """The requests that stand, the oldest first. A file that is none of ours is passed by."""
    found = []
    for file in sorted(ledger.parent.glob(f"{ledger.name}.catch-up-*")):
        try:
            table = json.loads(file.read_bytes())
            found.append((file, Request(table["from_ns"], table["to_ns"])))
        except (OSError, ValueError, KeyError, TypeError, BadConfig):
            continue
    return found
