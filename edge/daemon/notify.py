"""What systemd hears from us: READY, WATCHDOG and STATUS as datagrams (sd_notify(3)), and log lines as it likes them.

Twenty lines here save a dependency; without systemd all of it does nothing.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends to the socket that systemd named; `socket_name` None sends nowhere.

    watchdog_seconds: send WATCHDOG=1 at least this often, or be restarted; None: nobody waits for it.
    """

    def __init__(self, socket_name: str | None, watchdog_seconds: float | None = None) -> None:
        self._address = "\0" + socket_name[1:] if socket_name and socket_name[0] == "@" else socket_name
        self._every = None if watchdog_seconds is None else watchdog_seconds / 4
        self._last_alive = float("-inf")

    def send(self, patience_seconds: float = 0.2, **fields: str) -> None:
        """One datagram of NAME=value lines, dropped where nobody takes it within `patience_seconds`.

        A manager that is gone, or too busy to empty its queue (it holds as few as ten), is no reason to stop counting.
        """
        if not self._address:
            return
        message = "\n".join(f"{name}={value}" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagram:
                datagram.settimeout(patience_seconds)
                datagram.connect(self._address)
                datagram.sendall(message.encode(errors="backslashreplace"))
        except OSError as error:
            logging.getLogger(__name__).debug("systemd was not told %r: %s", message, error)

    def alive(self, now: float) -> None:
        """Call it from the loop that must not hang, as often as you like; `now` in seconds of a steady clock."""
        if self._every is not None and now - self._last_alive >= self._every:
            self._last_alive = now
            self.send(WATCHDOG="1")


def notifier_from(environment: Mapping[str, str], pid: int) -> Notifier:
    """The notifier that systemd asks process `pid` for in its environment (sd_notify(3), sd_watchdog_enabled(3))."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
    watchdog = int(microseconds) / 1e6 if meant and microseconds.isdecimal() and int(microseconds) > 0 else None
    return Notifier(environment.get("NOTIFY_SOCKET"), watchdog)


class LogFormat(logging.Formatter):
    """One plain line a message. For the journal, which has the time itself, `<6>` and so on state the level (sd-daemon(3))."""

    def __init__(self, journal: bool) -> None:
        super().__init__("%(message)s" if journal else "%(asctime)s %(levelname)s %(message)s")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if not self._journal:
            return text
        level = next(code for least, code in _PRIORITIES if record.levelno >= least)
        return "\n".join(f"<{level}>{line}" for line in text.splitlines())


_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))


def log_to_stderr() -> None:
    """Sets up logging for a command that runs for long."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormat(journal="JOURNAL_STREAM" in os.environ))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
