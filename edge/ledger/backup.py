"""Backups of the ledger: whole, checked copies that are made while the daemon writes, the oldest of which give way.

What people said of images (edge/corrections) is copied beside each, under its name: a backup can be read as a ledger.
"""

from __future__ import annotations

import fcntl
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bundle.errors import BadConfig, PlanktowError
from bundle.whole import sync_folder
from edge.corrections.labelscopy import copy_labels
from edge.corrections.labelsfile import SUFFIX, labels_file
from edge.ledger.ledgercopy import BackupFailed, copy_ledger, discard
from edge.ledger.soundness import check_ledger
from edge.setting import about, check_ranges

HOUR_NS = 3600 * 1_000_000_000
CHILD_NICE = 10  # not 19: the slower the copy, the longer the log grows
PARTIAL = ".partial"


@dataclass(frozen=True)
class BackupSettings:
    """The table `[backup]` of edge.toml."""

    folder: str = field(
        default="backups",
        metadata=about(
            'folder, or "" for no backups',
            "Where copies of the ledger are kept; a relative path starts at the ledger's folder. A folder on another\n"
            "disk (a USB stick, say) also outlives the disk of the ledger. Each ledger wants a folder of its own.",
        ),
    )
    every_hours: float = field(
        default=24.0, metadata=about("hours", "How often the ledger is copied.", least=0.1, most=8760)
    )
    keep: int = field(
        default=7, metadata=about("backups", "So many of the newest stay, older ones are deleted.", least=1, most=10000)
    )

    def __post_init__(self) -> None:
        check_ranges(self)

    def folder_for(self, ledger: Path) -> Path | None:
        """Where this ledger's backups go; None where none are wanted."""
        return ledger.parent / self.folder if self.folder else None


@dataclass(frozen=True, order=True)
class Backup:
    """A backup by its name. They sort in the order in which they were made, whatever the clock said then."""

    number: int  # counts up: a clock that is set back, as by the first GPS fix, must not make the newest the oldest
    path: Path
    made_ns: int  # UTC ns, by the clock of that moment, to the second


def back_up(
    ledger: Path, folder: Path, keep: int, now_ns: int, between_steps: Callable[[], None] = lambda: None
) -> Path:
    """Copies the ledger, at work or at rest, into `folder` and deletes all but the newest `keep` backups of it there.

    The copy bears its name only once it is whole, checked and on the disk. Calls `between_steps` each STEP_PAGES.
    Raises BackupFailed, with nothing deleted and nothing left behind, BadConfig where `ledger` is none; where only the labels
    of people cannot be copied, once the backup of the ledger is there.
    """
    if not ledger.is_file():
        raise BadConfig(f"{ledger}: no such ledger; give the file that `planktow-edge run` writes")
    with _refused_by(folder):
        folder.mkdir(exist_ok=True)  # not its parents: a disk that is not mounted must not be filled in its place
    with _alone_in(folder, ledger), _refused_by(folder):
        for left in folder.glob(f"*{PARTIAL}*"):
            if _is_ours(ledger, left.name.partition(PARTIAL)[0].replace(SUFFIX, ".sqlite")):
                left.unlink()  # of a run that was killed
        before = backups_of(ledger, folder)
        stamp = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
        number = before[-1].number + 1 if before else 1
        path = folder / f"{ledger.stem}-{number:05d}-{stamp}.sqlite"
        partial = path.with_name(path.name + PARTIAL)
        try:
            copy_ledger(ledger, partial, between_steps)
            if faults := check_ledger(partial, thorough=False):
                raise BackupFailed(
                    f"{ledger}: the ledger is damaged, or {folder} keeps not what is written to it ({faults[0]}); "
                    "stop the daemon and run `planktow-edge repair`"
                )
            partial.rename(path)
        except BaseException:
            discard(partial)
            raise
        sync_folder(folder)
        try:
            with_labels = copy_labels(ledger, labels_file(path))
        except BadConfig as fault:
            raise BackupFailed(f"the ledger was backed up as {path}, without what people said: {fault}") from None
        finally:
            for old in _ousted([*before, Backup(number, path, now_ns)], keep):
                old.path.unlink(missing_ok=True)
        # The last copies of labels that are gone, or cannot be read, outlive their ledgers.
        if with_labels:
            kept = {labels_file(each.path) for each in backups_of(ledger, folder)}
            for file in folder.glob(f"{glob.escape(ledger.stem)}-*{SUFFIX}"):
                if file not in kept and _is_ours(ledger, file.name.replace(SUFFIX, ".sqlite")):
                    file.unlink(missing_ok=True)
    return path


