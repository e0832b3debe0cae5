"""The computer that a latency was measured on: a number of milliseconds means nothing without it."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bundle.ensemble import RUNTIME

CPU, BOARD = Path("/proc/cpuinfo"), Path("/proc/device-tree/model")


@dataclass(frozen=True)
class Machine:
    """What decides how fast a model runs."""

    processor: str  # as the machine calls itself: "AMD EPYC", "Raspberry Pi 5 Model B Rev 1.0"
    architecture: str  # "x86_64", "aarch64"
    cores: int  # that this process may use
    system: str  # "Debian GNU/Linux 12 (bookworm), Linux 6.1.0"
    runtime: str  # what runs the models: "ai-edge-litert 2.3.0"


def read_machine() -> Machine:
    """The machine that this process runs on."""
    return Machine(
        processor=processor_name(_text(CPU), _text(BOARD)) or platform.processor() or platform.machine(),
        architecture=platform.machine(),
        cores=usable_cores(),
        system=f"{_distribution()}, {platform.system()} {platform.release()}",
        runtime=RUNTIME if RUNTIME == "none" else f"{RUNTIME} {version(RUNTIME)}",
    )


def usable_cores() -> int:
    """The cores that this process may use: a container or `taskset` may leave it fewer than there are."""
    return len(os.sched_getaffinity(0))


def processor_name(cpuinfo: str, board: str) -> str | None:
    """From the text of /proc/cpuinfo and of the device tree's model; None where both are silent.

    The board goes first: on ARM it says "Raspberry Pi 5", where the processor says at best "ARMv7".
    """
    if board.strip("\0 \n"):
        return board.strip("\0 \n")
    for key in ("Model", "model name"):  # "model" in small letters is a number
        if found := re.search(rf"^{key}\s*:\s*(\S.*?)\s*$", cpuinfo, re.MULTILINE):
            return found[1]
    return None


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown distribution"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
