"""What a SIGHUP means: read the settings anew; or, to a daemon that a person runs in a terminal, that the terminal is gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


class Hangup:
    """Hears SIGHUP from now on. `asked` tells whether the settings were to be read anew since it last told.

    Where the terminal went with the signal, `stop` is called instead: a closed window ends what was started in it, as ever.
    One who began with SIGHUP ignored (nohup) wants to outlive it.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._heard = self._told = 0  # counted, not cleared: a signal may come at any instruction
        self._in_terminal = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_terminal()
        signal.signal(signal.SIGHUP, self._hear)

    def asked(self) -> bool:
        """Whether the settings are to be read anew."""
        heard = self._heard
        asked, self._told = heard != self._told, heard
        return asked

    def _hear(self, _number: int, _frame: object) -> None:
        if self._in_terminal and not _has_terminal():
            self._stop()
        else:
            self._heard += 1


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True
