"""The machine: is there memory for the workers, is it cool enough, can it tell of new files?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.check.finding import Finding, fail, ok, warn
from edge.sensors import HostMemory

MIB = 1024 * 1024
_PROCESS_MIB = 100  # the daemon, and each worker
_LARGEST_IMAGE_MIB = 300
_WARM, _HOT = 70.0, 80.0  # degrees Celsius; a Raspberry Pi slows down from 80 on
_FEW_INSTANCES = 16


def judge_memory(memory: HostMemory | None, workers: int) -> Finding:
    """workers: processes that classify. As docs/operations.md reckons."""
    group, wanted = "memory", _PROCESS_MIB * (workers + 1) + _LARGEST_IMAGE_MIB
    if memory is None:
        return ok(group, f"this machine does not tell; {workers} workers want some {wanted} MiB")
    available_mib, total_mib = memory.available / MIB, memory.total / MIB
    said = f"{available_mib:.0f} of {total_mib:.0f} MiB are free; {workers} workers want some {wanted}"
    if total_mib * 0.75 < wanted:  # the unit's MemoryMax
        return fail(group, said, f"set workers in edge.toml to {max(1, int((total_mib * 0.75 - 400) // 100))} or fewer")
    if available_mib < wanted:
        return warn(group, said, "see what else runs here (ps aux --sort=-rss), or set workers in edge.toml lower")
    return ok(group, said)


def judge_temperature(degrees: float | None) -> Finding:
    """degrees: Celsius, of the hottest sensor."""
    group = "temperature"
    if degrees is None:
        return ok(group, "this machine has no sensor that can be read")
    if degrees >= _HOT:
        return warn(group, f"{degrees:.0f} °C: the processor slows down", "cool it: fan, heat sink, out of the sun")
    if degrees >= _WARM:
        return warn(group, f"{degrees:.0f} °C while little is to do", "cool it before counting warms it further")
    return ok(group, f"{degrees:.0f} °C")


@dataclass(frozen=True)
class Watches:
    """The kernel's limits for notifications, per user, and the folders to be watched; None: not known."""

    watches: int | None
    instances: int | None
    queued: int | None
    folders: int


def judge_watches(state: Watches) -> list[Finding]:
    """Whether the kernel can tell of all new files. If not, they are found by the rescan, later."""
    group = "inotify"
    if state.watches is None or state.instances is None or state.queued is None:
        do = "set rescan_seconds in edge.toml to a few seconds: new files are found by walking the folder"
        return [warn(group, "this kernel has no notifications", do)]
    found = []
    for name, limit, least in (
        ("max_user_watches", state.watches, 2 * state.folders),
        ("max_user_instances", state.instances, _FEW_INSTANCES),
    ):
        if limit < least:
            do = f"echo fs.inotify.{name}={4 * least} | sudo tee /etc/sysctl.d/planktow.conf && sudo sysctl --system"
            found.append(warn(group, f"fs.inotify.{name} is {limit}; {state.folders} folders are watched", do))
    if found:
        return found
    return [ok(group, f"{state.watches} folders may be watched, {state.folders} are; {state.queued} events may wait")]


def read_watches(watch: Path, recursive: bool, limits: Path = Path("/proc/sys/fs/inotify")) -> Watches:
    """The limits, and how many folders there are below `watch`, itself included."""
    import os

    values: list[int | None] = []
    for name in ("max_user_watches", "max_user_instances", "max_queued_events"):
        try:
            values.append(int((limits / name).read_text()))
        except (OSError, ValueError):
            values.append(None)
    folders = sum(1 for _ in os.walk(watch)) if recursive else 1
    return Watches(values[0], values[1], values[2], max(1, folders))
