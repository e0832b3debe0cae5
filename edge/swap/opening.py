"""A bundle being opened and verified whole in a process of its own, while counting goes on in ours.

A process: loading a model is C code that holds up the loop, reading from a sick disk may hang, and a damaged model may bring
the reader down.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from bundle.errors import BadBundle, PlanktowError
from bundle.folder import Bundle, open_bundle


class Opening:
    """One attempt. Close it; an unfinished one is then given up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    "from edge.swap.opening import main; main()",
                    str(theirs.fileno()),
                    os.fspath(path),
                ],
                pass_fds=[theirs.fileno()],
                process_group=0,  # a Ctrl-C is the daemon's to hear
            )
        self._connection = Connection(ours.detach())

    def poll(self) -> Bundle | BadBundle | None:
        """The bundle, or what is wrong with it; None: not known yet. Does not wait."""
        try:
            if not self._connection.poll():
                return None
            found: Bundle | str = self._connection.recv()
        except (EOFError, ConnectionError):
            return BadBundle(f"{self._path}: the process that opened it died; its last words are in the log")
        return BadBundle(found) if isinstance(found, str) else found

    def close(self) -> None:
        """Ends the process at once."""
        self._connection.close()
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs in the system, and is no concern of ours
            self._process.wait(0.2)


def main() -> None:
    """Opens the bundle named by the second argument and sends it to the socket whose number is the first."""
    with Connection(int(sys.argv[1])) as connection, contextlib.suppress(ConnectionError):
        try:
            bundle = open_bundle(Path(sys.argv[2]))
        except PlanktowError as error:
            connection.send(str(error))
        else:
            connection.send(bundle)