def backups_of(ledger: Path, folder: Path) -> list[Backup]:
    """The ledger's backups in `folder`, the oldest first. Raises OSError where the folder cannot be listed."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if named := _is_ours(ledger, path.name):
            made = datetime.strptime(named[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            found.append(Backup(int(named[1]), path, int(made.timestamp()) * 1_000_000_000))
    return sorted(found)


def backup_due(backups: Sequence[Backup], every_hours: float, now_ns: int) -> bool:
    """Whether the newest backup is that old. One from the future (the clock was wrong then, or is now) is as good as old."""
    return not backups or not 0 <= now_ns - backups[-1].made_ns < every_hours * HOUR_NS


class Backups:
    """The backups of a running daemon: one process of low priority at a time. For a loop of one thread; nothing waits."""

    def __init__(self, ledger: Path, settings: BackupSettings, now: float, command: Sequence[str] = ()) -> None:
        """`now` here and below: seconds of a steady clock. `command` makes one backup; else this module's own."""
        self.problem: str | None = None  # the last backup's fault in one line; None: it went well
        self.began_ns = 0  # UTC ns: a backup holds what was in the ledger then, and perhaps more
        self._ledger, self._settings = ledger, settings
        self._folder = settings.folder_for(ledger)
        self._command = (*(command or (sys.executable, "-m", "edge.ledger.backup")),)
        self._look_at = now  # steady seconds: when to see whether one is due
        self._child: subprocess.Popen[bytes] | None = None
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - no pipe: nobody reads while the child speaks

    def turn(self, now_ns: int, now: float) -> bool:
        """Call it from the loop as often as you like. True when a backup has just ended, well or not: see `problem`."""
        if self._folder is None:
            return False
        if self._child is not None:
            return self._ended(self._child, now)
        if now < self._look_at:
            return False
        self._look_at = now + _LOOK_SECONDS
        try:
            due = backup_due(backups_of(self._ledger, self._folder), self._settings.every_hours, now_ns)
        except OSError as error:
            self.problem = f"{self._folder}: cannot be read ({error.strerror}); check the folder for backups"
            return True
        if due:
            self.began_ns = now_ns
            self._start(self._folder)
        return False

    def close(self) -> None:
        """Ends a backup in the making; the next one cleans up after it."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None
        self._words.close()

    def _start(self, folder: Path) -> None:
        self._words.seek(0)
        self._words.truncate()
        idle_disk = ("ionice", "-c", "3") if shutil.which("ionice") else ()
        self._child = subprocess.Popen(
            (*idle_disk, *self._command, str(self._ledger), str(folder), str(self._settings.keep)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._words,
        )

    def _ended(self, child: subprocess.Popen[bytes], now: float) -> bool:
        code = child.poll()
        if code is None:
            return False
        self._child = None
        self._words.seek(0)
        said = self._words.read().decode(errors="replace").strip().splitlines()
        self.problem = None if code == 0 else (said[-1] if said else f"the backup ended with code {code}")
        # After a fault not at once again; after a backup of a wrong clock, which looks due again, neither.
        pause_hours = self._settings.every_hours if code == 0 else min(1.0, self._settings.every_hours)
        self._look_at = now + pause_hours * 3600
        return True


_LOOK_SECONDS = 60.0


def _ousted(backups: Sequence[Backup], keep: int) -> list[Backup]:
    """Those that give way, of backups the oldest first."""
    return list(backups[: max(0, len(backups) - max(1, keep))])


def _is_ours(ledger: Path, name: str) -> re.Match[str] | None:
    return re.fullmatch(re.escape(ledger.stem) + r"-(\d{5,12})-(\d{8}T\d{6}Z)\.sqlite", name)


@contextmanager
def _alone_in(folder: Path, ledger: Path) -> Iterator[None]:
    """The right to make and delete this ledger's backups there; the system takes it from a process that dies."""
    lock = folder / f".{ledger.stem}.backup.lock"
    with _refused_by(folder):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        with _refused_by(folder):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupFailed(f"{folder}: another backup is being made there; wait until it is done") from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _refused_by(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupFailed(
            f"{folder}: no backup can be made there ({error.strerror}); mount its disk, allow this user to write there, "
            "or name another folder"
        ) from None


def _main(arguments: Sequence[str]) -> None:
    """LEDGER FOLDER KEEP: what `Backups` starts. It loads nothing but SQLite: 20 MB beside the daemon, not 200."""
    import time

    ledger, folder, keep = arguments
    os.nice(CHILD_NICE)
    try:
        back_up(Path(ledger), Path(folder), int(keep), time.time_ns())
    except PlanktowError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main(sys.argv[1:])
