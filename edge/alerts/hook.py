"""The command that is run for each event: one at a time, within a time, and never through a shell."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from edge.alerts.settings import HookSettings
from edge.alerts.state import Event, told_table
from edge.bins import utc_text
from edge.shown import shown

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 600.0
_SAID_BYTES = 2000  # of the end of what a command said, when it fails


class Hook:
    """For a loop of one thread: nothing here waits for the command."""

    name = "hook"

    def __init__(self, settings: HookSettings) -> None:
        self.problem: str | None = None  # the last failure, until the command has ended well again
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None
        self._event: Event | None = None
        self._deadline = 0.0  # steady seconds, as all times here
        self._failures = 0  # of the event that is first in line
        self._not_before = 0.0
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - no pipe: nobody reads while it runs

    def turn(self, waiting: Sequence[Event], now: float) -> tuple[str, ...]:
        """Call it as often as you like; returns the ids of the events that are told, or given up."""
        done: tuple[str, ...] = ()
        if self._child is not None:
            if not _ended(self._child) and now < self._deadline:
                return ()
            done = self._settled(self._child, now)
        left = [event for event in waiting if event.id not in done]
        if left and now >= self._not_before:
            done = (*done, *self._start(left[0], now))
        return done

    @property
    def busy(self) -> bool:
        """Whether the command runs now."""
        return self._child is not None

    def close(self, _patience_seconds: float = 0.0) -> None:
        """Ends what runs; its event is told again at the next start."""
        if self._child is not None:
            _end_group(self._child)
            self._child = None
        self._said.close()

    def _start(self, event: Event, now: float) -> tuple[str, ...]:
        self._said.seek(0)
        self._said.truncate()
        self._event = event
        try:
            with tempfile.TemporaryFile() as told:  # a file, not a pipe: a command that does not read it blocks nobody
                told.write(json.dumps(told_table(event), ensure_ascii=False).encode() + b"\n")
                told.seek(0)
                self._child = subprocess.Popen(
                    self._settings.command,
                    stdin=told,
                    stdout=self._said,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **variables(event)},
                    start_new_session=True,
                )
        except (OSError, ValueError) as error:
            return self._failed(f"cannot be run ({error})", now)
        self._deadline = now + self._settings.timeout_seconds
        return ()

    def _settled(self, child: subprocess.Popen[bytes], now: float) -> tuple[str, ...]:
        assert self._event is not None
        in_time = _ended(child)
        code = _end_group(child)
        self._child = None
        if in_time and code == 0:
            if self.problem is not None:
                log.info("the alert command works again")
            self.problem, self._failures, self._not_before = None, 0, 0.0
            return (self._event.id,)
        if not in_time:
            return self._failed(f"did not end within {self._settings.timeout_seconds:g} s and was killed", now)
        said = self._last_words()
        return self._failed(f"ended with code {code}" + (f": {said}" if said else ""), now)

    def _failed(self, why: str, now: float) -> tuple[str, ...]:
        assert self._event is not None
        self._failures += 1
        self.problem = f"the alert command {self._settings.command[0]} {why}"
        if self._failures >= self._settings.tries:
            log.error("%s; '%s' is given up after %d tries", self.problem, self._event.id, self._failures)
            self._failures = 0
            return (self._event.id,)
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** (self._failures - 1), _LONGEST_PAUSE_SECONDS)
        self._not_before = now + pause
        log.warning("%s; '%s' is tried again in %.0f s", self.problem, self._event.id, pause)
        return ()

    def _last_words(self) -> str:
        end = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, end - _SAID_BYTES))
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return shown(lines[-1].strip())[:300] if lines else ""


def variables(event: Event) -> dict[str, str]:
    """What the command finds in its environment."""
    return {
        "PLANKTOW_ID": event.id,
        "PLANKTOW_WHAT": event.what,
        "PLANKTOW_RULE": event.rule,
        "PLANKTOW_SEVERITY": event.severity,
        "PLANKTOW_TEXT": shown(event.text),
        "PLANKTOW_VALUE": "" if event.value is None else f"{event.value:.6g}",
        "PLANKTOW_TIME": utc_text(event.time_ns),
    }


def _ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended. It is not reaped by that: so long its number, and its group's, can be nobody else's."""
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_group(child: subprocess.Popen[bytes]) -> int:
    """Kills whatever is left in the command's process group, and returns the command's own exit code."""
    with suppress(ProcessLookupError, PermissionError):  # nobody is left, or only those who became another user
        os.killpg(child.pid, signal.SIGKILL)
    return child.wait()
