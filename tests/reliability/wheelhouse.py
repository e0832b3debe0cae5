"""`make wheelhouse`: a folder from which a camera host without internet is installed by pip.

    python -m tests.reliability.wheelhouse [--arch aarch64] [--python 3.11] [--extras web,export] [--bundles NAME,...] [--out DIR]

It holds Planktow's own wheel, the wheels of all it needs on the host's architecture and Python, pip itself (a minimal
Debian has none), bundles, the documentation, INSTALL.txt with the commands to type aboard, and SHA256SUMS. It is there
whole or not at all.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from packaging.requirements import Requirement

from bundle.errors import BadConfig, PlanktowError
from bundle.manifest import MANIFEST
from bundle.reference import REFERENCE, read_reference
from bundle.vouched import read_manifest, read_vouched
from bundle.whole import whole_folder
from edge.shipped import DEFAULT, shipped_bundle

from .wheels import ARCHITECTURES, GLIBC, PYTHONS, Target, explained, missing, read_wheel

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5  # of fetching what the last round's wheels still ask for
PREFIX = "/opt/planktow"


def commands(pip_wheel: str, target: Target, extras: Sequence[str], prefix: str = PREFIX) -> tuple[str, ...]:
    """What is typed aboard, in the wheelhouse as the working directory. pip is run out of its own wheel."""
    return (
        "sha256sum --check --quiet SHA256SUMS",
        f"python{target.python} -m venv --without-pip {prefix}",
        f"{prefix}/bin/python {pip_wheel}/pip install --no-index --find-links . pip '{asked_for(extras)}'",
        f"cp -r bundles {prefix}/",
    )


def asked_for(extras: Sequence[str]) -> str:
    """Planktow as pip is asked for it."""
    return f"planktow[{','.join(extras)}]" if extras else "planktow"


def install_text(typed: Sequence[str], target: Target, bundles: Sequence[str]) -> str:
    """INSTALL.txt: the indented lines are run as they stand by tests/reliability/clean_root.py."""
    check, environment, install, copy = typed
    return f"""\
Planktow for {target}, glibc 2.{GLIBC} or newer: installed without internet.

As root, in this folder. First see that it arrived whole (nothing is printed when it did):

    {check}

An environment of its own, and Planktow in it. Neither pip nor Debian's python3-venv need be installed:

    {environment}
    {install}

The classifiers ({", ".join(bundles)}), to where Planktow finds them:

    {copy}

