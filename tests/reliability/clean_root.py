"""Installs from a wheelhouse into a bare Debian root with python3 and without network, and counts images there.

    python -m tests.reliability.clean_root [--arch x86_64] [--suite bookworm] [--extras web] [--root DIR] [--images DIR]

As root, on a machine with mmdebstrap, and for another architecture qemu-user-static with its binfmt entry. It makes the
root (or copies --root, one made before), makes a wheelhouse, and types the commands of its INSTALL.txt in the root, in a
network namespace that has no interface but the loopback. Then the root is made read-only but for /var/lib/planktow and
/tmp, the daemon is started in it, and the demo's camera is played to it: an image twice, one in two halves, a torn and a
foreign file. Every image must be counted once, with the verdict that this machine gives; a report must say so; with the
extra `web` the page must answer there too.

Prints a table of sizes, times and counts; exit code 1 and what is wrong if anything is.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bundle.errors import PlanktowError
from bundle.folder import Bundle, open_bundle
from edge.demo.camera import Drop, expect, plan, play
from edge.demo.check import fault_of, faults, read_found
from edge.demo.daemon import Stage
from edge.demo.flowcam import cache_folder, flowcam_images, unpack
from edge.demo.play import Done
from edge.demo.specimens import choose, read_folder
from edge.ledger.ledgerfile import open_ledger_readonly
from edge.shipped import DEFAULT, DEMO

from .ship import tell
from .wheelhouse import ROOT, asked_for, build, commands, typed_lines, words
from .wheels import Target

PYTHON_OF = {"bookworm": "3.11", "trixie": "3.13"}
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
BUNDLE = DEMO
BINFMT = Path("/proc/sys/fs/binfmt_misc")
WHEELHOUSE, STATE = "/srv/wheelhouse", "/var/lib/planktow"
PLANKTOW = "/opt/planktow/bin/planktow-edge"

# $1 the root, $2 the folder that is its /var/lib/planktow, $3 ro or rw, $4 the command. A new mount namespace has this alone.
INSIDE = f"""\
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount --bind "$2" "$1{STATE}"
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/tmp"
mkdir -p "$1/dev/shm"
mount -t tmpfs tmpfs "$1/dev/shm"
if [ "$3" = ro ]; then mount -o remount,bind,ro "$1"; fi
ip link set lo up
exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 /bin/sh -ec "$4"
"""
# Stopped by a file: a signal would have to find its way into the namespace.
DAEMON = f"""\
cd {STATE}
{PLANKTOW} run --watch capture --bundle /opt/planktow/bundles/{BUNDLE} --ledger ledger.sqlite --out counts &
while [ ! -e stop ]; do sleep 1; kill -0 $!; done
kill $!
wait $!
{PLANKTOW} report --ledger ledger.sqlite --format csv
"""
PAGE = f"""\
cd {STATE}
{PLANKTOW} serve --ledger ledger.sqlite --watch capture --out counts --read-only >/dev/null 2>&1 &
for turn in $(seq 100); do
  sleep 1
  if /opt/planktow/bin/python -c 'from urllib.request import urlopen
page = urlopen("http://127.0.0.1:8765/", timeout=60); print("status", page.status, len(page.read()))' 2>/dev/null
  then kill $!; wait $! || true; exit 0; fi
done
exit 1
"""
CAMERA_SECONDS, DECIDED_SECONDS = 15.0, 900.0  # an emulated daemon may take minutes


@dataclass
class Trial:
    """One root, and what came of it."""

    root: Path
    state: Path
    lines: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def inside(self, command: str, read_only: bool = False) -> tuple[str, str]:
        """Runs a command of the shell in the root, without network; what it said, and the time it took."""
        began, before = time.monotonic(), processor_seconds()
        namespaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--ipc", "--uts"]
        setup = ["sh", "-c", INSIDE, "sh", str(self.root), str(self.state), "ro" if read_only else "rw", command]
        done = subprocess.run([*namespaces, *setup], capture_output=True, text=True)
        took = f"{time.monotonic() - began:.0f} s, {processor_seconds() - before:.0f} s of a processor"
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-8:]
            self.wrong.append(f"exit code {done.returncode} of: {command}\n    " + "\n    ".join(last))
        return done.stdout, took

    def note(self, what: str, found: str) -> None:
        """A line of the table, printed at once too: an emulated machine is slow."""
        self.lines.append((what, found))
        print(f"{what:38} {found}", flush=True)


def processor_seconds() -> float:
    """Used by all processes that this one has started and awaited."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def mebibytes(folder: Path) -> float:
    """What a folder takes on the disk; a file with several names once."""
    held = {(at.st_dev, at.st_ino): at.st_blocks * 512 for at in (path.lstat() for path in folder.rglob("*"))}
    return sum(held.values()) / 2**20


