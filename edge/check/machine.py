"""The machine: is there memory for the workers, is it cool enough, can it tell of new files?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge.check.finding import Finding, fail, ok, warn

MIB = 1024 * 1024
_PROCESS_MIB = 100  # the daemon, and each worker
_LARGEST_IMAGE_MIB = 300
_WARM, _HOT = 70.0, 80.0  # degrees Celsius; a Raspberry Pi slows down from 80 on
_FEW_INSTANCES = 16


def judge_memory(available_mib: float, total_mib: float, workers: int) -> Finding:
    """workers: processes that classify. As docs/operations.md reckons."""
    group, wanted = "memory", _PROCESS_MIB * (workers + 1) + _LARGEST_IMAGE_MIB
    said = f"{available_mib:.0f} of {total_mib:.0f} MiB are free; {workers} workers want some {wanted}"
    if total_mib * 0.75 < wanted:  # the unit's MemoryMax
        return fail(group, said, f"set workers in edge.toml to {max(1, int((total_mib * 0.75 - 400) // 100))} or fewer")
    if available_mib < wanted:
        return warn(group, said, "see what else runs here (ps aux --sort=-rss), or set workers in edge.toml lower")
    return ok(group, said)


def judge_temperature(degrees: float | None) -> Finding:
    """Of the warmest sensor of the processor, in degrees Celsius."""
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


def read_memory(meminfo: Path = Path("/proc/meminfo")) -> tuple[float, float]:
    """Available and total memory, MiB."""
    text = meminfo.read_text()
    sizes = {name: int(size) / 1024 for name, size in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    return sizes.get("MemAvailable", sizes["MemFree"]), sizes["MemTotal"]


def read_temperature(zones: Path = Path("/sys/class/thermal")) -> float | None:
    """Of the warmest zone, degrees Celsius; None where there is none."""
    found = []
    for zone in zones.glob("thermal_zone*"):
        try:
            degrees = int((zone / "temp").read_text()) / 1000
        except (OSError, ValueError):  # some zones answer only while they are in use
            continue
        if 0 < degrees < 150:
            found.append(degrees)
    return max(found, default=None)


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
