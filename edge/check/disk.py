"""The disks: how much is free, for how many hours at the recent rate, and whether the ledger's is one SQLite can trust."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edge.check.finding import Finding, fail, ok, warn
from edge.check.inflow import Inflow
from edge.intake.mounts import mount_type, sends_events

GROUP = "disk"
_GB = 1e9
_LEAST_BYTES = 200 * 1000 * 1000
_SHORT_HOURS, _LONG_HOURS = 24.0, 24.0 * 365
_LEDGER_BYTES = 700  # an image in the ledger takes, its indexes included, with some to spare


@dataclass(frozen=True)
class Disk:
    """A file system and which of our folders lie on it."""

    uses: tuple[str, ...]  # "images", "ledger", "out"
    folder: Path  # one of them
    free_bytes: int
    free_files: int | None  # inodes; None: this file system does not count them


def judge_disk(disk: Disk, inflow: Inflow | None) -> Finding:
    """inflow: how fast images came lately; None: nothing is known."""
    name = f"{' and '.join(disk.uses)} on {disk.folder}"
    said = f"{disk.free_bytes / _GB:.1f} GB free for {name}"
    room = "make room, use a larger disk, or switch on [retention] in edge.toml"
    if disk.free_files is not None and disk.free_files < 10_000:
        return fail(
            GROUP, f"only {disk.free_files} more files fit for {name}", "remove many small files, or reformat the disk"
        )
    if disk.free_bytes < _LEAST_BYTES:
        return fail(GROUP, said, room)
    hours = _hours(disk, inflow)
    if hours is None:
        return ok(GROUP, said)
    if hours > _LONG_HOURS:
        return ok(GROUP, f"{said}: enough for more than a year at the recent rate")
    said += f": {hours:.0f} hours at the recent rate"
    return warn(GROUP, said, room) if hours < _SHORT_HOURS else ok(GROUP, said)


def judge_ledger_mount(kind: str | None, folder: Path, network: bool) -> Finding:
    """kind: the type of the file system."""
    if network:
        do = (
            "keep the ledger on a disk of this machine (ledger in edge.toml): SQLite's log does not work over a network"
        )
        return fail(GROUP, f"the ledger's folder {folder} is a mount over a network ({kind})", do)
    if kind == "tmpfs":
        return warn(GROUP, f"the ledger's folder {folder} is in memory", "keep it on a disk: at a power cut it is gone")
    return ok(GROUP, f"the ledger is on a local disk ({kind or 'of unknown type'})")


def judge_watch_mount(kind: str | None, silent: bool, poll_seconds: float) -> Finding:
    """Whether new files are heard of at once."""
    if silent:
        said = f"the watched folder is a mount that tells of nothing ({kind}): it is walked every {poll_seconds:g} s"
        return ok("watch", said)
    return ok("watch", f"new files are heard of at once ({kind or 'a file system of unknown type'})")


def read_disks(places: dict[str, Path]) -> list[Disk]:
    """The file systems that these places lie on, each once; a place that is not there yet lies where its parent does."""
    disks: dict[int, Disk] = {}
    for use, path in places.items():
        there = next((each for each in (path, *path.parents) if each.exists()), None)
        if there is None:
            continue
        device, state = there.stat().st_dev, os.statvfs(there)
        uses = (*disks[device].uses, use) if device in disks else (use,)
        folder = disks[device].folder if device in disks else there
        files = state.f_favail if state.f_files else None
        disks[device] = Disk(uses, folder, state.f_bavail * state.f_frsize, files)
    return list(disks.values())


def check_mounts(watch: Path, ledger: Path, poll_seconds: float) -> list[Finding]:
    """What the two folders lie on."""
    silent, remote = not sends_events(watch), not sends_events(ledger.parent)
    return [
        judge_ledger_mount(mount_type(ledger.parent), ledger.parent, remote),
        judge_watch_mount(mount_type(watch), silent, poll_seconds),
    ]


def _hours(disk: Disk, inflow: Inflow | None) -> float | None:
    """For so long there is room, if images go on coming as they did."""
    if inflow is None:
        return None
    rate = inflow.bytes_per_hour if "images" in disk.uses else 0.0
    rate += inflow.images_per_second * 3600 * _LEDGER_BYTES if "ledger" in disk.uses else 0.0
    return (disk.free_bytes - _LEAST_BYTES) / rate if rate > 0 else None