def prepared(root: Path | None, arch: str, suite: str, at: Path) -> None:
    """A root at `at`: a copy of the one given, or a new one by mmdebstrap."""
    if root is not None:
        subprocess.run(["cp", "-a", str(root), str(at)], check=True)
    else:
        make = ["mmdebstrap", "--quiet", "--skip=check/qemu", f"--architectures={DEBIAN[arch]}", "--variant=minbase"]
        subprocess.run([*make, "--include=python3", suite, str(at)], check=True)
    for folder in (STATE, WHEELHOUSE):
        (at / folder[1:]).mkdir(parents=True, exist_ok=True)


def installed(trial: Trial, target: Target, extras: Sequence[str]) -> None:
    """Types INSTALL.txt; before it, the base install alone in an environment of its own, to be measured."""
    wheelhouse = trial.root / WHEELHOUSE[1:]
    typed = typed_lines((wheelhouse / "INSTALL.txt").read_text())
    pip_wheel = next(wheelhouse.glob("pip-*.whl")).name
    base = commands(pip_wheel, target, [], "/opt/base")
    for what, lines, folder in (("base", base[1:], "base"), (asked_for(extras), typed, "planktow")):
        _, took = trial.inside("\n".join([f"cd {WHEELHOUSE}", *lines]))
        size = mebibytes(trial.root / "opt" / folder) - mebibytes(trial.root / "opt" / folder / "bundles")
        trial.note(f"install {what}", f"{took}, {size:.0f} MiB on disk without bundles")


def counted(trial: Trial, images: Path) -> None:
    """Plays the demo's camera to the daemon in the read-only root, and holds its ledger against the verdicts here."""
    stage, bundle = Stage(trial.state), open_bundle(ROOT / "bundles" / BUNDLE)
    drops = plan(choose(read_folder(images), bundle).specimens)
    expected = expect(drops, lambda data: fault_of(bundle, data))
    done = Done(len(expected.counted) + len(expected.rejected), expected.duplicates)
    stage.capture.mkdir()
    with ThreadPoolExecutor(1) as pool:
        try:
            daemon = pool.submit(trial.inside, DAEMON, True)
            for _ in play(drops, stage.capture, CAMERA_SECONDS, threading.Event()):
                pass
            until = time.monotonic() + DECIDED_SECONDS
            while not (daemon.done() or done.reached(stage.counts().accounting) or time.monotonic() > until):
                time.sleep(1)
        finally:
            (trial.state / "stop").touch()
        report, took = daemon.result()
    counts = stage.counts().accounting
    with closing(open_ledger_readonly(stage.ledger)) as connection:
        found = read_found(connection)
    trial.wrong += faults(expected, found, counts, drops)
    trial.note(
        "daemon in a read-only root",
        f"{took}; seen {counts.seen} = counted {counts.counted} + rejected {counts.rejected} + waiting "
        f"{counts.waiting} + dropped {counts.dropped}; duplicates {counts.duplicates}",
    )
    labels = {sha256: each.label for sha256, each in found.items() if each.label is not None}
    here = verdicts_here(drops, bundle)
    alike = sum(here[sha256] == label for sha256, label in labels.items())
    right = sum(
        labels.get(sha256) == taxon
        for sha256, taxon in {each.sha256: each.taxon for each in drops if each.taxon}.items()
    )
    trial.note("verdicts", f"{right} of {len(labels)} right, {alike} as on {platform.machine()} here")
    if alike != len(labels):
        trial.wrong.append(f"{len(labels) - alike} verdicts are not those of this machine")
    head = f"seen {counts.seen} = counted {counts.counted}"
    trial.note("report", next((line for line in report.splitlines() if head in line), "none"))
    if head not in report:
        trial.wrong.append(f"no '{head}' in the report: {report[:300]}")