Then {PREFIX}/bin/planktow-edge init /etc/planktow/edge.toml writes the settings; in it `bundle` may be
{PREFIX}/bundles/{bundles[0]}. To upgrade, run the same commands in the newer folder with
--upgrade --force-reinstall behind `pip install`, and restart the daemon: the ledger goes on. docs/operations.md has all the rest.
"""


def typed_lines(text: str) -> list[str]:
    """The commands of an INSTALL.txt."""
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def sums(folder: Path) -> str:
    """SHA256SUMS of every file in the folder, as sha256sum writes it."""
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return "".join(
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in files
        if name != "SHA256SUMS"
    )


def build(source: Path, target: Target, extras: Sequence[str], bundles: Sequence[Path], out: Path) -> list[Path]:
    """Makes the wheelhouse `out` and returns its wheels. Raises BadConfig, BadBundle; `out` is then not there."""
    if out.exists():
        raise BadConfig(f"{out}: exists already; remove it, or give another folder: make wheelhouse OUT=DIR")
    vouched = {
        f"bundles/{folder.name}/{name}": data for folder in bundles for name, data in read_bundle(folder).items()
    }
    with whole_folder(out) as partial:
        pip(target, "wheel", "--no-deps", "--wheel-dir", str(partial), str(source))
        own = next(partial.glob("planktow-*.whl"))
        unknown = set(extras) - extras_of(own)
        if unknown:
            raise BadConfig(
                f"no extra named {', '.join(sorted(unknown))}; there are {', '.join(sorted(extras_of(own)))}"
            )
        fetch(own, target, extras, partial)
        resolve(target, extras, partial)
        for name, data in vouched.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_bytes(data)
        shutil.copytree(ROOT / "docs", partial / "docs")
        wheels = sorted(partial.glob("*.whl"))
        typed = commands(next(partial.glob("pip-*.whl")).name, target, extras)
        (partial / "INSTALL.txt").write_text(install_text(typed, target, [folder.name for folder in bundles]))
        (partial / "SHA256SUMS").write_text(sums(partial))
    return [out / wheel.name for wheel in wheels]


def read_bundle(folder: Path) -> dict[str, bytes]:
    """The files of a bundle as its manifest vouches for them, and its reference for drift, where it has one. Raises BadBundle."""
    manifest, _ = read_manifest(folder)
    files = {entry.file: read_vouched(folder, entry) for entry in manifest.hashed_files()}
    if read_reference(folder) is not None:
        files[REFERENCE] = (folder / REFERENCE).read_bytes()
    return {MANIFEST: (folder / MANIFEST).read_bytes(), **files}


def extras_of(wheel: Path) -> set[str]:
    """The extras that a wheel has."""
    markers = [str(each.marker) for each in read_wheel(wheel).requires if each.marker]
    return {extra for marker in markers for extra in re.findall(r'extra == "([^"]+)"', marker)}


def fetch(own: Path, target: Target, extras: Sequence[str], folder: Path) -> None:
    """Downloads what the wheel `own` with these extras needs on the host."""
    roots = [Requirement(asked_for(extras)), Requirement("pip")]
    asked = [f"{own}[{','.join(extras)}]" if extras else str(own), "pip"]
    for _ in range(ROUNDS):
        pip(target, "download", "--dest", str(folder), *target.options, *asked)
        lacking = missing(roots, map(read_wheel, folder.glob("*.whl")), target.environment)
        if not lacking:
            return
        asked += [str(each).partition(";")[0].strip() for each in lacking]
    raise BadConfig(f"{', '.join(map(str, lacking))}: asked for on {target}, and not found in {ROUNDS} rounds")


def resolve(target: Target, extras: Sequence[str], folder: Path) -> None:
    """Has pip look, without an index or this machine's own pip settings, whether the folder suffices."""
    with tempfile.TemporaryDirectory() as scratch:
        where = ["--no-index", "--find-links", str(folder), "--dry-run", "--target", scratch]
        pip(target, "--isolated", "install", *where, *target.options, "pip", asked_for(extras))


def pip(target: Target, *words: str) -> None:
    """Runs pip. Raises BadConfig with what it could not do."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "--progress-bar=off", "--disable-pip-version-check", "--no-input"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BadConfig(explained(done.stdout + done.stderr, target))


def words(text: str) -> list[str]:
    """The words of a list with commas; none of an empty one."""
    return [word.strip() for word in text.split(",") if word.strip()]


def told(out: Path, wheels: Collection[Path], target: Target, extras: Sequence[str]) -> str:
    """What was made, in two lines."""
    megabytes = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 1e6
    own = asked_for(extras)
    return (
        f"{out}: {len(wheels)} wheels for {own} on {target}, {megabytes:.0f} MB; resolved without an index\n"
        f"Carry the folder aboard; {out}/INSTALL.txt says what to type there."
    )


def main() -> int:
    """The program; see the head of this file."""
    parser = argparse.ArgumentParser(description="a folder to install a camera host from, without internet")
    parser.add_argument("--arch", default=Target.arch, help=" or ".join(ARCHITECTURES))
    parser.add_argument("--python", default=Target.python, help=", ".join(PYTHONS))
    parser.add_argument("--extras", type=words, default=[], help="web,export,mqtt")
    parser.add_argument("--bundles", type=words, default=[DEFAULT], help="folders under bundles/")
    parser.add_argument("--out", type=Path, default=Path("wheelhouse"))
    chosen = parser.parse_args()
    try:
        target = Target(chosen.arch, chosen.python)
        bundles = [shipped_bundle(name) for name in chosen.bundles]
        wheels = build(ROOT, target, chosen.extras, bundles, chosen.out)
    except PlanktowError as error:
        print(f"wheelhouse: {error}", file=sys.stderr)
        return 2
    print(told(chosen.out, wheels, target, chosen.extras))
    return 0


if __name__ == "__main__":
    sys.exit(main())
