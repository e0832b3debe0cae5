"""Which files are being read at this moment, on disk: so that one that brings the process down is found out.

A decoder is C code and the bytes are anybody's. A worker that dies is seen by the daemon; but where the system ends the
whole service, for want of memory, systemd would start it again and again on the same image. The file is not synced: it
must outlive the process, not the machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

TRIES = 3  # so often a file may be the only one in hand when a process dies; a kill -9 may fall there by chance


class InHand:
    """The file NAME.inhand beside the ledger. `suspects` are the files that were in hand when a process died.

    They are read each in a batch of its own; with `culprits` a process died like that TRIES times. A context manager: a
    process that ends well has nothing in hand.
    """

    def __init__(self, ledger: Path) -> None:
        file = ledger.with_name(ledger.name + ".inhand")
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deaths = _read(self._descriptor)
        self.suspects = {path: tries for path, tries in deaths.items() if tries < TRIES}
        self.culprits = {path for path, tries in deaths.items() if tries >= TRIES}

    def __enter__(self) -> InHand:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.take(())
        os.close(self._descriptor)

    def take(self, batches: Iterable[Sequence[str]]) -> None:
        """These batches of paths are in hand now, instead of those before."""
        lines = [(batch, self._tries(batch[0], batch)) for batch in batches]  # a suspect is alone in its batch
        in_hand = {path for paths, _ in lines for path in paths} if self.suspects else set[str]()
        lines += [([path], tries) for path, tries in self.suspects.items() if path not in in_hand]
        lines += [([path], TRIES) for path in self.culprits]
        # In JSON, since a path may hold a line break; a write this short is whole or not there.
        data = "".join(json.dumps([tries, *paths]) + "\n" for paths, tries in lines).encode()
        try:
            os.pwrite(self._descriptor, data, 0)
        except OSError:  # a full disk is no reason to stop counting; what stands there names other files
            data = b""
        os.ftruncate(self._descriptor, len(data))

    def died(self, batch: Sequence[str]) -> None:
        """The worker that had these in hand has died."""
        for path in batch:
            tries = self._tries(path, batch)
            if tries < TRIES:
                self.suspects[path] = tries
            else:
                self.suspects.pop(path, None)
                self.culprits.add(path)

    def _tries(self, path: str, batch: Sequence[str]) -> int:
        """How often it will have been at fault alone, should the process die now."""
        return self.suspects.get(path, 0) + (len(batch) == 1)

    def clear(self, path: str) -> None:
        """This suspect was read and nothing happened, or this culprit's end is in the ledger."""
        self.suspects.pop(path, None)
        self.culprits.discard(path)


def _read(descriptor: int) -> dict[str, int]:
    deaths: dict[str, int] = {}
    for line in os.pread(descriptor, 1 << 24, 0).splitlines():
        try:
            tries, *paths = json.loads(line)
        except (ValueError, TypeError):  # the process died while it wrote
            continue
        if isinstance(tries, int):
            deaths.update((path, tries) for path in paths if isinstance(path, str))
    return deaths
