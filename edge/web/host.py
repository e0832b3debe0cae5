"""How the host fares, as far as Linux tells without privileges: disks, memory, temperature, load."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge.sensors import HostMemory, read_celsius, read_memory


@dataclass(frozen=True)
class Disk:
    """The file system under a folder."""

    what: str  # "images", "ledger"
    free: int  # bytes, for this user
    size: int  # bytes

    @property
    def free_share(self) -> float:
        return self.free / self.size if self.size else 0.0


@dataclass(frozen=True)
class Host:
    """One look at the host; None: not told here."""

    disks: tuple[Disk, ...]
    memory: HostMemory | None
    celsius: float | None  # the hottest sensor
    load: float | None  # processes that ran or wanted to, on average of a minute
    cores: int


def read_host(folders: Iterable[tuple[str, Path]], root: Path = Path("/")) -> Host:
    """The state of the host. folders: (what, path); one on the same file system as another stands once."""
    load = None
    with contextlib.suppress(OSError):
        load = os.getloadavg()[0]
    return Host(_disks(folders), read_memory(root), read_celsius(root), load, os.cpu_count() or 1)


def _disks(folders: Iterable[tuple[str, Path]]) -> tuple[Disk, ...]:
    names: dict[int, list[str]] = {}
    usage: dict[int, tuple[int, int]] = {}
    for what, path in folders:
        try:
            device, used = path.stat().st_dev, shutil.disk_usage(path)
        except OSError:
            continue  # said elsewhere: a folder that is gone is a problem of the daemon
        names.setdefault(device, []).append(what)
        usage[device] = used.free, used.total
    return tuple(Disk(" and ".join(names[device]), *usage[device]) for device in names)
