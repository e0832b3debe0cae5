"""The ledger, and the labels beside it: can this version use them, are they sound, who has them open, when were they copied?"""

from __future__ import annotations

import fcntl
import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bundle.errors import BadConfig
from edge.check.finding import Finding, fail, fault, ok, warn
from edge.check.inflow import Inflow, read_inflow
from edge.corrections.history import read_labels
from edge.corrections.labelsfile import labels_file
from edge.ledger.backup import BackupSettings, backups_of
from edge.ledger.ledgerfile import open_ledger_readonly, repair_plan
from edge.ledger.soundness import check_ledger

GROUP = "ledger"
_HOUR_NS = 3600 * 1_000_000_000
_QUICK_BYTES = 4 * 1000**3  # a larger ledger takes minutes to check


@dataclass(frozen=True)
class Known:
    """What a ledger tells to other checks; None: nothing."""

    inflow: Inflow | None = None
    newest_image_ns: int | None = None
    waiting: int = 0


def check_the_ledger(ledger: Path) -> tuple[list[Finding], Known]:
    """Its findings. Reads it beside a daemon that writes it."""
    if not ledger.parent.is_dir():
        do = f"create it, or mount its disk: mkdir {ledger.parent} (the unit makes /var/lib/planktow/NAME by itself)"
        return [fail(GROUP, f"{ledger.parent}: no such folder for the ledger", do)], Known()
    if repair_plan(ledger).exists():
        do = f"planktow-edge repair --ledger {ledger}"
        return [fail(GROUP, f"{ledger}: a repair was cut short", do)], Known()
    if not ledger.exists():
        return [ok(GROUP, f"{ledger} is not there yet; the daemon makes it")], Known()
    try:
        with closing(open_ledger_readonly(ledger)) as connection:
            known = Known(
                read_inflow(connection),
                connection.execute("SELECT MAX(capture_ns) FROM image").fetchone()[0],
                connection.execute("SELECT waiting FROM account").fetchone()[0],
            )
    except BadConfig as error:
        said, _, do = str(error).rpartition("; ")
        if "of an older Planktow" in said:
            return [ok(GROUP, f"{said}: the daemon brings it up to date when it starts")], Known()
        return [fail(GROUP, said, do)], Known()
    except Exception as error:  # sqlite3.DatabaseError: torn in a place that only the queries read
        return [_damaged(ledger, str(error))], Known()
    found = []
    if ledger.stat().st_size > _QUICK_BYTES:
        found.append(ok(GROUP, f"{ledger}: too large to be checked in passing; the daemon does after an unclean end"))
    elif faults := check_ledger(ledger, thorough=False):
        found.append(_damaged(ledger, faults[0]))
    else:
        found.append(ok(GROUP, f"{ledger} is sound; {known.waiting} files wait"))
    found.append(ok(GROUP, "a daemon has it open" if _locked(ledger) else "no daemon has it open"))
    return found, known


def check_labels(ledger: Path) -> list[Finding]:
    """What people have said of the images; nothing where nobody has."""
    file = labels_file(ledger)
    if not file.exists():
        return []
    try:
        labelled = len(read_labels(ledger))
    except BadConfig as error:
        return [fault("labels", error, "run planktow-edge repair")]
    return [ok("labels", f"{file}: people have labelled {labelled} images")]


def check_backups(ledger: Path, settings: BackupSettings, now_ns: int) -> Finding:
    """When the ledger was copied last."""
    group = "backup"
    folder = settings.folder_for(ledger)
    if folder is None:
        do = "set folder in [backup] of edge.toml, or enable planktow-backup@NAME.timer"
        return warn(group, "the daemon makes none", do)
    if not folder.parent.is_dir():
        return fail(
            group, f"{folder}: cannot be made, the folder above is not there", "mount its disk, or name another"
        )
    try:
        made = backups_of(ledger, folder)
    except OSError as error:
        return fail(group, f"{folder}: cannot be read ({error.strerror})", "check the folder for backups")
    if not made:
        said = f"none in {folder} yet; the daemon makes one when it has started"
        return ok(group, said)
    hours = (now_ns - made[-1].made_ns) / _HOUR_NS
    said = f"the newest of {len(made)} is {hours:.0f} h old ({made[-1].path})"
    if hours > 2 * settings.every_hours + 1:
        return warn(group, said, "see what the daemon says of it: journalctl -u 'planktow-edge@*' | grep -i backup")
    return ok(group, said)


def _damaged(ledger: Path, why: str) -> Finding:
    return fail(GROUP, f"{ledger}: damaged ({why})", f"stop the daemon, then: planktow-edge repair --ledger {ledger}")


def _locked(ledger: Path) -> bool:
    """Whether a daemon holds the ledger's lock, which is only looked at."""
    try:
        descriptor = os.open(ledger.with_name(ledger.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
