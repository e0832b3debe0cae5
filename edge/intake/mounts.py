"""Whether a folder's file system tells of changes that others make: over a network, and through FUSE, it does not."""

from __future__ import annotations

import os
import re
from pathlib import Path

# By the type in /proc/self/mountinfo. A local change does cause an event on these, but the camera writes elsewhere.
_SILENT = frozenset(
    ("9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "gfs2", "glusterfs", "gpfs",
     "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs")
)  # fmt: skip


def sends_events(folder: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> bool:
    """False where notifications cannot be relied on; True also where the mount cannot be told."""
    kind = mount_type(folder, mountinfo)
    return kind is None or not (kind in _SILENT or kind == "fuse" or kind.startswith("fuse."))


def mount_type(folder: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> str | None:
    """The type of the file system that the folder lies on, as proc_pid_mountinfo(5) names it; None: unknown."""
    try:
        lines = mountinfo.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    path = os.path.realpath(folder)
    best, kind = "", None
    for line in lines:
        left, dash, right = line.partition(" - ")
        fields = left.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        inside = path == point or path.startswith(point if point.endswith("/") else f"{point}/")
        if inside and len(point) >= len(best):  # of two mounts on one point the later one is on top
            best, kind = point, right.split(" ")[0]
    return kind
