"""Where the page finds things: the one value that every page module is given."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.config import EdgeConfig
from edge.ledger.ledgerfile import open_ledger_readonly


@dataclass(frozen=True)
class Place:
    """One ledger and what lies around it; what was not told is None, and the pages say what they lack."""

    ledger: Path
    watch: Path | None = None  # the folder of images
    out: Path | None = None  # the folder of status.json
    bundle: Path | None = None  # the classifier that counts
    survey: Path | None = None  # survey.toml
    token: str | None = None  # who has it may write (labels); None: nobody may
    config: EdgeConfig | None = None
    now_ns: Callable[[], int] = time.time_ns  # UTC ns

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """The ledger, read-only, closed behind the block. Raises BadConfig where it cannot be read.

        Not for the event loop: run what uses it with `starlette.concurrency.run_in_threadpool`.
        """
        connection = open_ledger_readonly(self.ledger)
        try:
            connection.execute("PRAGMA busy_timeout = 2000")  # a person waits; the daemon's ten seconds are too long
            yield connection
        finally:
            connection.close()
