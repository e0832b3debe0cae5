"""Memory and temperature of the host, as far as Linux tells them without privileges."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

_SURVIVED = 130  # degrees Celsius: what no computer survives is a sensor's fault, as is anything below 0


@dataclass(frozen=True)
class HostMemory:
    """Of the whole host, in bytes."""

    available: int  # what programs may still have
    total: int


def read_memory(root: Path = Path("/")) -> HostMemory | None:
    """None where the kernel does not tell. root: where /proc stands."""
    try:
        told: dict[str, str] = dict(
            re.findall(r"^(\w+):\s+(\d+) kB$", (root / "proc/meminfo").read_text(), re.MULTILINE)
        )
        return HostMemory(1024 * int(told.get("MemAvailable", told["MemFree"])), 1024 * int(told["MemTotal"]))
    except (OSError, KeyError):
        return None


def read_celsius(root: Path = Path("/")) -> float | None:
    """Of the hottest sensor that can be read, degrees Celsius; None where there is none. root: where /sys stands."""
    sensors, found = root / "sys/class", []
    for file in (*sensors.glob("thermal/thermal_zone*/temp"), *sensors.glob("hwmon/hwmon*/temp*_input")):
        with contextlib.suppress(OSError, ValueError):  # some answer only while they are in use
            found.append(int(file.read_text()) / 1000)
    return max((celsius for celsius in found if 0 < celsius < _SURVIVED), default=None)
