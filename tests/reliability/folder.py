"""The watched folder goes away, comes back as another one, or is locked: nothing crashes, and all is counted once in the end.

    python -m tests.reliability.folder [--images N] [--seed S] [--bundle DIR] [--only SCENARIO]

Each scenario has a real daemon on a folder of its own: some images come before, some while it lasts, some after it is over.
While it lasts the operator must be told in status.json (`problem`), except where there is nothing to tell. A mount needs a
namespace of our own: the program starts itself again inside one (unshare(1)) and passes the scenario by where it cannot.

Permissions bind no root, so a daemon of root's is started without that power (bound.py). Exit code 1: a fault.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..edge.images import FORMATS, image_bytes, kind_of
from .bound import bound
from .ship import Image, Ship, options, put, taken_from, tell, until

PROBLEM_SECONDS = 20  # until the operator is told: it takes some 3 s in peace
_UNDER_NAMESPACE = "PLANKTOW_OWN_MOUNTS"  # in the environment of the program that unshare(1) started
_ROOT = Path(__file__).parents[2]


class Camera:
    """Puts images into folders, a third of them at a time, and remembers how many files should be decided."""

    def __init__(self, images: Sequence[Image], seed: int) -> None:
        self._left, self._chance, self._share = list(images), random.Random(seed), max(1, len(images) // 3)
        self.put = 0

    def shoot(self, folder: Path) -> list[Path]:
        now, self._left = self._left[: self._share], self._left[self._share :]
        for name, data in now:
            put(folder, name, data, self._chance)
        self.put += len(now)
        return [folder / name for name, _ in now]


@dataclass(frozen=True)
class Ended:
    """What one scenario showed."""

    name: str
    counted: int
    problem: str
    seconds: float
    wrong: tuple[str, ...]

    def line(self) -> str:
        return f"{self.name:22} {self.seconds:5.1f} s  counted {self.counted:4}  problem: {self.problem or '-'}"


Scenario = Callable[[Ship, Camera], str]  # plays it, returns the problem that the operator was told


def renamed(ship: Ship, camera: Camera) -> str:
    """The folder gets another name, goes on filling there, and gets its name back."""
    away = ship.watch.with_name("away")
    ship.watch.rename(away)
    told = _await_problem(ship)
    camera.shoot(away)
    away.rename(ship.watch)
    return told


def made_anew(ship: Ship, camera: Camera) -> str:
    """The folder is deleted with all in it, and made anew with other images."""
    shutil.rmtree(ship.watch)
    told = _await_problem(ship)
    ship.watch.mkdir()
    camera.shoot(ship.watch)
    return told


def swapped(ship: Ship, camera: Camera) -> str:
    """The folder is replaced by another one in a moment: nobody need hear of it, but it must be noticed."""
    other = ship.watch.with_name("other")
    other.mkdir()
    camera.shoot(other)
    ship.watch.rename(ship.watch.with_name("old"))
    other.rename(ship.watch)
    return ""


def became_file(ship: Ship, camera: Camera) -> str:
    """A file stands where the folder was."""
    away = ship.watch.with_name("away")
    ship.watch.rename(away)
    ship.watch.write_text("not a folder\n")
    told = _await_problem(ship)
    ship.watch.unlink()
    camera.shoot(away)
    away.rename(ship.watch)
    return told


def locked(ship: Ship, camera: Camera) -> str:
    """The permissions of the whole folder are taken while files in it wait to be read."""
    camera.shoot(ship.watch)
    ship.watch.chmod(0)
    told = _await_problem(ship)
    ship.watch.chmod(0o755)
    return told


def unlisted(ship: Ship, camera: Camera) -> str:
    """The folder can be entered and written to, but not listed."""
    ship.watch.chmod(0o300)
    told = _await_problem(ship)
    camera.shoot(ship.watch)
    ship.watch.chmod(0o755)
    return told


def sub_folder_locked(ship: Ship, camera: Camera) -> str:
    """One folder below cannot be read; the others are counted meanwhile."""
    sub = ship.watch / "locked"
    sub.mkdir()
    before = len(camera.shoot(sub))
    sub.chmod(0)
    told = _await_problem(ship)
    put(ship.watch, "meanwhile.png", image_bytes("jelly", 999_999), random.Random(0))
    until(
        lambda: ship.rows("SELECT 1 FROM sighting JOIN verdict USING (image_id) WHERE path = 'meanwhile.png'"),
        "meanwhile",
    )
    camera.put += 1
    sub.chmod(0o755)
    assert before
    return told


def files_locked(ship: Ship, camera: Camera) -> str:
    """Files nobody may read are told of as rejects, and are counted when they may be read."""
    staging = ship.watch.with_name("staging")
    files = []
    for file in camera.shoot(staging):
        file.chmod(0)
        target = ship.watch / file.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
        files.append(target)
    until(lambda: ship.status().get("rejects", {}).get("unreadable") == len(files), "the unreadable are told of", 60)
    for file in files:
        file.chmod(0o644)
    until(lambda: not ship.status().get("rejects", {}).get("unreadable"), "they are read after all", 60)
    return ""


def mounted(ship: Ship, camera: Camera) -> str:
    """A disk is mounted over the folder, filled, and taken away again."""
    _mount("-t", "tmpfs", "none", str(ship.watch))
    camera.shoot(ship.watch)
    ship.await_decided(camera.put)  # what was decided under the mount stays so
    subprocess.run(["umount", "--lazy", str(ship.watch)], check=True)
    return ""


def second_daemon(ship: Ship, camera: Camera) -> str:
    """Another daemon on the same ledger refuses with one line and exit code 2, and the first counts on."""
    for _ in range(3):
        second = subprocess.run(ship.command(), capture_output=True, text=True, check=False, timeout=120)
        assert second.returncode == 2, f"the second daemon ended with {second.returncode}: {second.stderr}"
        assert second.stderr.count("\n") == 1, f"the second daemon said: {second.stderr}"
        assert str(ship.process.pid) in second.stderr, f"it does not name the first: {second.stderr}"
    camera.shoot(ship.watch)
    return ""


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        renamed,
        made_anew,
        swapped,
        became_file,
        locked,
        unlisted,
        sub_folder_locked,
        files_locked,
        mounted,
        second_daemon,
    )
}

TOLD = frozenset(
    {"renamed", "made_anew", "became_file", "locked", "unlisted", "sub_folder_locked"}
)  # those with a problem


def play(name: str, images: Sequence[Image], base: Path, bundle: Path, seed: int) -> Ended:
    """One scenario from the first image to the accounts."""
    began = time.monotonic()
    wrong: list[str] = []
    told = ""
    camera = Camera(images, seed)
    quick = {"settle_seconds": 0.3, "rescan_seconds": 0.5, "publish_seconds": 0.3, "retry_seconds": 1}
    with Ship(base, bundle, **quick) as ship, _unlocked(ship.watch):
        ship.start(bound(ship.command()))
        camera.shoot(ship.watch)
        ship.await_decided(camera.put)
        try:
            told = SCENARIOS[name](ship, camera)
            until(lambda: not ship.status().get("problem"), "the problem is over", PROBLEM_SECONDS)
            camera.shoot(ship.watch)
            ship.await_decided(camera.put, 120)
        except (TimeoutError, RuntimeError, AssertionError) as error:
            wrong.append(str(error))
        if name in TOLD and not told:
            wrong.append("the operator was not told: no problem in status.json")
        wrong += ship.faults(counted=camera.put, rejected=0, duplicates=0)
        if ship.ended() or ship.stop() != 0:
            wrong.append(f"the daemon ended with {ship.process.returncode}: {ship.log.read_text()[-1000:]}")
        counted = ship.accounting()["counted"]
    return Ended(name, counted, told, time.monotonic() - began, tuple(f"{name}: {line}" for line in wrong))


def inside_namespace(arguments: Sequence[str]) -> subprocess.CompletedProcess[str] | str:
    """Runs this program in a namespace of its own and returns what it said; or why that is impossible here."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        tried = subprocess.run(
            [*unshare, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "unshare(1) is not installed"
    if tried.returncode:
        return f"no user namespaces here: {tried.stderr.strip()}"
    return subprocess.run(
        [*unshare, sys.executable, "-m", "tests.reliability.folder", *arguments],
        cwd=_ROOT,
        env={**os.environ, _UNDER_NAMESPACE: "1"},
        text=True,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@contextmanager
def _unlocked(folder: Path) -> Iterator[None]:
    """Whatever goes wrong, what was locked can be deleted afterwards."""
    try:
        yield
    finally:
        for place in (folder, *(folder.glob("*") if folder.is_dir() and os.access(folder, os.R_OK) else ())):
            if place.exists():
                place.chmod(0o755)


def _await_problem(ship: Ship) -> str:
    """What status.json tells; nothing where it tells nothing in time."""
    with suppress(TimeoutError):
        until(lambda: ship.ended() or ship.status().get("problem"), "status.json tells of the problem", PROBLEM_SECONDS)
    return str(ship.status().get("problem") or "")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def images_for(folder: Path | None, count: int) -> list[Image]:
    if folder:
        return taken_from(folder, count)
    return [
        (f"{number // 10}/{number}{(suffix := FORMATS[number % 5])}", image_bytes(kind_of(number), number, suffix))
        for number in range(count)
    ]


def main() -> int:
    """The program; see the head of this file."""
    if not os.environ.get(_UNDER_NAMESPACE):
        again = inside_namespace(sys.argv[1:])
        if not isinstance(again, str):
            print(again.stdout, end="")
            return again.returncode
        print(f"the scenario `mounted` is passed by: {again}")
    parser = options("the watched folder goes away and comes back", 60)
    parser.add_argument("--only", choices=list(SCENARIOS))
    chosen = parser.parse_args()
    images, wrong = images_for(chosen.folder, chosen.images), []
    for name in [chosen.only] if chosen.only else SCENARIOS:
        if SCENARIOS[name] is mounted and not os.environ.get(_UNDER_NAMESPACE):
            continue
        with tempfile.TemporaryDirectory() as base:
            ended = play(name, images, Path(base) / "ship", chosen.bundle, chosen.seed)
        print(ended.line(), flush=True)
        wrong += ended.wrong
    return tell(wrong, "nothing lost, nothing twice, the operator told")


if __name__ == "__main__":
    sys.exit(main())
