"""Which wheels a camera host needs: made for its architecture and Python, and for all that other wheels ask for there.

pip chooses wheels for another machine, but reads conditions (`; python_version < "3.12"`) as if they spoke of the machine
it runs on. So what every wheel asks for is read again here, under the host's conditions.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from bundle.errors import BadConfig

ARCHITECTURES = ("aarch64", "x86_64")
PYTHONS = ("3.11", "3.12", "3.13")
OLDEST_GLIBC, GLIBC = 17, 28  # 2.28 is Debian 10's: every host with a Python that we run on has a newer one


@dataclass(frozen=True)
class Target:
    """The camera host: what its wheels must be made for."""

    arch: str = "aarch64"
    python: str = "3.11"

    def __post_init__(self) -> None:
        if self.arch.startswith("armv"):
            raise BadConfig(
                f"{self.arch}: the package index has no NumPy, OpenCV or LiteRT wheels for 32-bit ARM; use a 64-bit "
                "system, or build on a host of that kind: docs/operations.md"
            )
        if self.arch not in ARCHITECTURES:
            raise BadConfig(
                f"{self.arch}: not an architecture that LiteRT has wheels for; {' or '.join(ARCHITECTURES)}"
            )
        if self.python not in PYTHONS:
            raise BadConfig(f"Python {self.python}: Planktow runs on {', '.join(PYTHONS)}")

    def __str__(self) -> str:
        return f"CPython {self.python} on {self.arch}"

    @property
    def platforms(self) -> tuple[str, ...]:
        """Tags that a wheel may bear, newest first: pip takes each as it stands, and none that is older by itself."""
        new = [f"manylinux_2_{minor}_{self.arch}" for minor in range(GLIBC, OLDEST_GLIBC - 1, -1)]
        return (*new, f"manylinux2014_{self.arch}", f"linux_{self.arch}")

    @property
    def options(self) -> list[str]:
        """pip's options to choose for this host instead of the machine it runs on."""
        platforms = [word for tag in self.platforms for word in ("--platform", tag)]
        return ["--only-binary=:all:", "--implementation", "cp", "--python-version", self.python, *platforms]

    @property
    def environment(self) -> dict[str, str]:
        """What conditions in a wheel's requirements are held against."""
        return {
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "platform_python_implementation": "CPython",
            "platform_machine": self.arch,
            "platform_system": "Linux",
            "sys_platform": "linux",
            "os_name": "posix",
            "platform_release": "",
            "platform_version": "",
        }


@dataclass(frozen=True)
class Wheel:
    """What a wheel is and asks for."""

    name: str
    version: Version
    requires: tuple[Requirement, ...] = ()


def read_wheel(file: Path) -> Wheel:
    """Its name and requirements."""
    name, version, _, _ = parse_wheel_filename(file.name)
    with zipfile.ZipFile(file) as archive:
        metadata = next(entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA"))
        head = BytesHeaderParser().parsebytes(archive.read(metadata))
    return Wheel(name, version, tuple(Requirement(line) for line in head.get_all("Requires-Dist", [])))


def missing(roots: Iterable[Requirement], wheels: Iterable[Wheel], environment: Mapping[str, str]) -> list[Requirement]:
    """What must still be had to install `roots`: every requirement that holds there and that none of the wheels meets."""
    held = {canonicalize_name(wheel.name): wheel for wheel in wheels}
    asked, found, todo = set[tuple[str, str]](), dict[str, Requirement](), list(roots)
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        wheel = held.get(name)
        if wheel is None or not wanted.specifier.contains(wheel.version, prereleases=True):
            found.setdefault(str(wanted).partition(";")[0].strip(), wanted)
            continue
        for extra in ("", *wanted.extras):
            if (name, extra) not in asked:
                asked.add((name, extra))
                todo += [
                    each
                    for each in wheel.requires
                    if each.marker is None or each.marker.evaluate({**environment, "extra": extra})
                ]
    return list(found.values())


def explained(said: str, target: Target) -> str:
    """One line of what pip could not do, from what it said."""
    if re.search(r"connection broken|NewConnectionError|Could not fetch URL|Max retries exceeded", said):
        return "the package index cannot be reached: the wheelhouse is built on a machine that has a network"
    if (none := re.search(r"No matching distribution found for (\S+)", said)) is not None:
        versions = re.search(r"\(from versions: ([^)]*)\)", said)
        others = versions.group(1) if versions and versions.group(1) != "none" else ""
        return f"no wheel of {none.group(1)} for {target}" + (f"; there are wheels of {others}" if others else "")
    if (conflict := re.search(r"conflict is caused by:\n((?: +\S.*\n)+)", said)) is not None:
        causes = dict.fromkeys(line.strip().partition("; extra")[0] for line in conflict.group(1).splitlines())
        return f"no wheels for {target} that suit all of these: {'; '.join(causes)}"
    errors = [line for line in said.splitlines() if line.startswith("ERROR")]
    return f"pip failed for {target}: {(errors or said.splitlines() or ['it said nothing'])[-1]}"
