"""The repair of a damaged ledger: the newest sound backup takes its place, and the damaged files are kept beside it.

What people said of images has a file of its own, known by content: it is left alone, or mended likewise where it is damaged.

The images on the disk are the log: what was decided after the backup is found and decided again when the daemon scans.

Each step can be the last one, by a power cut or kill -9. Until the plan is written nothing has happened to the ledger;
from then on a second repair carries the plan out, and doing a part of it twice is doing it once.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bundle.errors import BadConfig
from bundle.whole import json_bytes, sync_folder, write_whole
from edge.corrections.labelscopy import mend_labels
from edge.ledger.backup import Backup, backups_of
from edge.ledger.ledgercopy import copy_ledger, discard
from edge.ledger.ledgerfile import lock_ledger, repair_plan
from edge.ledger.migrations import APPLICATION_ID
from edge.ledger.soundness import check_ledger

# The log goes first: a restored ledger beside the log of the damaged one would take its pages from it.
PARTS = ("-wal", "-shm", "-journal", "")
MISSING = "the ledger is missing"


@dataclass(frozen=True)
class Repaired:
    """What a repair found and did."""

    ledger: str
    faults: tuple[str, ...] = ()  # none: the ledger was sound, and nothing was changed
    damaged: str | None = None  # what the damaged file, if there was one, is called now; its log that name and -wal
    restored: str | None = None  # the backup that is the ledger now
    restored_bytes: int = 0
    age_hours: float = 0.0  # of that backup, by its name
    refused: tuple[str, ...] = ()  # newer backups that are damaged too, and how
    continued: bool = False  # an earlier repair was cut short, and this one finished it
    labels: tuple[str, ...] = ()  # what was done to the file of people's labels; none: nothing

    @property
    def lines(self) -> list[str]:
        """For a person."""
        if not self.faults:
            return [f"{self.ledger}: the ledger is sound; nothing was changed", *self.labels]
        told = ["finished the repair that was cut short"] if self.continued else []
        told += [f"{self.ledger}: {fault}" for fault in self.faults]
        if self.damaged is not None and MISSING not in self.faults:
            told.append(f"the damaged files are kept as {self.damaged}*")
        told += [f"not restored: {backup}" for backup in self.refused]
        if self.restored is not None:
            told += [
                f"restored {self.restored} ({self.restored_bytes / 1e6:,.1f} MB, made {self.age_hours:.1f} hours ago)",
                "start the daemon: images decided since that are still in the watched folder are counted again by it, "
                "each once; those that were deleted since are missing",
            ]
        else:
            told.append(
                "no sound backup: start the daemon, and it begins a new ledger; images still in the watched folder are "
                "counted anew, those that were deleted are missing"
            )
        return [*told, *self.labels]


def repair(ledger: Path, backups: Path, now_ns: int) -> Repaired:
    """Puts the newest sound backup in the place of a ledger that is damaged or missing; a sound one is left alone.

    The damaged files are renamed, never deleted. Raises BadConfig while a daemon has the ledger, where it is a database
    of another kind, or where there is neither a ledger nor a backup; BackupFailed where there is no room for the copy.
    """
    if not ledger.parent.is_dir():
        raise BadConfig(f"{ledger.parent}: no such folder for the ledger; mount its disk, or check the path")
    with lock_ledger(ledger):
        done = _mended(ledger, backups, now_ns)
        folder = [backup.path for backup in backups_of(ledger, backups)] if backups.is_dir() else []
        return replace(done, labels=tuple(mend_labels(ledger, folder, now_ns)))


def _mended(ledger: Path, backups: Path, now_ns: int) -> Repaired:
    """The ledger alone."""
    continued = repair_plan(ledger).exists()
    if not continued:
        discard(_fresh(ledger))
        faults = _faults(ledger)
        if not faults:
            return Repaired(str(ledger))
        try:
            plan = _plan(ledger, backups, faults, now_ns)
            write_whole(repair_plan(ledger), json_bytes(asdict(plan)))
        except BaseException:
            discard(_fresh(ledger))
            raise
    done = _read_plan(ledger)
    _carry_out(ledger, done)
    return Repaired(**{**asdict(done), "continued": continued})


def _faults(ledger: Path) -> list[str]:
    if not ledger.exists():
        return [MISSING]
    if ledger.stat().st_size == 0:
        return ["the file is empty"]
    _refuse_other_database(ledger)
    return check_ledger(ledger, thorough=True)


def _refuse_other_database(ledger: Path) -> None:
    """A sound database that somebody else made was named by mistake: it is not to be put aside."""
    try:
        uri = f"{ledger.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
            sound = connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.DatabaseError:
        return
    if application != APPLICATION_ID and tables and sound:
        raise BadConfig(f"{ledger}: a database, but not a Planktow ledger; give another file")


def _plan(ledger: Path, folder: Path, faults: list[str], now_ns: int) -> Repaired:
    """What is to be done; the file that will be the ledger lies ready beside it then, whole and checked."""
    try:
        candidates = backups_of(ledger, folder)
    except OSError as error:
        raise BadConfig(f"{folder}: cannot be read ({error.strerror}); mount its disk, or check the path") from None
    if not candidates and not any(_part(ledger, part).exists() for part in PARTS):
        raise BadConfig(f"{ledger}: no such ledger, and no backup of it in {folder}; check both paths")
    stamp = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    damaged = f"{ledger.name}.damaged-{stamp}"
    refused: list[str] = []
    for backup in reversed(candidates):
        if wrong := _restorable(backup, _fresh(ledger)):
            refused.append(f"{backup.path} ({wrong})")
            continue
        age_hours = (now_ns - backup.made_ns) / 3.6e12
        size = _fresh(ledger).stat().st_size
        return Repaired(str(ledger), tuple(faults), damaged, str(backup.path), size, age_hours, tuple(refused))
    return Repaired(str(ledger), tuple(faults), damaged, refused=tuple(refused))


def _restorable(backup: Backup, copy: Path) -> str | None:
    """Copies the backup to `copy`; returns what is wrong with it, and then there is no copy."""
    discard(copy)
    faults = check_ledger(backup.path, thorough=False)  # before the copy: a damaged one may not even open
    if not faults:
        copy_ledger(backup.path, copy)
        faults = check_ledger(copy, thorough=True)
    if faults:
        discard(copy)
    return faults[0] if faults else None


def _carry_out(ledger: Path, plan: Repaired) -> None:
    fresh = _fresh(ledger)
    # Without the copy its renaming was done: what lies there now is the restored ledger.
    if plan.restored is None or fresh.exists():
        for part in PARTS:
            if _part(ledger, part).exists():
                _part(ledger, part).rename(_free(ledger.with_name(f"{plan.damaged}{part}")))
        sync_folder(ledger.parent)
        if plan.restored is not None:
            fresh.rename(ledger)
            sync_folder(ledger.parent)
    repair_plan(ledger).unlink()
    sync_folder(ledger.parent)


def _read_plan(ledger: Path) -> Repaired:
    file = repair_plan(ledger)
    try:
        plan: dict[str, Any] = json.loads(file.read_bytes())
        return Repaired(**{**plan, "faults": tuple(plan["faults"]), "refused": tuple(plan["refused"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadConfig(f"{file}: the plan of an unfinished repair cannot be read ({error}); move it away") from None


def _part(ledger: Path, part: str) -> Path:
    return ledger.with_name(ledger.name + part)


def _fresh(ledger: Path) -> Path:
    return ledger.with_name(ledger.name + ".restored")


def _free(path: Path) -> Path:
    """The path, or with the first number that makes it new: nothing that was set aside is ever written over."""
    tried, number = path, 1
    while tried.exists():
        number += 1
        tried = path.with_name(f"{path.name}-{number}")
    return tried
