"""A systemd of our own, as process 1 of namespaces of its own, on a throw-away copy of this system: units run for real.

    with booted(folder) as box:
        box.run("systemctl", "start", "planktow-edge@bow")

Files are an overlay on the system's own root, kept in memory: whatever happens inside, nothing is written outside. It has
its own processes, network, and control groups (below ours), so limits and watchdogs are the kernel's and systemd's own.
Needs root, systemd, overlayfs and writable control groups: `why_not()` says what is missing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .ship import until

SYSTEMD = Path("/lib/systemd/systemd")
_GROUPS = Path("/sys/fs/cgroup")
_CONTROLLERS = ("systemd", "unified", "memory", "cpu", "pids")  # of the old layout, each a tree of its own
_TOOLS = ("unshare", "nsenter", "mount", "umount", "pivot_root", "systemctl", "runuser", "curl")
_UNSHARE = ("unshare", "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--net", "--fork", "--kill-child")
_TRIAL = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mount -t proc proc /mnt/root/proc
"""

# Into the control groups first, whose namespace then begins there.
_JOIN = """
import os, sys
for file in sys.argv[1].split(":"):
    open(file, "w").write("0")
os.execvp(sys.argv[2], sys.argv[2:])
"""

# $1: an empty folder, $2: the control groups' layout
_BOOT = r"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -o bind,ro proc/sys proc/sys
if [ "$2" = old ]; then
    mount -t tmpfs tmpfs sys/fs/cgroup
    for tree in systemd unified memory cpu pids; do mkdir sys/fs/cgroup/$tree; done
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
    for tree in memory cpu pids; do mount -t cgroup -o $tree cgroup sys/fs/cgroup/$tree; done
else
    mount -t cgroup2 cgroup2 sys/fs/cgroup
fi
mount -t tmpfs tmpfs dev
for device in null zero full random urandom tty; do : > dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/shm dev/pts
mount -t tmpfs tmpfs dev/shm
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for folder in run tmp etc/systemd/system var/lib/systemd; do mount -t tmpfs -o mode=0755 tmpfs $folder; done
chmod 1777 tmp
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-sysctl.service systemd-modules-load.service \
    systemd-timesyncd.service systemd-hwdb-update.service systemd-networkd.service systemd-resolved.service; do
    ln -s /dev/null etc/systemd/system/$unit
done
mkdir -p old
pivot_root . old
umount -l /old
exec env -i container=planktow-box PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 \
    /lib/systemd/systemd --system --unit=basic.target --log-target=journal --show-status=no
"""


class Box:
    """The system that runs. `root` is its root folder as seen from outside."""

    def __init__(self, init: int) -> None:
        self.root = Path(f"/proc/{init}/root")
        self._enter = ["nsenter", "--target", str(init), "--all"]

    def try_to(self, *command: object) -> subprocess.CompletedProcess[str]:
        """Runs a command inside, as root there."""
        return subprocess.run([*self._enter, *map(str, command)], capture_output=True, text=True, timeout=120)

    def run(self, *command: object) -> str:
        """The same; returns what it printed. Raises AssertionError where it fails."""
        done = self.try_to(*command)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def write(self, file: str, text: str) -> None:
        """A file inside, whose folder is made."""
        script = 'mkdir -p "$(dirname "$1")" && cat > "$1"'
        subprocess.run([*self._enter, "sh", "-c", script, "sh", file], input=text, text=True, check=True)

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", unit, "--property", name, "--value").strip()

    def said(self, unit: str) -> str:
        """The end of a unit's journal."""
        return self.try_to("journalctl", "--no-pager", "--lines=60", "--output=cat", "--unit", unit).stdout


def why_not() -> str | None:
    """Why no systemd can be booted here; None where it can."""
    if os.geteuid() != 0:
        return "only root may boot a systemd in namespaces"
    if not SYSTEMD.exists():
        return "systemd is not installed"
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"not installed: {', '.join(missing)}"
    if "\toverlay\n" not in Path("/proc/filesystems").read_text():
        return "this kernel has no overlayfs"
    here = (Path(sys.executable), Path(__file__).resolve())
    if hidden := [each for each in here if each.is_relative_to("/tmp") or each.is_relative_to("/run")]:
        return f"{hidden[0]}: a service has a /tmp of its own and sees nothing of this one; take a checkout elsewhere"
    if _layout() is None:
        return "the control groups have a layout that is not known here, or do not limit memory"
    try:
        with _groups(f"planktow-box-try-{os.getpid()}"):
            pass
    except OSError as error:
        return f"control groups cannot be made here ({error.strerror})"
    tried = subprocess.run([*_UNSHARE, "sh", "-c", _TRIAL], capture_output=True, text=True)
    if tried.returncode != 0:
        return f"namespaces with an overlay cannot be made here ({tried.stderr.strip()[-200:]})"
    return None


@contextmanager
def booted(folder: Path) -> Iterator[Box]:
    """Boots it; `folder` is an empty one. Everything in it is gone at the end."""
    name = f"planktow-box-{os.getpid()}"
    with _groups(name) as groups:
        files = ":".join(str(group / "cgroup.procs") for group in groups)
        log = folder.with_name(f"{folder.name}.log")
        with log.open("wb") as out:
            outer = subprocess.Popen(
                [sys.executable, "-c", _JOIN, files, *_UNSHARE, "sh", "-c", _BOOT, "sh", str(folder), str(_layout())],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        try:
            until(lambda: _child_of(outer.pid) or outer.poll() is not None, "the namespaces", 20)
            init = _child_of(outer.pid)
            assert init is not None, log.read_text()
            box = Box(init)
            until(lambda: outer.poll() is not None or _comes_up(box), "systemd has booted", 60, every=0.3)
            assert outer.poll() is None, log.read_text()
            yield box
        finally:
            outer.kill()  # and with it process 1 inside, and with that all others there
            outer.wait()


def _comes_up(box: Box) -> bool:
    return box.try_to("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")


def _child_of(process: int) -> int | None:
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(children[0]) if children else None


def _layout() -> str | None:
    if (_GROUPS / "cgroup.controllers").exists():
        return "one" if "memory" in (_GROUPS / "cgroup.subtree_control").read_text().split() else None
    return "old" if all((_GROUPS / tree / "cgroup.procs").exists() for tree in _CONTROLLERS) else None


@contextmanager
def _groups(name: str) -> Iterator[list[Path]]:
    """A control group of our own in each tree, below the one we are in where that is what limits us."""
    roots = [_GROUPS / tree for tree in _CONTROLLERS] if _layout() == "old" else [_GROUPS]
    groups = [root / name for root in roots]
    try:
        for group in groups:
            group.mkdir()
        yield groups
    finally:
        for group in groups:

            def empty(group: Path = group) -> bool:
                for folder, _, _ in os.walk(group, topdown=False):
                    with contextlib.suppress(OSError):  # its processes are on their way out
                        os.rmdir(folder)  # noqa: PTH106
                return not group.exists()

            until(empty, f"{group} is empty", 20, every=0.2)
