"""The real daemon as a child process, on a folder of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadConfig, PlanktowError
from bundle.whole import write_whole
from edge.config import EdgeConfig, format_config
from edge.counts import Accounting, Counts, read_counts
from edge.ledger.ledgerfile import open_ledger_readonly

STOP_SECONDS = 20.0
SETTLE_SECONDS = 1.5  # longer than the camera's pause within one image
NOTHING = Counts(Accounting(0, 0, 0, 0, 0, 0), {}, {}, (), ())


@dataclass(frozen=True)
class Stage:
    """The folder of one demo and what lies in it."""

    folder: Path

    @property
    def capture(self) -> Path:
        """Where the camera writes."""
        return self.folder / "capture"

    @property
    def ledger(self) -> Path:
        """What the daemon remembers."""
        return self.folder / "ledger.sqlite"

    @property
    def config(self) -> Path:
        """The daemon's settings."""
        return self.folder / "edge.toml"

    @property
    def log(self) -> Path:
        """What the daemon says."""
        return self.folder / "daemon.log"

    def prepare(self, bundle: Path) -> None:
        """Makes the folders and writes edge.toml. Raises BadConfig unless the folder is new or empty."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()):
                raise BadConfig(f"{self.folder}: not empty; give the demo a new folder, or none")
            self.capture.mkdir()
            config = EdgeConfig(
                watch=Path("capture"),
                bundle=bundle.resolve(),
                ledger=Path(self.ledger.name),
                out=Path("counts"),
                settle_seconds=SETTLE_SECONDS,
                publish_seconds=1.0,
            )
            write_whole(self.config, format_config(config).encode())
        except OSError as error:
            raise BadConfig(f"{self.folder}: cannot be used ({error.strerror}); give a folder to write in") from None

    def counts(self) -> Counts:
        """The ledger now; nothing while the daemon has yet to make it."""
        if not self.ledger.exists():
            return NOTHING
        try:
            connection = open_ledger_readonly(self.ledger)
        except BadConfig:  # between the file's making and its tables'
            return NOTHING
        try:
            return read_counts(connection)
        finally:
            connection.close()


class DaemonDied(PlanktowError):
    """The daemon ended on its own; the text has its last words."""


@contextmanager
def running(stage: Stage) -> Iterator[subprocess.Popen[bytes]]:
    """`planktow-edge run` on the stage, ended when the block ends, whatever happens in it."""
    # -P: a folder named `edge` in the working directory must not be taken for ours.
    command = [sys.executable, "-P", "-m", "edge", "run", "--config", str(stage.config)]
    with stage.log.open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def check_alive(process: subprocess.Popen[bytes], stage: Stage) -> None:
    """Raises DaemonDied when it is not."""
    status = process.poll()
    if status is not None:
        words = " / ".join(stage.log.read_text(errors="replace").strip().splitlines()[-3:])
        raise DaemonDied(f"the daemon ended with status {status}: {words or 'no word'} (its log: {stage.log})")


def stop(process: subprocess.Popen[bytes]) -> int | None:
    """Sends SIGTERM, as systemd does, and returns the exit status; None when it did not end in time."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        return None