def verdicts_here(drops: Sequence[Drop], bundle: Bundle) -> dict[str, str]:
    """sha-256 -> label of every drop that is an image, by this machine."""
    images = {drop.sha256: drop.data for drop in drops if drop.kind in ("image", "again", "halves")}
    votes = bundle.classify(bundle.load(), [bundle.prepare(data) for data in images.values()])
    return {sha256: bundle.label_name(int(label)) for sha256, label in zip(images, votes.label, strict=True)}


def whole_trial(trial: Trial, target: Target, extras: Sequence[str], images: Path) -> None:
    """All steps in the prepared root."""
    wheelhouse = trial.root / WHEELHOUSE[1:]
    wheelhouse.rmdir()
    began = time.monotonic()
    wheels = build(ROOT, target, extras, [ROOT / "bundles" / name for name in (DEFAULT, BUNDLE)], wheelhouse)
    made = f"made in {time.monotonic() - began:.0f} s"
    trial.note("wheelhouse", f"{len(wheels)} wheels, {mebibytes(wheelhouse):.0f} MiB with bundles and docs, {made}")
    machine, _ = trial.inside("uname -m; python3 --version; cut -d: -f1 /proc/net/dev | tail -n +3")
    said = machine.split()
    trial.note("the root", f"{' '.join(said[:3])}, network interfaces: {' '.join(said[3:])}")
    if said[3:] != ["lo"] or said[0] != target.arch:
        trial.wrong.append(f"not a {target.arch} without network: {machine}")
    installed(trial, target, extras)
    if not trial.wrong:
        counted(trial, images)
    if "web" in extras and not trial.wrong:
        page, took = trial.inside(PAGE, read_only=True)
        trial.note("page in a read-only root", f"{page.strip() or 'no answer'} bytes; {took}")


@contextmanager
def images_of(folder: Path | None) -> Iterator[Path]:
    """The folder given, or the FlowCam images of the demo, unpacked."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        unpack(flowcam_images(cache_folder()), Path(scratch))
        yield Path(scratch)


def lacking(tools: Sequence[str], arch: str) -> str | None:
    """What this machine lacks to do it; None when nothing."""
    if os.geteuid() != 0:
        return "needs root: it mounts, and changes root"
    if gone := [tool for tool in tools if shutil.which(tool) is None]:
        return f"needs {', '.join(gone)}: apt-get install mmdebstrap iproute2 util-linux"
    entry = BINFMT / f"qemu-{arch}"
    if arch != platform.machine() and not entry.exists():
        return (
            f"cannot run programs of {arch}: apt-get install qemu-user-static; if {entry} is missing still, "
            f"mount -t binfmt_misc binfmt_misc {BINFMT} && cat /usr/lib/binfmt.d/{entry.name}.conf > {BINFMT}/register"
        )
    return None


def main() -> int:
    """The program; see the head of this file."""
    parser = argparse.ArgumentParser(description="a clean root without network, installed from a wheelhouse, counts")
    parser.add_argument("--arch", choices=sorted(DEBIAN), default=platform.machine())
    parser.add_argument("--suite", choices=sorted(PYTHON_OF), default="bookworm")
    parser.add_argument("--extras", type=words, default=["web"])
    parser.add_argument("--root", type=Path, help="a root made before; it is copied")
    parser.add_argument("--images", type=Path, help="else the FlowCam images of the demo")
    chosen = parser.parse_args()
    if (
        lack := lacking(["unshare", "chroot", "ip", *([] if chosen.root else ["mmdebstrap"])], chosen.arch)
    ) is not None:
        print(f"clean_root: {lack}", file=sys.stderr)
        return 2
    target = Target(chosen.arch, PYTHON_OF[chosen.suite])
    print(f"Debian {chosen.suite}, {target}, {asked_for(chosen.extras)}", flush=True)
    with tempfile.TemporaryDirectory() as scratch, images_of(chosen.images) as images:
        trial = Trial(Path(scratch) / "root", Path(scratch) / "state")
        trial.state.mkdir()
        try:
            prepared(chosen.root, chosen.arch, chosen.suite, trial.root)
            whole_trial(trial, target, chosen.extras, images)
        except (PlanktowError, subprocess.CalledProcessError) as error:
            trial.wrong.append(str(error))
    return tell(trial.wrong, "installed without network, and every image counted once")


if __name__ == "__main__":
    sys.exit(main())
