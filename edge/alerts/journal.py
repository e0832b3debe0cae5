"""What was told of late: one line of JSON an event, in a file beside the ledger, for the page and the daily summary."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bundle.errors import BadConfig
from bundle.whole import write_whole
from edge.alerts.memory import event_from, event_table
from edge.alerts.state import Event

MOST_BYTES = 2_000_000  # some 5,000 events; then the older half goes


def journal_file(ledger: Path) -> Path:
    """Where the events of this ledger's alerts are kept."""
    return ledger.with_name(ledger.name + ".alerts.jsonl")


class Journal:
    """A way of telling, as hook and MQTT are: what cannot be written now stays untold and is written later."""

    name = "journal"

    def __init__(self, file: Path) -> None:
        self.problem: str | None = None
        self._file = file

    def turn(self, waiting: Sequence[Event], _now: float) -> tuple[str, ...]:
        """Appends all; returns the ids of those that are told."""
        if not waiting:
            return ()
        lines = b"".join(json.dumps(event_table(each), ensure_ascii=False).encode() + b"\n" for each in waiting)
        try:
            if self._file.exists() and self._file.stat().st_size > MOST_BYTES:
                self._halve()
            with self._file.open("ab+") as file:
                if file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
                    file.write(b"\n")  # a line that a power cut left torn ends here
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.problem = f"{self._file}: cannot be written ({error.strerror})"
            return ()
        self.problem = None
        return tuple(each.id for each in waiting)

    @property
    def busy(self) -> bool:
        return False

    def close(self, _patience_seconds: float) -> None:
        """Nothing is open."""

    def _halve(self) -> None:
        lines = self._file.read_bytes().splitlines(keepends=True)
        write_whole(self._file, b"".join(lines[len(lines) // 2 :]))


def read_events(file: Path, from_ns: int, to_ns: int) -> list[Event]:
    """Those told in [from_ns, to_ns), UTC ns, in order of time; none without a file. Lines that are none are passed by."""
    found = {event.id: event for event in _events(file) if from_ns <= event.time_ns < to_ns}
    return sorted(found.values(), key=lambda event: event.time_ns)


def _events(file: Path) -> Iterator[Event]:
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield event_from(json.loads(line))
        except (ValueError, BadConfig, AttributeError, TypeError):
            continue
